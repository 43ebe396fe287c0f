package stories

import "io/fs"

// Texts lists what is said in the written dialogues, grids and ladders, by whomever, in order of file and line: text that was trained
// on, but for what the split holds out; to tell a copy by.
func (l *Library) Texts() ([]string, error) {
	names, err := fs.Glob(embedded, "dialogues/*.jsonl.gz")
	if err != nil {
		return nil, err
	}
	var out []string
	for _, name := range names {
		records, err := readTalk[any](embedded, name)
		if err != nil {
			return nil, err
		}
		out = said(out, records)
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
