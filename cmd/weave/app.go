package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"

	"github.com/adrg/xdg"
	"golang.org/x/term"

	"github.com/personaweave/personaweave/engine"
	"github.com/personaweave/personaweave/engine/gguf"
	"github.com/personaweave/personaweave/engine/persona"
	"github.com/personaweave/personaweave/engine/reward"
	"github.com/personaweave/personaweave/engine/seq2seq"
	"github.com/personaweave/personaweave/engine/weights"
	"github.com/personaweave/personaweave/saves"
	"github.com/personaweave/personaweave/stories"
)

// classifierScale is the scale of the persona classifier's softmax in play.
const classifierScale = 12

// app holds what commands share; parts are made when a command first asks for them.
type app struct {
	in        io.Reader
	out, errs io.Writer
	modelPath string
	screen    bool // the whole terminal is the screen's

	library *stories.Library
	store   *saves.Saves
	mind    *persona.Mind // the model that reads, and speaks where there is no other
	own     *persona.Mind // the player's own, which speaks
	shelf   *persona.Shelf
	game    *engine.Engine
	filling atomic.Pointer[string] // how far the examples' vectors are; nil: nothing to tell
}

func (a *app) close() {
	if a.game != nil {
		a.game.Close()
	}
	for _, mind := range []*persona.Mind{a.mind, a.own} {
		if mind != nil && mind.Model() != "" {
			if m, err := mind.Seq2Seq(context.Background()); err == nil {
				m.Settle()
			}
		}
	}
	if a.store != nil {
		_ = a.store.Close()
	}
}

// dataDir is the folder of the player's own data.
func dataDir() (string, error) {
	path, err := saves.DefaultPath()
	return filepath.Dir(path), err
}

// cacheDir is where packed weights are kept between runs.
func cacheDir() string {
	if d := os.Getenv("WEAVE_CACHE"); d != "" {
		return d
	}
	return filepath.Join(xdg.CacheHome, "personaweave")
}

// stories opens the library: what ships, and the player's own folder over it.
func (a *app) content() (*stories.Library, error) {
	if a.library != nil {
		return a.library, nil
	}
	dir, err := dataDir()
	if err != nil {
		return nil, err
	}
	l, err := stories.Open(dir)
	if err != nil {
		return nil, err
	}
	for _, p := range l.Problems() {
		fmt.Fprintf(a.errs, "weave: left out: %s\n", oneLine(p))
	}
	a.library = l
	return l, nil
}

// data opens the saves.
func (a *app) data() (*saves.Saves, error) {
	if a.store != nil {
		return a.store, nil
	}
	path, err := saves.DefaultPath()
	if err != nil {
		return nil, err
	}
	s, err := saves.Open(path)
	if err != nil {
		return nil, err
	}
	a.store = s
	return s, nil
}

// loadFile loads a GGUF as it is, without an adapter; hint, where there is one, is what else to do about a file that is not there.
func loadFile(path, hint string) (*seq2seq.Model, error) {
	data, err := gguf.Map(path)
	if err != nil {
		return nil, &engine.Error{Code: engine.NotFound, Message: err.Error(), Hint: hint} // err says what to do
	}
	return seq2seq.Load(seq2seq.Source{Base: data, Name: path, CacheDir: cacheDir()})
}

// loadShipped loads the base with our adapter.
func loadShipped() (*seq2seq.Model, error) {
	adapter := weights.Adapter()
	if path := os.Getenv("WEAVE_ADAPTER"); path != "" {
		b, err := os.ReadFile(path)
		if err != nil {
			return nil, &engine.Error{Code: engine.NotFound, Message: fmt.Sprintf("cannot read the adapter: %v", err), Hint: "unset WEAVE_ADAPTER, or give the path of a safetensors file"}
		}
		adapter = b
	}
	return seq2seq.Load(seq2seq.Source{Base: weights.Base(), BaseHash: weights.BaseHash, Adapter: adapter, CacheDir: cacheDir()})
}

// think begins to load the model that reads: the shipped one, whoever speaks. Beside the player's own, WEAVE_READER names another,
// with untrained heads: what tests need that cannot wait.
func (a *app) think() *persona.Mind {
	if a.mind == nil {
		load := loadShipped
		if path := os.Getenv("WEAVE_READER"); path != "" && a.chosenModel() != "" {
			load = func() (*seq2seq.Model, error) { return loadFile(path, "") }
		}
		a.mind = persona.NewMind(load)
	}
	return a.mind
}

// speaker begins to load the model that speaks: the player's own where there is one.
func (a *app) speaker() *persona.Mind {
	path, hint := a.chosenModel(), ""
	if path == "" {
		return a.think()
	}
	if a.modelPath == "" {
		hint = "or play with the shipped model: weave model use shipped"
	}
	if a.own == nil {
		a.own = persona.NewMind(func() (*seq2seq.Model, error) { return loadFile(path, hint) })
	}
	return a.own
}

// minds is what plays: one model, or the player's own beside the one that reads.
func (a *app) minds() interface {
	engine.Mind
	engine.Readier
} {
	if a.chosenModel() == "" {
		return a.think()
	}
	return persona.Duo{Speaker: a.speaker(), Reader: a.think()}
}

// untuned tells plainly that the player's own model speaks, and is empty where the shipped one does.
func (a *app) untuned() string {
	path := a.chosenModel()
	if path == "" {
		return ""
	}
	return "untuned model " + engine.Printable(strings.TrimSuffix(filepath.Base(path), ".gguf"))
}

// engine wires the parts. The model loads and the examples get their vectors in the background; held-out lines are for play, not
// for measuring, so measuring leaves them out.
func (a *app) engine(store engine.Store, examples engine.ExampleStore, heldOut bool) (*engine.Engine, error) {
	content, err := a.content()
	if err != nil {
		return nil, err
	}
	mind, reader := a.minds(), a.think()
	a.shelf = persona.NewShelf(func() ([]engine.StoredExample, error) {
		lines, err := content.Examples(heldOut)
		if err != nil {
			return nil, err
		}
		var shipped *persona.Vectors
		if b := weights.Vectors(); b != nil {
			if shipped, err = persona.ReadVectors(b); err != nil {
				return nil, err
			}
		}
		defer a.filling.Store(nil)
		return persona.Fill(context.Background(), reader, examples, shipped, lines, a.fill)
	})
	tracker, err := a.tracker()
	if err != nil {
		return nil, err
	}
	a.game = engine.New(engine.Deps{Content: content, Store: store, Mind: mind, Retriever: a.shelf, Tracker: tracker,
		Judge: &reward.Judge{Mind: mind, Retriever: a.shelf, W: reward.DefaultWeights(), Scale: classifierScale}})
	return a.game, nil
}

// fill tells how far the examples are: to the screen that asks, and on a terminal without one.
func (a *app) fill(done, of int) {
	s := fmt.Sprintf("reading the examples, %d of %d", done, of)
	a.filling.Store(&s)
	if f, ok := a.errs.(*os.File); ok && !a.screen && term.IsTerminal(int(f.Fd())) {
		end := ""
		if done == of {
			end = "\r\x1b[K"
		}
		fmt.Fprintf(f, "\r%s %s", s, end)
	}
}

// open is engine over the player's saves.
func (a *app) open() (*engine.Engine, error) {
	store, err := a.data()
	if err != nil {
		return nil, err
	}
	return a.engine(store, store, true)
}
