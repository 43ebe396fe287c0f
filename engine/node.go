package engine

import "time"

// NodeKind says who speaks in a node.
type NodeKind string

// The kinds of node.
const (
	Narration NodeKind = "narration" // authored text; Speaker is empty
	Player    NodeKind = "player"
	Character NodeKind = "character" // Speaker is a persona id
	Command   NodeKind = "command"   // what the player told the program (/blend, /become …), shown dimly, never read by the model
)

// Node is one turn in the turn tree. A path from root to leaf is a branch; nodes with the same parent are siblings (swipes).
type Node struct {
	ID      int64 // 0 until stored
	Session int64
	Parent  int64 // 0 for the root
	Kind    NodeKind
	Speaker string
	Text    string
	State   State  // after this node
	Reply   *Reply // of a character's node, else nil
	Created time.Time
}

// Reply is what is stored of how a character's reply was made, enough to make it again.
type Reply struct {
	Candidates  []Candidate        `json:"candidates"`
	Chosen      int                `json:"chosen"`
	Blend       Blend              `json:"blend"`
	Strength    float64            `json:"strength"`
	Seed        uint64             `json:"seed"`
	Model       string             `json:"model"`  // hash of the weights
	Kernel      string             `json:"kernel"` // kernel path
	Weights     Rewards            `json:"weights"`
	Consistency float64            `json:"consistency"` // the chosen candidate's persona consistency in [0, 1]
	Goal        float64            `json:"goal"`        // goal distance after the reply in [0, 1]; −1 without a goal
	TimingsMS   map[string]float64 `json:"timings_ms,omitempty"`
}

// Source says where a candidate came from.
type Source string

// The sources of candidates.
const (
	Generated Source = "generated"
	Retrieved Source = "retrieved"
	Edited    Source = "edited" // written by the player in place of the character
)

// Candidate is a possible reply with its rewards.
type Candidate struct {
	Text       string  `json:"text"`
	Source     Source  `json:"source"`
	Rewards    Rewards `json:"rewards"`
	Total      float64 `json:"total"`
	Nearest    string  `json:"nearest,omitempty"`     // nearest example line of the blend's personas
	Likeness   float64 `json:"likeness,omitempty"`    // its similarity
	Of         string  `json:"of,omitempty"`          // retrieved: the persona whose line it is
	LogProb    float64 `json:"logprob,omitempty"`     // mean log-likelihood per token under the blend; of a written line, of its first words
	LogProb0   float64 `json:"logprob0,omitempty"`    // the same under the null persona, where it was computed
	ClosesGoal float64 `json:"closes_goal,omitempty"` // by how much the goal distance would fall
}

// Rewards is one number per judge; the same shape holds the judges' weights.
type Rewards struct {
	Goal       float64 `json:"goal"`       // fall of the goal distance
	Classifier float64 `json:"classifier"` // the persona classifier's agreement with the blend, [0, 1]
	Similarity float64 `json:"similarity"` // cosine to the nearest example of the blend's personas
	Relevance  float64 `json:"relevance"`  // does it answer: reply head · response head; of a line of its own, at least the likeness of what it answered
	Coherence  float64 `json:"coherence"`  // log-likelihood, mapped to [0, 1]; a line of its own counts half as fluent already
	Repetition float64 `json:"repetition"` // −1 for a line already said … 0
	Length     float64 `json:"length"`     // −1 … 0: too short, too long, unfinished
}

// Names lists the judges in the order of Values.
func (Rewards) Names() []string {
	return []string{"goal", "classifier", "similarity", "relevance", "coherence", "repetition", "length"}
}

// Values lists the numbers in the order of Names.
func (r Rewards) Values() []float64 {
	return []float64{r.Goal, r.Classifier, r.Similarity, r.Relevance, r.Coherence, r.Repetition, r.Length}
}

// Dot is the weighted sum of two vectors of rewards.
func (r Rewards) Dot(w Rewards) float64 {
	sum := 0.0
	for i, v := range r.Values() {
		sum += v * w.Values()[i]
	}
	return sum
}

// Session is one playthrough of a story.
type Session struct {
	ID      int64
	Story   string
	Name    string // given by the player; may be empty
	Seed    uint64
	Branch  string // the branch being played
	Head    int64  // its last node
	Turns   int    // player turns on the path to Head
	Scene   string // scene of Head
	Ended   string // ending reached at Head
	Created time.Time
	Played  time.Time
}

// Branch is a named leaf of a session's turn tree.
type Branch struct {
	Name string
	Head int64
}
