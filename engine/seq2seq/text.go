package seq2seq

import "strings"

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

// Tokens returns the tokens of a turn: <|im_start|> role [name] "\n" text <|im_end|> "\n".
func (m *Model) Tokens(t Turn) []int {
	ids := m.header(t.Role, t.Name)
	ids = m.tok.AppendEncode(ids, strings.TrimSpace(t.Text))
	ids = append(ids, m.end)
	return append(ids, m.newline...)
}

// header returns the tokens that open a turn.
func (m *Model) header(role Role, name string) []int {
	s := string(role)
	if name = strings.TrimSpace(name); name != "" {
		s += " " + name
	}
	return m.tok.AppendEncode([]int{m.start}, s+"\n")
}
