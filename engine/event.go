package engine

// Event is something that happened while a turn was made. Each carries the turn's id, so that a stale one can be dropped.
type Event interface{ TurnID() int64 }

// TurnOf is embedded by every event.
type TurnOf struct{ Turn int64 }

// TurnID returns the id of the turn the event belongs to.
func (t TurnOf) TurnID() int64 { return t.Turn }

// The events of a turn, in the order in which they can come.
type (
	// Committed: a node is stored. It comes for the player's line, narration and the reply alike.
	Committed struct {
		TurnOf
		Node Node
	}
	// GoalMoved: a goal's distance after the player's line or the reply.
	GoalMoved struct {
		TurnOf
		Goal     string
		Distance float64
		Done     bool
	}
	// BlendMoved: a speaker's blend took a step.
	BlendMoved struct {
		TurnOf
		Speaker  string
		From, To Blend
		Target   Blend
		Cause    string
	}
	// SceneChanged: the story went to another scene.
	SceneChanged struct {
		TurnOf
		Scene string
	}
	// Thinking: candidates are being made for this speaker.
	Thinking struct {
		TurnOf
		Speaker string
	}
	// Ended: the story reached an ending.
	Ended struct {
		TurnOf
		Ending string
		Title  string
	}
	// Noticed: something the player should know (nobody is here to answer; a long line was cut).
	Noticed struct {
		TurnOf
		Text string
	}
)
