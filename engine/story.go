package engine

// StoryKind tells stories, lessons and service talks apart.
type StoryKind string

// The kinds of a story.
const (
	KindStory   StoryKind = "story"
	KindLesson  StoryKind = "lesson"
	KindService StoryKind = "service"
)

// Story is what an author wrote for players to walk through.
type Story struct {
	ID      string
	Title   string
	Kind    StoryKind
	Summary string
	Cast    []string // persona ids
	Scenes  []Scene  // the first is where a story begins
	Intents map[string]Intent
	Endings map[string]Ending
	Skills  []Skill          // of a lesson
	Pace    map[Pace]Manner  // of a lesson
	Voices  map[string]Voice // of a lesson, by persona id
	Report  []Measure        // what a talk is scored by when it ends
	Source  string           // file it came from
}

// Scene returns the scene with this id.
func (s *Story) Scene(id string) (*Scene, bool) {
	for i := range s.Scenes {
		if s.Scenes[i].ID == id {
			return &s.Scenes[i], true
		}
	}
	return nil, false
}

// Scene is one place and time of a story.
type Scene struct {
	ID       string
	Title    string
	Setting  string   // turn 0 of the dialogue: what the model reads of the place
	Opening  string   // narration shown when the scene begins
	Present  []string // persona ids
	Goals    []Goal
	Steps    []Step // the questions of a lesson
	Beats    []Beat
	Blend    map[string]Blend // starting target of each speaker; missing: the speaker alone
	Examples map[string][]Example
}

// Goal is what a scene works toward.
type Goal struct {
	ID          string
	Want        string
	ReachedLike []string  // lines that sound like the goal reached
	Done        Condition // nil: never done by rule
}

// Intent is a meaning a player's line can have, told by likeness to written lines.
type Intent struct {
	Like   []string
	Unlike []string // near misses
	Needs  []string // each names words by their beginnings, with | between: one of each must stand in the line
	Never  []string // the same, and none may
}

// Beat is a rule of a scene: when its condition holds after a player's line, its effects follow, once unless Repeat.
type Beat struct {
	ID      string // unique in the story
	When    Condition
	Narrate string
	Set     map[string]any   // flags: bool, number or string; a string that starts with "+" or "-" and a number adds to the flag
	Blend   map[string]Blend // new targets by speaker
	Cause   string           // why the blend moves, shown beside the bars
	Goto    string           // a scene id, or "end:ENDING"
	Repeat  bool
}

// Ending is one way a story ends.
type Ending struct {
	Title   string
	When    Condition // nil: reached only by goto
	Narrate string
}

// Condition is a rule over a talk's facts, compiled by the content's loader.
type Condition interface {
	// Holds evaluates the rule.
	Holds(Facts) (bool, error)
	// String returns the rule as it was written.
	String() string
}

// LineFacts are what can be counted in a player's line.
type LineFacts struct {
	Words     int     `json:"words"`
	Capitals  float64 `json:"capitals"` // share of its letters, in lines of 8 letters or more
	Questions int     `json:"questions"`
	Exclaims  int     `json:"exclaims"`
}

// Facts are what a condition can see: turn, visits, said.INTENT, flag.ID, goal.ID, mood.WHO, blend.WHO.PERSONA, line.COUNT, and in
// lessons lesson.FACT and mastery.SKILL.
type Facts struct {
	Line   LineFacts
	Lesson *Lesson // nil outside lessons
	Turn   int
	Visits int
	Said   map[string]bool
	Flag   map[string]any
	Goal   map[string]float64
	Mood   map[string]string
	Blend  map[string]Blend
}
