package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/personaweave/personaweave/engine"
	"github.com/personaweave/personaweave/engine/reward"
	"github.com/personaweave/personaweave/engine/weights"
)

// moodPenalties are the L2 penalties to choose from, on a fifth of the dialogues to learn from.
var moodPenalties = []float64{30, 300, 3000}

func (a *app) moodCmd() *cobra.Command {
	return &cobra.Command{Use: "mood [FILE]", Short: "Tell how well the player's mood is read on held-out dialogues; with FILE, fit the mood head anew and write it",
		Args: argCount(0, 1, "[FILE]"), RunE: func(c *cobra.Command, args []string) error {
			l, err := a.content()
			if err != nil {
				return err
			}
			all, err := l.Dialogues()
			if err != nil {
				return err
			}
			all = slices.DeleteFunc(all, func(d engine.Dialogue) bool { return !slices.Contains(reward.Moods, d.Mood) })
			if err := a.think().Ready(c.Context()); err != nil {
				return err
			}
			t, err := a.tracker()
			if err != nil {
				return err
			}
			if len(args) == 1 {
				if t.Head, err = fitMood(c.Context(), t, all); err != nil {
					return err
				}
				t.Head.Model = a.mind.Model()
				b, err := json.Marshal(t.Head)
				if err == nil {
					err = os.WriteFile(args[0], b, 0o644)
				}
				if err != nil {
					return &engine.Error{Code: engine.Unwritable, Message: fmt.Sprintf("cannot write %s: %v", args[0], err), Hint: "give another file"}
				}
			}
			for _, x := range []struct {
				name string
				head *reward.MoodHead
			}{{"the mood head", t.Head}, {"words alone", nil}} {
				if x.head == nil && x.name != "words alone" {
					continue
				}
				f1, each, n, err := moodF1(c.Context(), t.Mind, x.head, all)
				if err != nil {
					return err
				}
				fmt.Fprintf(a.out, "%s: macro-F1 %.3f on %d held-out dialogues;", x.name, f1, n)
				for _, m := range reward.Moods {
					fmt.Fprintf(a.out, " %s %.2f", m, each[m])
				}
				fmt.Fprintln(a.out)
			}
			return nil
		}}
}

// tracker follows the player with the model and, where it ships for these weights, the mood head.
func (a *app) tracker() (*reward.Tracker, error) {
	head, err := reward.ReadMoodHead(weights.Mood())
	if err != nil {
		return nil, &engine.Error{Code: engine.Damaged, Message: err.Error(), Hint: "install weave again"}
	}
	l, err := a.content()
	if err != nil {
		return nil, err
	}
	t := reward.NewTracker(a.think())
	t.Head = head
	for _, c := range l.Common() {
		t.Idle = append(t.Idle, c.Text)
	}
	return t, nil
}

// spokenLines are what the player says in a dialogue.
func spokenLines(d engine.Dialogue) []string {
	var out []string
	for _, t := range d.Turns {
		if t.Player {
			out = append(out, t.Text)
		}
	}
	return out
}

// fitMood fits the head to the dialogues that are not held out, as far as they have come at every second of the player's lines.
func fitMood(ctx context.Context, t *reward.Tracker, all []engine.Dialogue) (*reward.MoodHead, error) {
	var examples []reward.MoodExample
	var part []int // which fifth of the dialogues
	for n, d := range all {
		lines := spokenLines(d)
		if d.HeldOut || len(lines) < 2 {
			continue
		}
		for i := len(lines); i >= 2; i -= 2 {
			x, err := t.MoodFeatures(ctx, lines[:i])
			if err != nil {
				return nil, err
			}
			examples = append(examples, reward.MoodExample{X: x, Mood: d.Mood, Weight: 2 / float64(len(lines))})
			part = append(part, n%5)
		}
	}
	best, chosen := -1.0, 0.0
	for _, penalty := range moodPenalties {
		var learn, test []reward.MoodExample
		for i, e := range examples {
			if part[i] == 0 {
				test = append(test, e)
			} else {
				learn = append(learn, e)
			}
		}
		h, err := reward.FitMood(learn, penalty)
		if err != nil {
			return nil, err
		}
		var want, got []string
		for _, e := range test {
			want, got = append(want, e.Mood), append(got, h.Likeliest(e.X))
		}
		if f1, _ := reward.MacroF1(want, got); f1 > best {
			best, chosen = f1, penalty
		}
	}
	return reward.FitMood(examples, chosen)
}

// moodF1 reads the mood at the end of each held-out dialogue.
func moodF1(ctx context.Context, mind engine.Mind, head *reward.MoodHead, all []engine.Dialogue) (float64, map[string]float64, int, error) {
	fresh := reward.NewTracker(mind)
	fresh.Head = head
	var want, got []string
	for _, d := range all {
		if !d.HeldOut {
			continue
		}
		var said []engine.Spoken
		for _, line := range spokenLines(d) {
			said = append(said, engine.Spoken{Player: true, Text: line})
		}
		mood, err := fresh.Mood(ctx, said)
		if err != nil {
			return 0, nil, 0, err
		}
		want, got = append(want, d.Mood), append(got, mood)
	}
	f1, each := reward.MacroF1(want, got)
	return f1, each, len(want), nil
}
