package engine

import "errors"

// Code tells a program what kind of failure an Error is.
type Code string

// The codes of an Error.
const (
	NotFound     Code = "not_found"    // a story, persona, save or file that does not exist
	Invalid      Code = "invalid"      // input that cannot be used as it is
	Damaged      Code = "damaged"      // a file that is not what it should be
	Incompatible Code = "incompatible" // a file of another version, base or shape
	Unwritable   Code = "unwritable"   // no permission, a full disk, a read-only folder
	Busy         Code = "busy"         // another program holds it
	Internal     Code = "internal"     // our own mistake
)

// Error is a failure at the edge of the domain: what happened, in words for a player, and what to do next.
type Error struct {
	Code    Code
	Message string // what happened, one line, no full stop
	Hint    string // what to do next, one line; may be empty
	Err     error  // the cause; may be nil
}

// Error returns one line: message, cause and hint.
func (e *Error) Error() string {
	s := e.Message
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	if e.Hint != "" {
		s += "; " + e.Hint
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// CodeOf returns the code of the first Error in err's chain, or Internal.
func CodeOf(err error) Code {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return Internal
}
