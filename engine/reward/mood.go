package reward

import (
	"strings"
	"unicode"

	"github.com/personaweave/personaweave/engine"
)

// moods lists what players type in a mood. One list a mood, from the words our dialogues' players use.
var moods = map[string][]string{
	"angry":   {"angry", "hate", "stupid", "idiot", "useless", "shut", "liar", "rubbish", "furious", "damn", "hell", "ridiculous", "worst", "fed", "annoyed", "annoying", "kill", "fight"},
	"sad":     {"sad", "sorry", "miss", "lost", "alone", "lonely", "cry", "crying", "died", "dead", "tired", "hurt", "hurts", "gone", "nobody", "afraid", "scared"},
	"warm":    {"thanks", "thank", "love", "lovely", "kind", "friend", "nice", "beautiful", "welcome", "glad", "appreciate", "dear", "sweet", "like"},
	"funny":   {"lol", "haha", "hahaha", "lmao", "joke", "funny", "hehe", "rofl", "silly"},
	"urgent":  {"hurry", "quick", "quickly", "now", "fast", "help", "emergency", "run", "immediately", "asap", "late"},
	"curious": {"why", "how", "what", "who", "where", "when", "which", "really", "tell", "explain", "wonder"},
}

// moodOrder breaks ties: the stronger mood first.
var moodOrder = []string{"angry", "urgent", "sad", "funny", "warm", "curious"}

// Mood names the mood of a player's line: angry, urgent, sad, funny, warm, curious or calm, by the words and marks in it.
func (t *Tracker) Mood(line string) string {
	score := map[string]float64{}
	for w := range strings.FieldsSeq(engine.Fold(line)) {
		for mood, words := range moods {
			for _, m := range words {
				if w == m {
					score[mood]++
				}
			}
		}
	}
	letters, upper := 0, 0
	for _, r := range line {
		if unicode.IsLetter(r) {
			letters++
			if unicode.IsUpper(r) {
				upper++
			}
		}
	}
	if letters >= 6 && upper*10 >= letters*7 {
		score["angry"] += 1.5
	}
	if strings.Contains(line, "!!") {
		score["urgent"]++
	}
	if strings.HasSuffix(strings.TrimSpace(line), "?") {
		score["curious"] += 0.9
	}
	best, top := "calm", 0.0
	for _, mood := range moodOrder {
		if score[mood] > top {
			best, top = mood, score[mood]
		}
	}
	return best
}
