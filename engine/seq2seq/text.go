package seq2seq

import (
	"strings"

	"github.com/personaweave/personaweave/engine/token"
)

// Role says who speaks in a turn.
type Role string

// The roles of a turn (ChatML).
const (
	System    Role = "system"    // a persona's description
	Scene     Role = "scene"     // turn 0
	User      Role = "user"      // the player
	Assistant Role = "assistant" // a character
)

// Turn is a piece of text as the model reads it. Name is a character's short name, or empty.
type Turn struct {
	Role Role
	Name string
	Text string
}

// marks are the special tokens by which a base tells turns apart.
type marks struct {
	start  int
	middle int // between role and text; −1: a line break alone
	end    int
}

// marksOf finds a tokenizer's marks: those of ChatML, else those of Llama 3.
func marksOf(tok *token.Tokenizer) (marks, bool) {
	find := func(names ...string) (ids []int) {
		for _, name := range names {
			if id, ok := tok.Special(name); ok {
				ids = append(ids, id)
			}
		}
		return ids
	}
	if ids := find("<|im_start|>", "<|im_end|>"); len(ids) == 2 {
		return marks{ids[0], -1, ids[1]}, true
	}
	if ids := find("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"); len(ids) == 3 {
		return marks{ids[0], ids[1], ids[2]}, true
	}
	return marks{}, false
}

// Tokens returns the tokens of a turn: <|im_start|> role [name] "\n" text <|im_end|> "\n"; of a base of Llama 3's form,
// <|start_header_id|> role [name] <|end_header_id|> "\n\n" text <|eot_id|>.
func (m *Model) Tokens(t Turn) []int {
	ids := m.header(t.Role, t.Name)
	ids = m.tok.AppendEncode(ids, strings.TrimSpace(t.Text))
	ids = append(ids, m.end)
	if m.middle >= 0 {
		return ids
	}
	return append(ids, m.newline...)
}

// header returns the tokens that open a turn.
func (m *Model) header(role Role, name string) []int {
	s := string(role)
	if name = strings.TrimSpace(name); name != "" {
		s += " " + name
	}
	if m.middle < 0 {
		return m.tok.AppendEncode([]int{m.start}, s+"\n")
	}
	return m.tok.AppendEncode(append(m.tok.AppendEncode([]int{m.start}, s), m.middle), "\n\n")
}
