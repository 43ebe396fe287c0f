package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/personaweave/personaweave/engine"
	"github.com/personaweave/personaweave/saves"
)

// program is a running weave: a test writes its input and reads its output line by line.
type program struct {
	*exec.Cmd
	in    io.WriteCloser
	errs  bytes.Buffer
	lines chan string // closed at the end of the output
	seen  []string    // lines taken from lines
}

// start runs weave over a data folder.
func start(t *testing.T, data string, args ...string) *program {
	t.Helper()
	p := &program{Cmd: exec.Command("weave", args...), lines: make(chan string, 1000)}
	p.Env = append(os.Environ(), "WEAVE_DATA="+data)
	p.Stderr = &p.errs
	in, err := p.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.in = in
	out, err := p.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Process.Kill() })
	go func() {
		defer close(p.lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			p.lines <- s.Text()
		}
	}()
	return p
}

// say writes lines of the player's.
func (p *program) say(t *testing.T, lines ...string) {
	t.Helper()
	if _, err := io.WriteString(p.in, strings.Join(lines, "\n")+"\n"); err != nil {
		t.Fatalf("%v; stderr: %s", err, &p.errs)
	}
}

// until waits for a line that begins so.
func (p *program) until(t *testing.T, prefix string) {
	t.Helper()
	late := time.After(5 * time.Minute)
	for {
		select {
		case line, ok := <-p.lines:
			if !ok {
				t.Fatalf("it ended before %q: %q, stderr: %s", prefix, p.seen, &p.errs)
			}
			p.seen = append(p.seen, line)
			if strings.HasPrefix(line, prefix) {
				return
			}
		case <-late:
			t.Fatalf("no %q: %q", prefix, p.seen)
		}
	}
}

// turn says a line and waits until its turn is over.
func (p *program) turn(t *testing.T, line string) time.Duration {
	t.Helper()
	begin := time.Now()
	p.say(t, line, "/branches")
	p.until(t, "* branches: ")
	return time.Since(begin)
}

// end reads what is left and waits.
func (p *program) end() error {
	for line := range p.lines {
		p.seen = append(p.seen, line)
	}
	return p.Wait()
}

// leave ends the input; the program must end well.
func (p *program) leave(t *testing.T) {
	t.Helper()
	_ = p.in.Close()
	if err := p.end(); err != nil || p.errs.Len() > 0 {
		t.Fatalf("%v; stderr: %s", err, &p.errs)
	}
}

// kept is what a file of saves holds: every session's path by the session's id.
type kept struct {
	newest engine.Session
	paths  map[int64][]engine.Node
}

// look opens the saves of a data folder and checks them.
func look(t *testing.T, data string) kept {
	t.Helper()
	ctx := context.Background()
	s, err := saves.Open(filepath.Join(data, "weave.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Check(ctx); err != nil {
		t.Fatal(err)
	}
	all, err := s.Sessions(ctx, "")
	if err != nil || len(all) == 0 {
		t.Fatal(len(all), err)
	}
	k := kept{all[0], map[int64][]engine.Node{}}
	for _, x := range all {
		if k.paths[x.ID], err = s.Path(ctx, x.ID, x.Head); err != nil {
			t.Fatal(err)
		}
	}
	return k
}

// holds tells whether every path of an earlier look is the beginning of the same path now.
func (k kept) holds(t *testing.T, before kept) {
	t.Helper()
	text := func(n engine.Node) string {
		b, err := json.Marshal(n)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	for id, path := range before.paths {
		if len(k.paths[id]) < len(path) {
			t.Fatalf("save %d: %d turns were committed, %d are left", id, len(path), len(k.paths[id]))
		}
		for i, n := range path {
			if now := k.paths[id][i]; text(now) != text(n) {
				t.Fatalf("save %d: turn %d was %s and is %s", id, i, text(n), text(now))
			}
		}
	}
}

// shown tells whether every line that the newest save's transcript showed is stored.
func (k kept) shown(t *testing.T, transcript []string) {
	t.Helper()
	for _, line := range transcript[1:] { // the first is the title
		if strings.HasPrefix(line, "* ") {
			continue
		}
		if !slices.ContainsFunc(k.paths[k.newest.ID], func(n engine.Node) bool {
			text := strings.Join(strings.Fields(n.Text), " ")
			return line == text || strings.HasSuffix(line, ": "+text)
		}) {
			t.Errorf("%q was shown and is not stored", line)
		}
	}
}

// Killed at any moment of a reply, the program loses at most that reply: every save opens, what was committed before is there
// as it was, what was shown is stored, and the next start plays on.
//
// WEAVE_KILLS=50 kills 50 times and plays with the shipped model; without it the suite kills 3 times and plays with the tiny
// model. WEAVE_SEED repeats the moments of an earlier run, as far as the machine is as fast.
func TestKilledInReply(t *testing.T) {
	t.Parallel()
	kills, seed, args := 3, rand.Uint64(), []string{"play", "drowned-library", "--plain"}
	if many := os.Getenv("WEAVE_KILLS"); many != "" {
		n, err := strconv.Atoi(many)
		if err != nil {
			t.Fatal("WEAVE_KILLS:", err)
		}
		kills = n
	} else {
		args = append(args, "--model", tiny(t))
	}
	if s := os.Getenv("WEAVE_SEED"); s != "" {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatal("WEAVE_SEED:", err)
		}
		seed = n
	}
	t.Logf("WEAVE_SEED=%d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	data := t.TempDir()
	begin := func(before kept) *program {
		a := args
		if before.newest.Ended != "" {
			a = append(slices.Clone(args), "--new")
		}
		p := start(t, data, a...)
		p.until(t, "* scene: ")
		return p
	}
	// Two runs to the end: the first reads the example lines, the second shows how long a turn takes.
	var first, next time.Duration
	var before kept
	for i := range 2 {
		p := begin(before)
		first = p.turn(t, fmt.Sprintf("hello, this is run %d", i))
		next = p.turn(t, "and what is this place?")
		p.leave(t)
		after := look(t, data)
		after.holds(t, before)
		after.shown(t, p.seen)
		before = after
	}
	var early, between, late int
	for i := range kills {
		p := begin(before)
		took, whole := first, "" // the first turn waits for the model too
		if r.IntN(2) == 0 {
			took, whole = next, fmt.Sprintf("who are you, for the time %d?", i)
			p.turn(t, whole)
		}
		line := fmt.Sprintf("what is that, for the time %d?", i)
		p.say(t, line)
		time.Sleep(time.Duration(1.1 * r.Float64() * float64(took)))
		if err := p.Process.Kill(); err != nil {
			t.Fatalf("it had ended before it was killed: %v; stderr: %s", err, &p.errs)
		}
		if err := p.end(); err == nil || p.errs.Len() > 0 {
			t.Fatalf("killed: %v; stderr: %s", err, &p.errs)
		}
		after := look(t, data)
		after.holds(t, before)
		after.shown(t, p.seen)
		path := after.paths[after.newest.ID]
		if whole != "" && !slices.ContainsFunc(path, func(n engine.Node) bool { return n.Text == whole }) {
			t.Errorf("%q was answered and is gone", whole)
		}
		switch at := slices.IndexFunc(path, func(n engine.Node) bool { return n.Text == line }); {
		case at < 0:
			early++
		case slices.ContainsFunc(path[at:], func(n engine.Node) bool { return n.Kind == engine.Character }):
			late++
		default:
			between++
		}
		before = after
	}
	t.Logf("%d kills: %d before the player's line was stored, %d between line and reply, %d after the reply", kills, early, between, late)
	p := begin(before)
	p.turn(t, "I am still here")
	p.leave(t)
	after := look(t, data)
	after.holds(t, before)
	if now := after.paths[after.newest.ID]; now[len(now)-1].Kind == engine.Player {
		t.Error("the last line got no answer")
	}
	check := start(t, data, "saves", "check")
	check.leave(t)
	if want := fmt.Sprintf("%d saves are well", len(after.paths)); !slices.Equal(check.seen, []string{want}) {
		t.Errorf("saves check: %q, want %q", check.seen, want)
	}
}

// Two programs play one save: both go on, and what each player said stays within reach of a branch.
func TestTwoProgramsPlayOneSave(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	var both []*program
	for range 2 {
		p := start(t, data, "play", "drowned-library", "--plain", "--model", tiny(t))
		p.until(t, "* scene: ")
		both = append(both, p)
	}
	var said []string
	for i := range 4 {
		line := fmt.Sprintf("this is line %d", i)
		said = append(said, line)
		both[i%2].turn(t, line)
	}
	for _, p := range both {
		p.leave(t)
	}
	k := look(t, data)
	if len(k.paths) != 1 {
		t.Fatalf("%d saves", len(k.paths))
	}
	s, err := saves.Open(filepath.Join(data, "weave.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	branches, err := s.Branches(t.Context(), k.newest.ID)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, b := range branches {
		path, err := s.Path(t.Context(), k.newest.ID, b.Head)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range path {
			found[n.Text] = true
		}
	}
	for _, line := range said {
		if !found[line] {
			t.Errorf("%q is out of reach", line)
		}
	}
}
