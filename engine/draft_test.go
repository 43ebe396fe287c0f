package engine

import (
	"slices"
	"strings"
	"testing"
)

func TestFill(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ text, player, name, want string }{
		{"Good day.", "Ada", "Wren", "Good day."},
		{"Good day, {{user}}.", "Ada", "Wren", "Good day, Ada."},
		{"{{char}} keeps {{user}}'s book.", "Ada", "Wren", "Wren keeps Ada's book."},
		{"Good day, {{user}}.", "", "Wren", "Good day, friend."},
		{"{{user}}, sit down!", "", "Wren", "Friend, sit down!"},
		{"Hello <USER>!", "", "", "Hello friend!"},
		{"Ah, {{User}}…", "", "", "Ah, friend…"},
		{"Yes, {{user}}, and no.", "", "", "Yes, friend, and no."},
		{"I know {{user}} well.", "", "", "I know you well."},
		{"I like {{user}}.", "", "", "I like you."},
		{"Is this {{user}}’s coat?", "", "", "Is this your coat?"},
		{"{{user}} is late. {{user}}'s coat isn't.", "", "", "You are late. Your coat isn't."},
		{"So {{user}}'s here.", "", "", "So you are here."},
		{"{{user}} was wrong; {{ user }} doesn't know.", "", "", "You were wrong; you do not know."},
		{"{{char}} is here. Ask {char}.", "", "", "I am here. Ask me."},
		{"It's {{char}}'s key.", "", "", "It's my key."},
		{"<BOT> waits.", "", "Wren", "Wren waits."},
		{"<user>", "", "", "Friend"},
		{"A < B, {x}, <used>.", "", "", "A < B, {x}, <used>."},
	} {
		if got := Fill(c.text, c.player, c.name); got != c.want {
			t.Errorf("%q is filled as %q, not %q", c.text, got, c.want)
		}
	}
}

func TestGather(t *testing.T) {
	t.Parallel()
	draft := func(texts ...string) (out []Draft) {
		for _, s := range texts {
			s, cut := strings.CutSuffix(s, " …")
			out = append(out, Draft{Text: s, Finished: !cut})
		}
		return out
	}
	own := func(texts ...string) (out []Found) {
		for _, s := range texts {
			out = append(out, Found{StoredExample: &StoredExample{Example: Example{Says: s}}})
		}
		return out
	}
	used := map[string]bool{"the tide is out": true, "no": true}
	for name, c := range map[string]struct {
		drafts []Draft
		found  []Found
		want   []string // a star: written
	}{
		"each once":           {draft("Sit down.", "sit down!", "Get up."), own("Get up"), []string{"Sit down.", "*Get up"}},
		"nearly the same":     {draft("I keep nine thousand damp old books on the upper shelves.", "I keep nine thousand damp old books on the lower shelves.", "I keep nine boats."), nil, []string{"I keep nine thousand damp old books on the upper shelves.", "I keep nine boats."}},
		"the written stays":   {draft("I keep nine thousand damp old books.", "A boat."), own("I keep nine thousand damp books."), []string{"*I keep nine thousand damp books.", "A boat."}},
		"said before":         {draft("The tide is out.", "No.", "Never again."), own("The tide is out"), []string{"Never again."}},
		"beyond the rating":   {draft("Fuck the tide.", "Mind the tide."), own("F*ck off."), []string{"Mind the tide."}},
		"nothing said":        {draft("I see.", "Okay.", "Yes.", "Oh, thank you!", "Mm.", "…"), own("Yes."), []string{"*Yes."}},
		"nothing better":      {draft("I see.", "Okay, I see."), nil, []string{"I see.", "Okay, I see."}},
		"an answer in a word": {draft("Four.", "Yes, the third."), nil, []string{"Four.", "Yes, the third."}},
		"unfinished":          {draft("I never …", "Yes."), nil, []string{"Yes."}},
		"only unfinished":     {draft("I never …", "Shit, I …"), nil, []string{"I never"}},
		"names":               {nil, own("Sit, {{user}}. {{char}} sits."), []string{"*Sit, friend. Wren sits."}},
		"nothing":             {draft("!!", "Fuck."), nil, nil},
	} {
		candidates, from := gather("Wren", c.drafts, c.found, used)
		var got []string
		for i, k := range candidates {
			mark := ""
			if k.Source == Retrieved {
				mark = "*"
			}
			if (from[i].StoredExample != nil) != (mark != "") {
				t.Errorf("%s: the example behind %q", name, k.Text)
			}
			got = append(got, mark+k.Text)
		}
		if name != "nothing better" && !slices.Equal(got, c.want) || name == "nothing better" && !slices.Contains(got, "I see.") {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
