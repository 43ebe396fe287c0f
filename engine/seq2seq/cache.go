package seq2seq

import (
	"encoding/binary"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"sync"
)

// A cache file is a page that names what follows (magic, size, checksum) and the packed weights. It is made beside its place and
// renamed there, so that no reader sees half of one.
const (
	cacheMagic = "weave-packed-1\n"
	cachePage  = 4096
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// cached returns size bytes of packed weights, from the cache file of this hash or made by fill.
func cached(keeping *sync.WaitGroup, dir, hash string, size int, fill func([]byte) error) ([]byte, error) {
	path := ""
	if dir != "" {
		path = filepath.Join(dir, "weights-"+hash+".bin")
		if buf, ok := readCache(path, size); ok {
			return buf, nil
		}
	}
	buf, err := anonymous(size)
	if err != nil {
		return nil, err
	}
	if err := fill(buf); err != nil {
		return nil, err
	}
	if path != "" {
		keeping.Go(func() { writeCache(dir, path, buf) }) // play need not wait; the next start gains
	}
	return buf, nil
}

// readCache reads a cache file and checks it; a file that is not as it should be is as good as none.
func readCache(path string, size int) ([]byte, bool) {
	f, err := os.Open(path)
	if err != nil {
		return nil, false
	}
	defer f.Close()
	head := make([]byte, cachePage)
	if _, err := io.ReadFull(f, head); err != nil || string(head[:len(cacheMagic)]) != cacheMagic {
		return nil, false
	}
	if st, err := f.Stat(); err != nil || st.Size() != int64(cachePage+size) || binary.LittleEndian.Uint64(head[64:]) != uint64(size) {
		return nil, false
	}
	buf, err := anonymous(size)
	if err != nil {
		return nil, false
	}
	if _, err := io.ReadFull(f, buf); err != nil {
		unmap(buf)
		return nil, false
	}
	if crc32.Checksum(buf, castagnoli) != binary.LittleEndian.Uint32(head[72:]) {
		unmap(buf)
		return nil, false
	}
	return buf, true
}

// writeCache keeps buf, and removes packed weights of other models; errors only cost the next start time.
func writeCache(dir, path string, buf []byte) {
	if os.MkdirAll(dir, 0o700) != nil {
		return
	}
	tmp, err := os.CreateTemp(dir, ".weights-*")
	if err != nil {
		return
	}
	head := make([]byte, cachePage)
	copy(head, cacheMagic)
	binary.LittleEndian.PutUint64(head[64:], uint64(len(buf)))
	binary.LittleEndian.PutUint32(head[72:], crc32.Checksum(buf, castagnoli))
	_, err = tmp.Write(head)
	if err == nil {
		_, err = tmp.Write(buf)
	}
	if e := tmp.Close(); err == nil {
		err = e
	}
	if err != nil {
		_ = os.Remove(tmp.Name())
		return
	}
	old, _ := filepath.Glob(filepath.Join(dir, "weights-*.bin"))
	if os.Rename(tmp.Name(), path) != nil {
		_ = os.Remove(tmp.Name())
		return
	}
	const keep = 3
	for i := 0; i < len(old)-keep; i++ {
		if old[i] != path {
			_ = os.Remove(old[i])
		}
	}
}
