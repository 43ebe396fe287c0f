package stories

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"io/fs"
)

// Texts lists what is said in the written dialogues, grids and ladders, by whomever, in order of file and line: text that was trained
// on, but for what the split holds out; to tell a copy by.
func (l *Library) Texts() ([]string, error) {
	names, err := fs.Glob(embedded, "dialogues/*.jsonl.gz")
	if err != nil {
		return nil, err
	}
	var out []string
	for _, name := range names {
		if out, err = appendTexts(out, embedded, name); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func appendTexts(out []string, folder fs.FS, name string) ([]string, error) {
	f, err := folder.Open(name)
	if err != nil {
		return nil, damaged(name, 0, err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, damaged(name, 0, err)
	}
	defer z.Close()
	sc := bufio.NewScanner(z)
	sc.Buffer(make([]byte, 64<<10), 4<<20)
	line := 0
	for sc.Scan() {
		line++
		var record any
		if err := json.Unmarshal(sc.Bytes(), &record); err != nil {
			return nil, damaged(name, line, err)
		}
		out = said(out, record)
	}
	if err := sc.Err(); err != nil {
		return nil, damaged(name, line+1, err)
	}
	return out, nil
}

// said appends every "text" and "says" of a record, whatever its kind.
func said(out []string, v any) []string {
	switch v := v.(type) {
	case []any:
		for _, x := range v {
			out = said(out, x)
		}
	case map[string]any:
		for _, k := range []string{"text", "says"} {
			if s, ok := v[k].(string); ok {
				out = append(out, s)
			}
		}
		for _, k := range []string{"turns", "replies", "lines"} {
			out = said(out, v[k])
		}
	}
	return out
}
