package checkpoint

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func raw(header string, body []byte) []byte {
	return append(append(binary.LittleEndian.AppendUint64(nil, uint64(len(header))), header...), body...)
}

func TestWriteThenParse(t *testing.T) {
	t.Parallel()
	a, b := []float32{1, -2, 3.5, 4, 5, 6e-30}, []float32{7}
	path := filepath.Join(t.TempDir(), "x.safetensors")
	if err := Save(path, map[string]string{"format": "test"}, []Named{{"a", []int{2, 3}, a}, {"b", []int{1}, b}}); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	got, err := f.Floats("a", 2, 3)
	if err != nil || !slices.Equal(got, a) || f.Meta["format"] != "test" || !slices.Equal(f.Names(), []string{"a", "b"}) || !f.Has("b") {
		t.Fatalf("%v %v %v %v", got, err, f.Meta, f.Names())
	}
	if _, err := f.Floats("a", 3, 2); err == nil {
		t.Error("another shape was taken")
	}
	if _, err := f.Floats("c", 1); err == nil {
		t.Error("a tensor that is not there was found")
	}
	if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 1 {
		t.Errorf("%d files are left", len(left))
	}
	if err := Write(&bytes.Buffer{}, nil, []Named{{"a", []int{2}, b}}); err == nil {
		t.Error("a tensor of the wrong size was written")
	}
}

func TestHalfTypes(t *testing.T) {
	t.Parallel()
	f, err := Parse(raw(`{"h":{"dtype":"F16","shape":[2],"data_offsets":[0,4]},"b":{"dtype":"BF16","shape":[1,1],"data_offsets":[4,6]}}`,
		[]byte{0x00, 0x3c, 0x00, 0xc0, 0x40, 0x40}))
	if err != nil {
		t.Fatal(err)
	}
	h, _ := f.Floats("h", 2)
	b, _ := f.Floats("b", 1, 1)
	if !slices.Equal(h, []float32{1, -2}) || !slices.Equal(b, []float32{3}) {
		t.Fatalf("%v %v", h, b)
	}
}

func TestDamagedFiles(t *testing.T) {
	t.Parallel()
	good := `{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"empty":        {nil, "too short"},
		"header":       {binary.LittleEndian.AppendUint64(nil, 1<<60), "header"},
		"no JSON":      {raw("{", nil), "JSON"},
		"cut short":    {raw(good, make([]byte, 4)), "tensor"},
		"type":         {raw(`{"a":{"dtype":"I8","shape":[2],"data_offsets":[0,2]}}`, make([]byte, 8)), "I8"},
		"huge":         {raw(`{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,8]}}`, make([]byte, 8)), "shape"},
		"many":         {raw(`{"a":{"dtype":"F32","shape":[8,8,8,8,8,8,8,8,8,8,8,8,8,8,8,8,8,8,8,8,8,8],"data_offsets":[0,8]}}`, make([]byte, 8)), "shape"},
		"negative":     {raw(`{"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}}`, make([]byte, 8)), "shape"},
		"other length": {raw(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,8]}}`, make([]byte, 8)), "outside"},
		"backwards":    {raw(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}`, make([]byte, 8)), "outside"},
	} {
		if _, err := Parse(c.data); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(raw(`{"__metadata__":{"k":"v"},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, make([]byte, 8)))
	f.Add([]byte("\x01\x00\x00\x00\x00\x00\x00\x00{"))
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := Parse(data)
		if err != nil {
			return
		}
		for _, n := range file.Names() {
			file.tensors[n].Floats()
		}
	})
}
