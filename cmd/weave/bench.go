package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/personaweave/personaweave/engine"
	"github.com/personaweave/personaweave/engine/kernel"
	"github.com/personaweave/personaweave/engine/persona"
	"github.com/personaweave/personaweave/engine/seq2seq"
	"github.com/personaweave/personaweave/saves"
	"github.com/personaweave/personaweave/tui"
)

// measured is what `weave bench --json` prints. Times are medians; memory is the peak of a whole program that played.
type measured struct {
	ReplyP50    float64            `json:"reply_p50_ms"`
	ReplyP50At  map[string]float64 `json:"reply_p50_ms_at"`
	FirstFrame  float64            `json:"first_frame_ms"`
	Ready       float64            `json:"ready_ms"`
	ReadyCached float64            `json:"ready_cached_ms"`
	PeakMB      float64            `json:"peak_mb"`
	ReadTokS    float64            `json:"read_tok_s"`
	DecodeTokS  map[string]float64 `json:"decode_tok_s"`
	RetrieveP50 map[string]float64 `json:"retrieve_p50_ms"`
	Frame10k    float64            `json:"frame_ms_10k"`
	CPU         string             `json:"cpu"`
	Threads     int                `json:"threads"`
	Kernel      string             `json:"kernel"`
	Rival       *rival             `json:"rival,omitempty"`
}

// rival is another engine on the same base, measured in the same run.
type rival struct {
	Name       string  `json:"name"`
	ReadTokS   float64 `json:"read_tok_s"`
	DecodeTokS float64 `json:"decode_tok_s"`
	Read       float64 `json:"read_ratio"`
	Decode1    float64 `json:"decode_1_ratio"`
	Decode8    float64 `json:"decode_8_ratio"`
}

func (a *app) benchCmd() *cobra.Command {
	var asJSON bool
	var against string
	var rounds int
	c := &cobra.Command{Use: "bench", Short: "Measure replies, starting, memory, decoding and drawing", Args: argCount(0, 0, ""), RunE: func(c *cobra.Command, _ []string) error {
		if rounds < 1 || rounds > 1000 {
			return usage{errors.New("--rounds goes from 1 to 1000")}
		}
		m, err := a.measure(c.Context(), rounds, against)
		if err != nil {
			return err
		}
		if asJSON {
			e := json.NewEncoder(a.out)
			e.SetIndent("", "  ")
			return e.Encode(m)
		}
		fmt.Fprintf(a.out, "%s, %d threads, kernel %s\n", m.CPU, m.Threads, m.Kernel)
		fmt.Fprintf(a.out, "reply (8 made, 8 found)   %.0f ms; at turn 5 %.0f, 200 %.0f, 2000 %.0f ms\n", m.ReplyP50, m.ReplyP50At["5"], m.ReplyP50At["200"], m.ReplyP50At["2000"])
		fmt.Fprintf(a.out, "first frame               %.0f ms\nmodel ready               %.0f ms, from the cache %.0f ms\npeak memory               %.0f MB\n", m.FirstFrame, m.Ready, m.ReadyCached, m.PeakMB)
		fmt.Fprintf(a.out, "reading                   %.0f tokens/s\ndecoding                  %.0f tokens/s alone, %.0f in a batch of 8\n", m.ReadTokS, m.DecodeTokS["1"], m.DecodeTokS["8"])
		fmt.Fprintf(a.out, "finding among 10k, 100k   %.2f, %.2f ms\nframe of 10,000 turns     %.2f ms\n", m.RetrieveP50["10000"], m.RetrieveP50["100000"], m.Frame10k)
		if r := m.Rival; r != nil {
			fmt.Fprintf(a.out, "%s: reading %.0f (we %.1f×), decoding %.0f (we %.1f×, with 8 %.1f×)\n", r.Name, r.ReadTokS, r.Read, r.DecodeTokS, r.Decode1, r.Decode8)
		}
		return nil
	}}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.Flags().IntVar(&rounds, "rounds", 9, "turns timed at each length")
	c.Flags().StringVar(&against, "rival", "", "a command that measures another engine and prints {\"name\", \"read_tok_s\", \"decode_tok_s\"}")
	return c
}

func median(x []float64) float64 {
	slices.Sort(x)
	if len(x) == 0 {
		return 0
	}
	return x[len(x)/2]
}

func since(t time.Time) float64 { return float64(time.Since(t).Microseconds()) / 1000 }

func (a *app) measure(ctx context.Context, rounds int, against string) (*measured, error) {
	tmp, err := os.MkdirTemp("", "weave-bench-*")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(tmp)
	m := &measured{ReplyP50At: map[string]float64{}, DecodeTokS: map[string]float64{}, RetrieveP50: map[string]float64{}, CPU: cpuName(), Threads: kernel.Threads(), Kernel: kernel.Name()}
	if err := m.starts(ctx, tmp, a.modelPath); err != nil {
		return nil, err
	}
	store, err := saves.Open(filepath.Join(tmp, "bench.db"))
	if err != nil {
		return nil, err
	}
	defer store.Close()
	game, err := a.engine(store, store, true)
	if err != nil {
		return nil, err
	}
	defer game.Close()
	model, err := a.ready(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := a.shelf.Index(ctx); err != nil {
		return nil, err
	}
	if err := m.speeds(ctx, model, rounds); err != nil {
		return nil, err
	}
	if against != "" {
		if err := m.beside(ctx, against); err != nil {
			return nil, err
		}
	}
	var all []float64
	for _, turns := range []int{5, 200, 2000} {
		times, err := a.replies(ctx, game, store, turns, rounds)
		if err != nil {
			return nil, err
		}
		all = append(all, times...)
		m.ReplyP50At[fmt.Sprint(turns)] = median(times)
	}
	m.ReplyP50 = median(all)
	for _, n := range []int{10_000, 100_000} {
		t, err := retrieval(ctx, n, rounds)
		if err != nil {
			return nil, err
		}
		m.RetrieveP50[fmt.Sprint(n)] = t
	}
	m.Frame10k = float64(tui.FrameBench(10_000).Microseconds()) / 1000
	return m, nil
}

// playerLines are what the measured player says.
var playerLines = []string{"hello, who are you?", "what is this place?", "and why do you stay here?", "can i help you with anything", "tell me about the water", "i dont believe that",
	"what would you do if you were me?", "do you ever get tired of it?", "who else comes here?", "thats a strange answer", "where should we go now?", "what are you most afraid of", "im sorry i asked"}

// replies times turns of a talk that has some turns behind it: from the player's enter to the stored reply.
func (a *app) replies(ctx context.Context, game *engine.Engine, store *saves.Saves, turns, rounds int) ([]float64, error) {
	content, err := a.content()
	if err != nil {
		return nil, err
	}
	story := content.Stories()[0]
	t, err := game.Start(ctx, story.ID, 1)
	if err != nil {
		return nil, err
	}
	who := story.Scenes[0].Present[0]
	p, err := content.Persona(who)
	if err != nil {
		return nil, err
	}
	st := t.State()
	var nodes []*engine.Node
	for i := range turns {
		st.Speaker = who
		nodes = append(nodes, &engine.Node{Kind: engine.Player, Text: playerLines[i%len(playerLines)], State: st},
			&engine.Node{Kind: engine.Character, Speaker: who, Text: fmt.Sprintf("%s That was day %d.", p.Examples[i%len(p.Examples)].Says, i), State: st})
	}
	session, err := store.Append(ctx, t.Session.ID, t.Path[len(t.Path)-1].ID, nodes)
	if err != nil {
		return nil, err
	}
	if t, err = game.Resume(ctx, session.ID); err != nil {
		return nil, err
	}
	var times []float64
	for i := range rounds + 2 {
		begin := time.Now()
		longer, err := game.Turn(ctx, t, playerLines[(i+turns)%len(playerLines)], int64(i), func(engine.Event) {})
		if err != nil {
			return nil, err
		}
		if i >= 2 { // the first read the talk and the cast
			times = append(times, since(begin))
		}
		game.Close() // what is done between turns, while the player reads
		if longer.State().Scene == t.State().Scene && longer.State().Ended == "" {
			t = longer
		}
	}
	return times, nil
}

// speeds measures reading 256 tokens and decoding alone and in a batch of 8, greedily, without sampling's luck.
func (m *measured) speeds(ctx context.Context, model *seq2seq.Model, rounds int) error {
	text := model.Tokens(seq2seq.Turn{Role: seq2seq.User, Text: strings.Repeat("Water stands ankle-deep between the shelves, and the lamps have been lit by somebody who is no longer here. ", 14)})
	text = text[:256]
	var times []float64
	for range rounds + 1 {
		d := model.NewDialogue()
		t := time.Now()
		model.Append(d, text)
		times = append(times, since(t))
		model.Forget(d)
	}
	m.ReadTokS = 256 / median(times[1:]) * 1000
	d := model.NewDialogue()
	defer model.Forget(d)
	model.Append(d, text[:32])
	for _, batch := range []int{1, 8} {
		times = times[:0]
		for range rounds + 1 {
			t := time.Now()
			model.DecodeSteps(d, batch, 48)
			times = append(times, since(t))
		}
		m.DecodeTokS[fmt.Sprint(batch)] = float64(48*batch) / median(times[1:]) * 1000
	}
	return ctx.Err()
}

// beside runs a rival's measurement and compares.
func (m *measured) beside(ctx context.Context, command string) error {
	out, err := exec.CommandContext(ctx, "sh", "-c", command).Output()
	if err != nil {
		return fmt.Errorf("the rival's command failed: %w; run it alone to see why", err)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	r := &rival{}
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), r); err != nil || r.ReadTokS <= 0 || r.DecodeTokS <= 0 {
		return fmt.Errorf("the rival's last line is no measurement: %q; it should be {\"name\", \"read_tok_s\", \"decode_tok_s\"}", lines[len(lines)-1])
	}
	r.Read, r.Decode1, r.Decode8 = m.ReadTokS/r.ReadTokS, m.DecodeTokS["1"]/r.DecodeTokS, m.DecodeTokS["8"]/r.DecodeTokS
	m.Rival = r
	return nil
}

// retrieval times finding 8 examples among n.
func retrieval(ctx context.Context, n, rounds int) (float64, error) {
	r := rand.New(rand.NewPCG(1, uint64(n)))
	vector := func() []float32 {
		v := make([]float32, persona.Width)
		for i := range v {
			v[i] = float32(r.NormFloat64())
		}
		return v
	}
	examples := make([]engine.StoredExample, n)
	for i := range examples {
		examples[i] = engine.StoredExample{Example: engine.Example{Persona: "p", You: playerLines[i%len(playerLines)], Says: fmt.Sprintf("line %d", i)}, Response: vector(), Voice: vector(), Line: vector()}
	}
	x := persona.NewIndex(examples)
	q := engine.Query{Want: vector(), Line: vector(), Voice: vector(), Text: "what would you do here?", Personas: map[string]float64{"p": 1}}
	var times []float64
	for range rounds {
		t := time.Now()
		if _, err := x.Retrieve(ctx, q, 8); err != nil {
			return 0, err
		}
		times = append(times, since(t))
	}
	return median(times), nil
}

// starts runs this program anew: without and with a cache until the model is ready, in a terminal until the first frame, and for
// a few turns to see its peak memory.
func (m *measured) starts(ctx context.Context, tmp, modelPath string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	env := append(os.Environ(), "WEAVE_DATA="+filepath.Join(tmp, "data"), "WEAVE_CACHE="+filepath.Join(tmp, "cache"), "TERM=xterm-256color")
	var model []string
	if modelPath != "" {
		model = []string{"--model", modelPath}
	}
	once := func(args ...string) (*exec.Cmd, []byte, float64, error) {
		c := exec.CommandContext(ctx, self, append(args, model...)...)
		c.Env = env
		c.Stderr = os.Stderr
		t := time.Now()
		out, err := c.Output()
		return c, out, since(t), err
	}
	for i := range 4 {
		_, out, _, err := once("model", "ready")
		if err != nil {
			return fmt.Errorf("the program does not start: %w", err)
		}
		var ms float64
		if _, err := fmt.Sscan(string(out), &ms); err != nil {
			return fmt.Errorf("the program does not say when it is ready: %w", err)
		}
		if i == 0 {
			m.Ready = ms
		} else if m.ReadyCached == 0 || ms < m.ReadyCached {
			m.ReadyCached = ms
		}
	}
	script := filepath.Join(tmp, "script.txt")
	if err := os.WriteFile(script, []byte(strings.Join(playerLines[:6], "\n")+"\n"), 0o600); err != nil {
		return err
	}
	c, _, _, err := once("play", "--script", script)
	if err != nil {
		return fmt.Errorf("the program does not play: %w", err)
	}
	if use, ok := c.ProcessState.SysUsage().(*syscall.Rusage); ok {
		m.PeakMB = float64(use.Maxrss) / 1024
		if runtime.GOOS == "darwin" {
			m.PeakMB /= 1024
		}
	}
	var frames []float64
	for range 5 {
		ms, err := firstFrame(ctx, self, model, env)
		if err != nil {
			return err
		}
		frames = append(frames, ms)
	}
	m.FirstFrame = median(frames)
	return nil
}

func cpuName() string {
	b, err := os.ReadFile("/proc/cpuinfo")
	if err == nil {
		for line := range strings.SplitSeq(string(b), "\n") {
			if k, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(k) == "model name" {
				return strings.TrimSpace(v)
			}
		}
	}
	return runtime.GOARCH
}
