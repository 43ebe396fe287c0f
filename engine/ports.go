package engine

import "context"

// Content is the library of personas and stories. Implementations are immutable and safe for concurrent use.
type Content interface {
	// Stories lists stories in the order of the library; the first is what a newcomer is offered.
	Stories() []*Story
	// Story returns one story or an Error with code NotFound that names near matches.
	Story(id string) (*Story, error)
	// Personas lists the cast.
	Personas() []*Persona
	// Persona returns one persona or an Error with code NotFound that names near matches.
	Persona(id string) (*Persona, error)
}

// Store keeps sessions and their turn trees. Every method is one transaction. It is safe for concurrent use.
type Store interface {
	// Create begins a session on branch "main" with its first nodes, chained in order; it fills their IDs.
	Create(ctx context.Context, story string, seed uint64, nodes []*Node) (Session, error)
	// Sessions lists sessions, last played first; story "" means all.
	Sessions(ctx context.Context, story string) ([]Session, error)
	// Session returns one session or an Error with code NotFound.
	Session(ctx context.Context, id int64) (Session, error)
	// Rename gives a session a name.
	Rename(ctx context.Context, id int64, name string) error
	// Delete removes a session and its nodes.
	Delete(ctx context.Context, id int64) error
	// Path returns the nodes from the root to head, in order.
	Path(ctx context.Context, session, head int64) ([]Node, error)
	// Append stores nodes as a chain below parent, fills their IDs and moves the session's branch to the last.
	Append(ctx context.Context, session, parent int64, nodes []*Node) (Session, error)
	// SetHead moves the session's branch to a node already stored (undo, redo, swipe).
	SetHead(ctx context.Context, session, head int64) (Session, error)
	// Children returns the nodes below parent (0: roots), oldest first.
	Children(ctx context.Context, session, parent int64) ([]Node, error)
	// Branches lists the session's branches.
	Branches(ctx context.Context, session int64) ([]Branch, error)
	// Fork makes a branch with this name at head and plays it; an existing name is an Error with code Invalid.
	Fork(ctx context.Context, session int64, name string, head int64) (Session, error)
	// Learner is what is known of whoever learns here; its zero value before the first lesson.
	Learner(ctx context.Context) (Learner, error)
	// KeepLearner stores it.
	KeepLearner(ctx context.Context, l Learner) error
	// Switch plays another branch.
	Switch(ctx context.Context, session int64, name string) (Session, error)
}

// ExampleStore keeps example lines with their vectors.
type ExampleStore interface {
	// Examples returns every example with vectors made by this model, in a stable order; none when none were stored.
	Examples(ctx context.Context, model string) ([]StoredExample, error)
	// ReplaceExamples stores the examples with their vectors for this model, in one transaction, in place of all of the
	// given origins; kept lines (FromPlayer) survive.
	ReplaceExamples(ctx context.Context, model string, examples []StoredExample) error
	// KeepExample adds one line that the player kept.
	KeepExample(ctx context.Context, model string, example StoredExample) error
}

// StoredExample is an example with its vectors, unit length, float32 [256] each.
type StoredExample struct {
	ID int64
	Example
	Response []float32 // response head of Says
	Voice    []float32 // voice head of Says
	Line     []float32 // line head of You
}

// Weighted is a persona in a prompt: the text the Persona Encoder reads, and its share in the blend.
type Weighted struct {
	ID          string
	Description string
	Weight      float64
}

// Spoken is one turn of a prompt. Name is empty for the player.
type Spoken struct {
	Player bool
	Name   string
	Text   string
}

// Prompt is all that a reply depends on, but the seed.
type Prompt struct {
	Scene    string     // turn 0
	Turns    []Spoken   // oldest first
	Name     string     // whose reply is wanted
	Blend    []Weighted // empty: the null persona
	Strength float64    // guidance γ: 0 null, 1 plain, above 1 stronger
	Shown    []Exchange // demonstrations: written exchanges near in topic and manner, which the decoder sees too
}

// Exchange is a line of the player's and what a character answered.
type Exchange struct{ You, Says string }

// Reading is what the heads make of a text read alone; unit vectors [256].
type Reading struct {
	Response []float32
	Voice    []float32
	Line     []float32
	State    []float32 // of a player's line: the encoder's states themselves, averaged, at the model's width
}

// Draft is a reply made by the decoder.
type Draft struct {
	Text     string
	LogProb  float64 // mean per token under the blend, at temperature 1
	Tokens   int
	Finished bool // ended by itself, not by the cap
}

// Mind is the model as the engine sees it. It caches what it has read of the talk and of each persona; calls are serialised.
type Mind interface {
	// Model is a hash of base and adapter; Kernel names the kernel path.
	Model() string
	Kernel() string
	// Read brings the encoder memory up to the prompt's turns and returns the reply head's vector [256] for a reply that
	// would come now.
	Read(ctx context.Context, p Prompt) ([]float32, error)
	// Draft samples n replies in one batch. The same prompt, n, settings and seed give the same drafts.
	Draft(ctx context.Context, p Prompt, n int, seed uint64) ([]Draft, error)
	// Score returns the mean log-likelihood per token of each text as the next reply.
	Score(ctx context.Context, p Prompt, texts []string) ([]float64, error)
	// Readings reads each text alone, as a character's line (or as the player's, for Line).
	Readings(ctx context.Context, texts []string, player bool) ([]Reading, error)
	// PersonaVector returns the unit vector p [256] of a description.
	PersonaVector(ctx context.Context, description string) ([]float32, error)
	// Tidy does what is left for between turns: reads again what the window dropped.
	Tidy(ctx context.Context, p Prompt) error
}

// Query asks for examples near a moment of a talk.
type Query struct {
	Want     []float32          // reply head's vector
	Line     []float32          // line head of the player's last line
	Text     string             // the player's last line
	Personas map[string]float64 // whose lines, with weights
	Place    string             // "STORY/SCENE": its lines count
	Borrow   bool               // other personas' borrowable lines too
	Voice    []float32          // p̄ of the blend, to choose whom to borrow from
	Used     map[string]bool    // texts already said in this talk
}

// Found is an example found, with its score and its vectors' views.
type Found struct {
	*StoredExample
	Score   float64
	Answers float64 // how like the player's line is to the line that it answered, in [0, 1]; 1 is the same
}

// Retriever finds examples.
type Retriever interface {
	Retrieve(ctx context.Context, q Query, m int) ([]Found, error)
	// Demonstrate returns up to m written exchanges of any persona that are near the query in topic (its text and Line) and
	// manner (its Voice), best first, none of them said in this talk.
	Demonstrate(ctx context.Context, q Query, m int) ([]Exchange, error)
	// Nearest returns the example of these personas nearest to a response vector, the line not itself left aside.
	Nearest(response []float32, personas map[string]float64, not string) (Found, bool)
	// Voices returns the centre of a persona's example lines in persona space and how many there are.
	Voices(persona string) ([]float32, int)
}

// Case is what judges know of a moment.
type Case struct {
	Prompt   Prompt
	Want     []float32   // reply head's vector
	Voices   [][]float32 // p of each persona of Prompt.Blend, in its order
	Rivals   [][]float32 // p of distractors
	Goals    []Goal
	Distance float64         // goal distance before the reply; −1 without a goal
	Used     map[string]bool // texts already said in this talk
}

// Judge gives each candidate its rewards, nearest example and total.
type Judge interface {
	Judge(ctx context.Context, c Case, candidates []Candidate, found []Found) error
	// Weights are the weights of the rewards.
	Weights() Rewards
}

// Tracker follows what the player means and how far the goals are.
type Tracker interface {
	// Intents tells which of the story's intents a line means.
	Intents(ctx context.Context, s *Story, line string) (map[string]bool, error)
	// Distance tells how far a goal is after the talk so far, 1 → 0.
	Distance(ctx context.Context, g *Goal, said []Spoken) (float64, error)
	// Means tells whether a line has one meaning.
	Means(ctx context.Context, in *Intent, line string) (bool, error)
	// Mood estimates the player's mood from what was said.
	Mood(ctx context.Context, said []Spoken) (string, error)
}
