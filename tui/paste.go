package tui

import (
	"github.com/charmbracelet/x/term"
)

// pasteMost is how many bytes of one paste are let through; the rest is read and dropped, so that a paste of any size costs
// what it takes to read it. It is well above what a line can hold, so that the cut is noticed where lines are cut.
const pasteMost = 64 << 10

const (
	pasteBegin = "\x1b[200~"
	pasteEnd   = "\x1b[201~"
)

// pasteReader is a terminal whose bracketed pastes are capped. Every other byte passes as it is.
type pasteReader struct {
	term.File
	inside  bool
	matched int // bytes of the mark that is awaited
	passed  int // bytes of this paste
	drop    bool
}

// Name is the file's name: with it a read under way can be cancelled.
func (r *pasteReader) Name() string {
	if f, ok := r.File.(interface{ Name() string }); ok {
		return f.Name()
	}
	return ""
}

// Read reads at least one byte into p, unless there is an error.
func (r *pasteReader) Read(p []byte) (int, error) {
	for {
		buf := p
		if r.drop && len(p) > len(pasteEnd) { // a mark that began in the read before is written whole
			buf = p[:len(p)-len(pasteEnd)]
		}
		n, err := r.File.Read(buf)
		in := append([]byte(nil), buf[:n]...)
		out := p[:0]
		for _, c := range in {
			out = r.pass(out, c)
		}
		if len(out) > 0 || err != nil || n == 0 {
			return len(out), err
		}
	}
}

// pass appends what one byte lets through.
func (r *pasteReader) pass(out []byte, c byte) []byte {
	mark := pasteBegin
	if r.inside {
		mark = pasteEnd
	}
	switch {
	case c == mark[r.matched]:
		r.matched++
	case c == mark[0]:
		r.matched = 1
	default:
		r.matched = 0
	}
	whole := r.matched == len(mark)
	if !r.drop {
		out = append(out, c)
	} else if whole {
		out = append(out, mark...)
	}
	if whole {
		*r = pasteReader{File: r.File, inside: !r.inside}
		return out
	}
	if r.inside {
		r.passed++
		if r.passed >= pasteMost && r.matched == 0 {
			r.drop = true
		}
	}
	return out
}
