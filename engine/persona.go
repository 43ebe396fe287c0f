package engine

// Persona is a character as its author wrote it.
type Persona struct {
	ID           string
	Name         string
	Tagline      string
	Colour       string // #rrggbb
	Description  string
	Descriptions []string // paraphrases of Description
	Knows        []string // facts that stay true everywhere
	Examples     []Example
	Dialogues    []Dialogue
	Source       string // file it came from; empty for one made at play
}

// ShortName is the first word of the persona's name: what stands in a transcript's margin.
func (p *Persona) ShortName() string {
	for i, r := range p.Name {
		if r == ' ' && i > 0 {
			return p.Name[:i]
		}
	}
	return p.Name
}

// Origin says where an example line was written.
type Origin string

// Where example lines come from.
const (
	FromPersona  Origin = "persona"  // a persona's own examples
	FromScene    Origin = "scene"    // a scene's examples: lines that belong to that place
	FromDialogue Origin = "dialogue" // a reply in a written dialogue
	FromPlayer   Origin = "kept"     // a reply a player kept
)

// Example is a line a persona said and the line it answered.
type Example struct {
	Persona string // persona id, or the id of a walk-on
	You     string // what was said to it
	Says    string // what it said
	Common  string // id of the common line it answers, or empty
	Place   string // "STORY/SCENE" for scene examples, else empty
	Origin  Origin
	HeldOut bool // never trained on
	Borrow  bool // short and free of names and facts: another persona may say it
}

// Dialogue is a written talk between the player (a) and a character (b).
type Dialogue struct {
	Scene   string
	Goal    string
	Reached bool
	Mood    string
	HeldOut bool
	Turns   []DialogueTurn
}

// DialogueTurn is one turn of a written dialogue.
type DialogueTurn struct {
	Player bool
	Text   string
	Blend  Blend // of the character's turn; nil means the character alone
}
