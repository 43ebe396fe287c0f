// Package stories is the content: personas, stories and the lines common to all, embedded as YAML and read from the player's own
// folders. Its loader is strict: whatever is wrong in a file is told with file and line. It must not know the model, storage or
// screens.
package stories

import (
	"cmp"
	"embed"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/personaweave/personaweave/engine"
)

//go:embed common.yaml heldout.yaml */*.yaml dialogues/*.jsonl.gz dialogues/split.json
var embedded embed.FS

// newcomers is the story that stands first in the library.
const newcomers = "drowned-library"

// Library is what can be played. It implements engine.Content, never changes and may be used from any goroutine.
type Library struct {
	stories  []*engine.Story
	personas []*engine.Persona
	common   []CommonLine
	held     []CommonLine
	walks    map[string][]Walkthrough // by story id
	problems []error
	known    known
	lines    func() ([]engine.Example, error)
}

var _ engine.Content = (*Library)(nil)

// root is a folder with personas/ and library/.
type root struct {
	fs.FS
	name string // stands before paths in problems
}

// Open reads the embedded library and, over it, the player's own folders, each with personas/*.yaml and library/*.yaml; a
// persona or story there replaces one with the same id. Folders that do not exist are passed over, and so are own files with
// a mistake, which Problems tells.
func Open(dirs ...string) (*Library, error) {
	var roots []root
	for _, d := range dirs {
		roots = append(roots, root{os.DirFS(d), strings.TrimRight(d, "/") + "/"})
	}
	return open(roots)
}

// OpenFS is Open with folders of any kind.
func OpenFS(folders ...fs.FS) (*Library, error) {
	var roots []root
	for _, f := range folders {
		roots = append(roots, root{f, ""})
	}
	return open(roots)
}

func open(own []root) (*Library, error) {
	l, err := load(append([]root{{embedded, "stories/"}}, own...))
	if err != nil {
		return nil, err
	}
	l.lines = sync.OnceValues(func() ([]engine.Example, error) { return l.gather(embedded) })
	return l, nil
}

// source is a file of the library, parsed.
type source struct {
	*file
	root value
	base int // index of its folder; 0 is embedded
	id   string
}

// load reads every folder; the first must be without mistakes and hold common.yaml.
func load(roots []root) (*Library, error) {
	common, held := &source{file: &file{name: roots[0].name + "common.yaml"}}, &source{file: &file{name: roots[0].name + "heldout.yaml"}}
	var personas, stories []*source
	var wait sync.WaitGroup
	wait.Go(func() { common.root = common.open(roots[0].FS, "common.yaml") })
	wait.Go(func() { held.root = held.open(roots[0].FS, "heldout.yaml") })
	for i, r := range roots {
		for _, folder := range []string{"personas", "library"} {
			for _, p := range yamlFiles(r.FS, folder) {
				s := &source{file: &file{name: r.name + p}, base: i}
				if folder == "personas" {
					personas = append(personas, s)
				} else {
					stories = append(stories, s)
				}
				wait.Go(func() {
					s.root = s.open(r.FS, p)
					s.id = s.root.peek("id")
				})
			}
		}
	}
	wait.Wait()

	l := &Library{walks: map[string][]Walkthrough{}}
	if common.root.n != nil {
		l.common = readCommon(common.root)
	}
	if err := common.err(); err != nil {
		return nil, err
	}
	if held.root.n != nil {
		l.held = readCommon(held.root)
	}
	if err := held.err(); err != nil {
		return nil, err
	}
	for i := range l.held {
		l.held[i].HeldOut = true
	}
	l.known = known{common: map[string]CommonLine{}, broken: map[string]string{}, speaks: map[string]bool{}}
	for _, c := range l.common {
		l.known.common[c.ID] = c
	}
	if err := l.readPersonas(personas); err != nil {
		return nil, err
	}
	if err := l.readStories(stories); err != nil {
		return nil, err
	}
	return l, nil
}

// readPersonas makes personas of their sources, the later of two with one id from different folders winning.
func (l *Library) readPersonas(sources []*source) error {
	peeked := l.known
	for _, s := range sources {
		peeked.personas = append(peeked.personas, s.id)
	}
	out := make([]*engine.Persona, len(sources))
	each(sources, func(i int, s *source) {
		if s.root.n != nil {
			out[i] = readPersona(s.root, &peeked)
		}
	})
	kept, err := l.settle(sources, "persona")
	if err != nil {
		return err
	}
	for i, s := range sources {
		if kept[i] {
			l.personas = append(l.personas, out[i])
		} else if err := s.err(); err != nil && s.id != "" {
			l.known.broken[s.id] = err.(*engine.Error).Message
		}
	}
	slices.SortFunc(l.personas, func(a, b *engine.Persona) int { return strings.Compare(a.ID, b.ID) })
	for _, p := range l.personas {
		l.known.personas = append(l.known.personas, p.ID)
		delete(l.known.broken, p.ID)
		l.known.speaks[p.ID] = len(p.Examples) > 0
	}
	return nil
}

// readStories makes stories of their sources and puts them in the library's order: the newcomers' story, then stories,
// lessons and service talks by title.
func (l *Library) readStories(sources []*source) error {
	out := make([]story, len(sources))
	each(sources, func(i int, s *source) {
		if s.root.n != nil {
			out[i] = readStory(s.root, &l.known)
		}
	})
	kept, err := l.settle(sources, "story")
	if err != nil {
		return err
	}
	for i := range sources {
		if kept[i] {
			l.stories = append(l.stories, out[i].Story)
			l.walks[out[i].ID] = out[i].walkthroughs
		}
	}
	rank := func(s *engine.Story) int {
		if s.ID == newcomers {
			return -1
		}
		return slices.Index([]engine.StoryKind{engine.KindStory, engine.KindLesson, engine.KindService}, s.Kind)
	}
	slices.SortFunc(l.stories, func(a, b *engine.Story) int {
		return cmp.Or(rank(a)-rank(b), strings.Compare(a.Title, b.Title), strings.Compare(a.ID, b.ID))
	})
	return nil
}

// settle decides which sources stay: those without a mistake that no later folder replaces. A mistake in an embedded file is
// an error; one in the player's own is noted.
func (l *Library) settle(sources []*source, what string) ([]bool, error) {
	last := map[string]int{}
	for i, s := range sources {
		if before, twice := last[s.id]; twice && s.id != "" && sources[before].base == s.base {
			s.fail(s.root.peekLine("id"), "give each file an id of its own", "the %s id %q is that of %s too", what, s.id, sources[before].name)
		}
		if len(s.problems) == 0 {
			last[s.id] = i
		}
	}
	kept := make([]bool, len(sources))
	for i, s := range sources {
		if err := s.err(); err != nil {
			if s.base == 0 {
				return nil, err
			}
			l.problems = append(l.problems, err)
			continue
		}
		kept[i] = last[s.id] == i
	}
	return kept, nil
}

func each(sources []*source, do func(int, *source)) {
	var wait sync.WaitGroup
	for i, s := range sources {
		wait.Go(func() { do(i, s) })
	}
	wait.Wait()
}

// yamlFiles lists a folder's YAML files by name; none when it does not exist.
func yamlFiles(f fs.FS, folder string) []string {
	entries, err := fs.ReadDir(f, folder)
	if err != nil {
		return nil
	}
	var out []string
	for _, e := range entries {
		if ext := path.Ext(e.Name()); !e.IsDir() && (ext == ".yaml" || ext == ".yml") && !strings.HasPrefix(e.Name(), ".") {
			out = append(out, path.Join(folder, e.Name()))
		}
	}
	return out
}

// Stories lists stories in the order of the library; the first is what a newcomer is offered.
func (l *Library) Stories() []*engine.Story { return slices.Clone(l.stories) }

// Personas lists the cast by id.
func (l *Library) Personas() []*engine.Persona { return slices.Clone(l.personas) }

// Common lists the lines that players say to every character, in the order written.
func (l *Library) Common() []CommonLine { return slices.Clone(l.common) }

// HeldOut lists player lines that are for measuring only: nothing is trained on them, and nobody's examples answer them.
func (l *Library) HeldOut() []CommonLine { return slices.Clone(l.held) }

// Problems tells what is wrong with the player's own files, which were left out; each is an *engine.Error.
func (l *Library) Problems() []error { return slices.Clone(l.problems) }

// Story returns one story or an Error with code NotFound that names near matches.
func (l *Library) Story(id string) (*engine.Story, error) {
	ids := make([]string, len(l.stories))
	for i, s := range l.stories {
		if ids[i] = s.ID; s.ID == id {
			return s, nil
		}
	}
	return nil, missing("story", id, ids, "weave story list")
}

// Persona returns one persona or an Error with code NotFound that names near matches.
func (l *Library) Persona(id string) (*engine.Persona, error) {
	for _, p := range l.personas {
		if p.ID == id {
			return p, nil
		}
	}
	if why, ok := l.known.broken[id]; ok {
		return nil, &engine.Error{Code: engine.NotFound, Message: fmt.Sprintf("the persona %q was left out: %s", id, why),
			Hint: "mend its file; weave persona check FILE tells all that is wrong"}
	}
	return nil, missing("persona", id, l.known.personas, "weave persona list")
}

// Walkthroughs returns the ways through a story that its author wrote down; none for a story that does not exist.
func (l *Library) Walkthroughs(story string) []Walkthrough { return slices.Clone(l.walks[story]) }
