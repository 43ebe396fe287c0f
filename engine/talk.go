package engine

import "slices"

// Talk is a snapshot of a session at play. It is immutable: every operation of Engine returns a new one.
type Talk struct {
	Story   *Story
	Session Session
	Path    []Node // root → head
}

// State is the game state at the head.
func (t *Talk) State() State {
	if len(t.Path) == 0 {
		return State{Strength: 1}
	}
	return t.Path[len(t.Path)-1].State
}

// Scene is the scene at the head; nil only for a story that lost it.
func (t *Talk) Scene() *Scene {
	s, _ := t.Story.Scene(t.State().Scene)
	return s
}

// LastReply is the index in Path of the last character's node, or −1.
func (t *Talk) LastReply() int {
	for i, n := range slices.Backward(t.Path) {
		if n.Kind == Character {
			return i
		}
	}
	return -1
}

// with returns the talk with more nodes at its end.
func (t *Talk) with(s Session, nodes ...*Node) *Talk {
	path := slices.Grow(slices.Clip(t.Path), len(nodes))
	for _, n := range nodes {
		path = append(path, *n)
	}
	return &Talk{Story: t.Story, Session: s, Path: path}
}
