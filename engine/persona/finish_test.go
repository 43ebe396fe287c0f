package persona

import (
	"strings"
	"testing"

	"github.com/personaweave/personaweave/engine"
)

func TestFinish(t *testing.T) {
	t.Parallel()
	p := engine.Prompt{Name: "Wren", Turns: []engine.Spoken{{Player: true, Text: "hi"}, {Name: "Hale", Text: "Ahoy!"}}}
	for _, c := range []struct {
		text  string
		ended bool
		want  string
		whole bool
	}{
		{"Fine.  Sit down", true, "Fine. Sit down", true},

		// the cap
		{"Fine. Sit down and", false, "Fine.", true},
		{`He said "no." And then`, false, `He said "no."`, true},
		{"She said “no.” And then", false, "She said “no.”", true},
		{"no end to this", false, "no end to this", false},
		{"Well… I never knew", false, "Well…", true},
		{"I saw Mr. Pask and", false, "I saw Mr. Pask and", false},
		{"Sit. I saw Mr. Pask and", false, "Sit.", true},
		{"Nine o'clock. It cost 3.50 and", false, "Nine o'clock.", true},

		// labels and other turns
		{"Wren: Sign the day book.", true, "Sign the day book.", true},
		{"Wren Aldous: Sign.", true, "Sign.", true},
		{"**Wren:** Sign.", true, "Sign.", true},
		{"{{char}}: Sign.", true, "Sign.", true},
		{"Assistant: Sign.", true, "Sign.", true},
		{"Noted: step nine.", true, "Noted: step nine.", true},
		{"I say this: wren and heron.", true, "I say this: wren and heron.", true},
		{"Hale: loud, wet, punctual.", true, "Hale: loud, wet, punctual.", true},
		{"Sign here. User: ok and then", false, "Sign here.", true},
		{"Sign here.\nYou: ok", true, "Sign here.", true},
		{"Listen. You: left flank. Run.", true, "Listen. You: left flank. Run.", true},
		{"Sign here.\n\nCaptain Hale: Aye!", true, "Sign here.", true},
		{"Sign here. Wren: Again", true, "Sign here.", true},
		{"{{user}}: hello there", true, "", true},
		{"User: hello there", true, "", true},
		{"Sign here.<|im_end|>\n<|im_start|>user", true, "Sign here.", true},

		// marks
		{`He said "no.`, true, `He said "no."`, true},
		{`"Sit down. There is tea.`, true, "Sit down. There is tea.", true},
		{`Sit down." There is tea.`, true, "Sit down. There is tea.", true},
		{"*nods Sit.", true, "*nods Sit.*", true},
		{"Sit. *nods", true, "Sit. *nods*", true},
		{"Sit.* She nods.", true, "Sit. She nods.", true},
		{"**Sit.* Now.", true, "Sit. Now.", true},
		{"*nods* Sit (there.", true, "*nods* Sit (there.)", true},
		{"Sit (there. Now go.", true, "Sit there. Now go.", true},
		{"Sit) there :) and a) wait [so].", true, "Sit there :) and a) wait [so].", true},
		{"“Sit,” she says, “down", true, "“Sit,” she says, “down”", true},
		{`A 6" pipe is 3 * 4 long.`, true, `A 6" pipe is 3 * 4 long.`, true},
		{`It's the readers' "room", don't.`, true, `It's the readers' "room", don't.`, true},
		{`Sit. "`, true, "Sit.", true},

		// names
		{"Good day, {{user}}.", true, "Good day, friend.", true},
		{"I am {{char}}.", true, "I am Wren.", true},
		{"Wren: {{user}}, sit", true, "Friend, sit", true},
	} {
		if got, whole := finish(c.text, c.ended, p); got != c.want || whole != c.whole {
			t.Errorf("%q is finished as %q (%v), not %q (%v)", c.text, got, whole, c.want, c.whole)
		}
	}
}

// Closing marks changes no word, whatever comes.
func FuzzClosed(f *testing.F) {
	for _, s := range []string{"", "*", `"`, "( * ” [", "***\"(“", "a) :) )", `*"a b*"`, "([“x. y", "Sit. (now"} {
		f.Add(s)
	}
	words := func(s string) string {
		return strings.Map(func(r rune) rune {
			if strings.ContainsRune("\"*()[]“” ", r) {
				return -1
			}
			return r
		}, s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		text = strings.Join(strings.Fields(engine.Printable(text)), " ")
		if got := closed(text); words(got) != words(text) || got != strings.TrimSpace(got) {
			t.Errorf("%q became %q", text, got)
		}
	})
}
