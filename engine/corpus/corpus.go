// Package corpus reads dialogue files (DESIGN, "Formats": dialogues, grids, ladders, shifts; .jsonl or .jsonl.gz) and the split
// that holds some of them out of training. It must not know the model's arithmetic, storage or screens.
package corpus

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/personaweave/personaweave/engine"
)

// Kind tells the three shapes of a record apart.
type Kind string

// The kinds of record.
const (
	Dialogue Kind = "dialogue" // turns of a and b; a shift has blends
	Grid     Kind = "grid"     // many characters answer the same lines
	Ladder   Kind = "ladder"   // one line answered at five mixtures
)

// Record is one line of a dialogue file.
type Record struct {
	Source   string             `json:"source"`
	Persona  string             `json:"persona,omitempty"`
	A        []string           `json:"persona_a,omitempty"`
	B        []string           `json:"persona_b,omitempty"` // facts of b, or paraphrases of one description in a grid
	Personas map[string]Speaker `json:"personas,omitempty"`
	Context  string             `json:"context,omitempty"`
	Goal     string             `json:"goal,omitempty"`
	Reached  *bool              `json:"reached,omitempty"`
	Mood     string             `json:"mood,omitempty"`
	HeldOut  bool               `json:"heldout,omitempty"`
	Turns    []Turn             `json:"turns,omitempty"`
	Replies  []Exchange         `json:"replies,omitempty"`
	Lines    []Rung             `json:"lines,omitempty"`
}

// Speaker is a persona of a ladder or a shift.
type Speaker struct {
	ID          string `json:"id,omitempty"`
	Name        string `json:"name,omitempty"`
	Description string `json:"description"`
}

// Turn is one turn of a dialogue; b is the character.
type Turn struct {
	Who     string             `json:"who"`
	Speaker string             `json:"speaker,omitempty"` // which of several characters, in a dialogue of three
	Text    string             `json:"text"`
	Blend   map[string]float64 `json:"blend,omitempty"`
}

// Exchange is one line and its answer.
type Exchange struct {
	You  string `json:"you"`
	Says string `json:"says"`
}

// Rung is one line of a ladder with its answers.
type Rung struct {
	You     string  `json:"you"`
	Replies []Mixed `json:"replies"`
}

// Mixed is an answer at weight W of persona p (and 1−W of q).
type Mixed struct {
	W    float64 `json:"w"`
	Text string  `json:"text"`
}

// Kind tells what the record is, by its fields.
func (r *Record) Kind() Kind {
	switch {
	case len(r.Lines) > 0:
		return Ladder
	case len(r.Replies) > 0:
		return Grid
	}
	return Dialogue
}

// Description is the text the Persona Encoder reads for b.
func (r *Record) Description() string {
	if r.Kind() == Grid && len(r.B) > 0 {
		return r.B[0]
	}
	return strings.Join(r.B, " ")
}

// validate reports what makes a record unusable.
func (r *Record) validate() error {
	switch r.Kind() {
	case Dialogue:
		if len(r.Turns) == 0 {
			return fmt.Errorf("a record needs turns, replies or lines")
		}
		for i, t := range r.Turns {
			if t.Who != "a" && t.Who != "b" {
				return fmt.Errorf(`turn %d is spoken by %q; say "a" (player) or "b" (character)`, i+1, t.Who)
			}
			if _, ok := r.Personas[t.Speaker]; t.Speaker != "" && !ok {
				return fmt.Errorf("turn %d is spoken by %q, whom personas does not describe", i+1, t.Speaker)
			}
			for id := range t.Blend {
				if _, ok := r.Personas[id]; !ok {
					return fmt.Errorf("turn %d blends %q, which personas does not describe", i+1, id)
				}
			}
		}
	case Ladder:
		for _, id := range []string{"p", "q"} {
			if r.Personas[id].Description == "" {
				return fmt.Errorf("a ladder needs personas p and q with descriptions")
			}
		}
		for _, l := range r.Lines {
			for _, m := range l.Replies {
				if !(m.W >= 0 && m.W <= 1) {
					return fmt.Errorf("weight %v is not between 0 and 1", m.W)
				}
			}
		}
	}
	return nil
}

// maxLine bounds one record.
const maxLine = 4 << 20

// Read reads records from r; name stands in errors, which say line and cause.
func Read(r io.Reader, name string) ([]Record, error) {
	br := bufio.NewReader(r)
	if magic, err := br.Peek(2); err == nil && magic[0] == 0x1f && magic[1] == 0x8b {
		z, err := gzip.NewReader(br)
		if err != nil {
			return nil, bad(name, 0, err)
		}
		defer z.Close()
		br = bufio.NewReader(z)
	}
	var out []Record
	sc := bufio.NewScanner(br)
	sc.Buffer(make([]byte, 64<<10), maxLine)
	n := 0
	for sc.Scan() {
		n++
		line := bytes.TrimSpace(sc.Bytes())
		if len(line) == 0 {
			continue
		}
		var rec Record
		d := json.NewDecoder(bytes.NewReader(line))
		d.DisallowUnknownFields()
		if err := d.Decode(&rec); err != nil {
			return nil, bad(name, n, err)
		}
		if err := rec.validate(); err != nil {
			return nil, bad(name, n, err)
		}
		out = append(out, rec)
	}
	if err := sc.Err(); err != nil {
		return nil, bad(name, n+1, err)
	}
	return out, nil
}

// ReadFile reads the records of a file.
func ReadFile(path string) ([]Record, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, &engine.Error{Code: engine.NotFound, Message: fmt.Sprintf("cannot open the dialogues %s", path), Hint: "give .jsonl or .jsonl.gz files", Err: cause(err)}
	}
	defer f.Close()
	return Read(f, path)
}

func cause(err error) error {
	if p, ok := err.(*os.PathError); ok {
		return p.Err
	}
	return err
}

func bad(name string, line int, err error) error {
	at := name
	if line > 0 {
		at = fmt.Sprintf("%s:%d", name, line)
	}
	return &engine.Error{Code: engine.Invalid, Message: at + " is not a dialogue", Hint: "one JSON object a line, as README, \"Dialogues\", says", Err: err}
}

// Split tells which records are held out of training.
type Split struct {
	Seed    int                 `json:"seed"`
	HeldOut map[string][]string `json:"heldout"` // by source: persona ids, ladder pairs "p|q", or hashes of persona pairs

	sets map[string]map[string]bool
}

// ParseSplit reads stories/dialogues/split.json.
func ParseSplit(data []byte) (*Split, error) {
	s := &Split{}
	if err := json.Unmarshal(data, s); err != nil {
		return nil, fmt.Errorf("read the split: %w", err)
	}
	s.sets = map[string]map[string]bool{}
	for source, keys := range s.HeldOut {
		s.sets[source] = map[string]bool{}
		for _, k := range keys {
			s.sets[source][k] = true
		}
	}
	return s, nil
}

// Holds reports whether a record is held out.
func (s *Split) Holds(r *Record) bool {
	if r.HeldOut {
		return true
	}
	return s.sets[r.Source][r.Key()]
}

// Key is what the split names the record by: its persona, the pair of a ladder, the hash of a pair of the public persona chat.
func (r *Record) Key() string {
	switch {
	case r.Kind() == Ladder:
		return r.Personas["p"].ID + "|" + r.Personas["q"].ID
	case r.Persona != "":
		return r.Persona
	}
	return pairKey(r)
}

// pairKey names a persona pair of the public persona chat.
func pairKey(r *Record) string {
	sum := sha256.Sum256([]byte(strings.Join(r.A, "\n") + "\n\n" + strings.Join(r.B, "\n")))
	return hex.EncodeToString(sum[:])[:12]
}
