package stories

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/personaweave/personaweave/engine"
)

// Check reads a persona's or a story's file as the library would, with the library's personas and those in a personas
// folder beside it at hand. It returns nil or every mistake, joined, in the order of the file; each is an *engine.Error
// that begins with file and line.
func (l *Library) Check(path string) error {
	info, err := os.Stat(path)
	if err != nil || info.IsDir() {
		hint := "give the path of a .yaml file"
		if err == nil {
			hint = "give a file in it"
		}
		return &engine.Error{Code: engine.NotFound, Message: fmt.Sprintf("there is no file %s", path), Hint: hint}
	}
	f := &file{name: path}
	dir, base := filepath.Split(filepath.Clean(path))
	if dir == "" {
		dir = "."
	}
	root := f.open(os.DirFS(dir), base)
	if root.n == nil {
		return f.errs()
	}
	k := l.known
	k.speaks, k.deep = maps.Clone(k.speaks), true
	if above := filepath.Join(dir, ".."); filepath.Base(filepath.Clean(dir)) == "library" {
		k.personas = slices.Clone(k.personas)
		for _, p := range yamlFiles(os.DirFS(above), "personas") {
			root := (&file{name: p}).open(os.DirFS(above), p)
			if id := root.peek("id"); id != "" {
				if !slices.Contains(k.personas, id) {
					k.personas = append(k.personas, id)
				}
				_, lines := root.entry("examples")
				k.speaks[id] = k.speaks[id] || lines
			}
		}
	}
	if root.isStory() {
		readStory(root, &k)
		return f.errs()
	}
	k.personas = append(slices.Clone(k.personas), root.peek("id"))
	readPersona(root, &k)
	return f.errs()
}

// isStory tells a story from a persona by the keys that only stories have.
func (v value) isStory() bool {
	return slices.ContainsFunc([]string{"scenes", "cast", "kind", "intents", "endings", "walkthroughs"}, func(key string) bool {
		_, ok := v.entry(key)
		return ok
	})
}

// NewPersona returns the file of a persona to begin with, as YAML that passes Check.
func NewPersona(id string) (string, error) { return scaffold(id, personaScaffold) }

// NewStory returns the file of a story to begin with, as YAML that passes Check.
func NewStory(id string) (string, error) { return scaffold(id, storyScaffold) }

// NewLesson returns the file of a lesson to begin with, as YAML that passes Check.
func NewLesson(id string) (string, error) { return scaffold(id, lessonScaffold) }

func scaffold(id, text string) (string, error) {
	if !fileID.MatchString(id) {
		return "", &engine.Error{Code: engine.Invalid, Message: fmt.Sprintf("%q cannot be an id", engine.Printable(id)),
			Hint: "use small letters a to z, digits, - and _, a letter first, at most 64"}
	}
	words := strings.FieldsFunc(id, func(r rune) bool { return r == '-' || r == '_' })
	for i, w := range words {
		words[i] = strings.ToUpper(w[:1]) + w[1:]
	}
	return strings.NewReplacer("%ID%", id, "%NAME%", strings.Join(words, " ")).Replace(text), nil
}

const personaScaffold = `# A persona. Its description and its lines are all that make the voice: write how it speaks, not only who it is.
id: %ID%
name: "%NAME%"
tagline: "A keeper of small lost things"
colour: "#7a9e7e"

# Read by the model: what you would tell an actor in two or three sentences.
description: "%NAME% keeps a room of things that people lost and never came back for. Gentle and curious, speaks in short sentences, and asks what a thing was for before asking whose it was."

# The same character in other words; short ones too. They help the voice to stand firm.
descriptions:
  - "gentle keeper of lost things"
  - "Somebody who listens closely and speaks little."

# Facts that stay true everywhere.
knows:
  - "%NAME% has a room with four hundred single gloves."

# What players say, and the answer in this voice. Sixty make a strong character; ten are enough to begin.
# An answer to one of the common lines names it, and needs no "you": the line is the same for everybody.
examples:
  - {common: greet-hi, says: "Hello. Did you lose something, or are you only passing?"}
  - {you: "what is this place", says: "A room for what nobody came back for. Mind the gloves."}
  - {you: "can i have that umbrella", says: "If you tell me where it rained last. Then I'll know if it's yours."}

# Whole talks: a is the player, b is the character.
dialogues:
  - scene: "A small room full of shelves; the player has lost a key."
    goal: "The player finds the key."
    reached: true
    mood: "quiet"
    turns:
      - {who: a, text: "i lost my key"}
      - {who: b, text: "What does it open?"}
      - {who: a, text: "my grandmas house"}
      - {who: b, text: "Then it's old, and worn on one side. Look in the blue bowl."}
      - {who: a, text: "its here!!"}
      - {who: b, text: "Good. It has been waiting quite politely."}
`

const storyScaffold = `# A story. The model speaks the characters' lines; you write the places, the narration and the rules.
id: %ID%
title: "%NAME%"
kind: story # or lesson, or service
summary: "A locked door, and somebody who knows why it is locked."
cast: [mage]

# What a player's line can mean. A line means an intent when it is nearer to "like" than to "unlike".
intents:
  ask_key:
    like: ["where is the key", "do you have the key", "can you open the door"]
    unlike: ["what key is this song in"]
  be_kind:
    like: ["are you all right", "i'm sorry, that must be hard", "take your time"]
  leave:
    like: ["goodbye", "i'm leaving", "i have to go now"]

scenes:
  - id: landing
    title: "The landing"
    setting: "The top landing of an old house, at night. A locked door, a lamp, a chair." # the model reads this
    opening: "The stairs end at a door without a handle. Somebody sits beside it, quite awake." # the player reads this
    present: [mage]
    goals:
      - id: open
        want: "The door is opened."
        reached_like: ["Here is the key.", "There, the door is open."]
        done: flag.key
    # Rules: when the condition holds after the player's line, the effects follow, once unless "repeat: true".
    # Conditions speak of turn, visits, said.INTENT, flag.ID, goal.ID, mood.WHO and blend.WHO.PERSONA.
    beats:
      - when: said.be_kind
        set: {trust: "+1"} # a number with a sign adds to the flag
      - id: gives_key
        when: said.ask_key && flag.trust > 0
        set: {key: true}
        narrate: "A key changes hands. It is warmer than it should be."
      - when: said.ask_key and not flag.key
        narrate: "The lamp flickers. Not yet, it seems."
        repeat: true
      - when: flag.key && turn > 2
        goto: room
    examples: # lines that belong to this place
      mage:
        - {you: "why is the door locked", says: "Because I asked it to be. It was kind enough to agree."}
  - id: room
    title: "Behind the door"
    setting: "A small bright room with one window, and a table laid for two."
    opening: "The door opens inwards. There is a table, laid for two, and the soup is hot."
    present: [mage]
    beats:
      - when: said.leave
        goto: end:fed

endings:
  fed:
    title: "Fed"
    narrate: "You leave with more than you came for, and no longer hungry."
  gone:
    title: "Gone"
    when: said.leave && !flag.key
    narrate: "You go down the stairs again. Behind you, a chair creaks."

# Ways through the story, for weave story check and for you: a player's lines and the ending they reach.
walkthroughs:
  - name: "kind"
    lines: ["are you all right", "do you have the key", "what is behind it", "goodbye"]
    ending: fed
  - name: "in a hurry"
    lines: ["where is the key", "i'm leaving"]
    ending: gone
`

const lessonScaffold = `# A lesson. The tutor asks the steps of each scene in order, hints after a miss, explains, comes back to what was missed, and the
# program adds a report at the end. Whatever is said about a question is written here; to talk beside it the model answers.
id: %ID%
title: "%NAME%"
kind: lesson
summary: "Two questions about halves."
cast: [tutor, coach]
skills: {halves: "halves"} # id: title
pace: # how the tutor speaks to a learner who struggles, goes steadily or flies: shares sum to 1
  struggling: {cause: "slower: this is hard going", blend: {tutor: {tutor: 1}}}
  steady: {cause: "steady", blend: {tutor: {tutor: 0.8, coach: 0.2}}}
  flying: {cause: "playful: you are flying", blend: {tutor: {tutor: 0.3, coach: 0.7}}}
voices: # what is said around the questions, by each persona blended above
  tutor: {right: ["Yes, just so."], wrong: ["Not quite yet."], again: ["One came loose. Let's try it again."], skip: ["We'll look at it together."]}
  coach: {right: ["Boom! Next!"], wrong: ["So close, champ!"], again: ["Replay time!"], skip: ["Time-out. Here's how it goes."]}

scenes:
  - id: table
    title: "At the table"
    setting: "A kitchen table with a loaf of bread on it. Amina Roy teaches halves to a learner."
    opening: "There is a loaf on the table, and a knife beside it."
    present: [tutor] # the first one asks
    goals:
      - {id: halved, want: "Say what a half is.", reached_like: ["That is a half, and you said why."], done: mastery.halves > 0.5}
    steps:
      - id: half_of_eight
        skill: halves
        ask: {tutor: "Eight slices, and half of them are yours. How many?", coach: "Eight slices, you get half! How many, champ?"}
        accept: # any one is right
          - number: 4 # however it is written: 4, four, 8/2
        misses: # known mistakes and what to say to each
          - answers: [{number: 16}]
            say: "That is twice eight. Half goes the other way."
        hints: # from a nudge to all but the answer
          - "Deal them out: one for you, one for me."
          - {tutor: "We each get the same. Two and two, and two more twos.", coach: "Split them fair: what plus itself makes eight?"}
        explain: "Four and four make eight, so half of eight is four."
        review: # asked at the end when it was missed
          ask: "Half of six, then?"
          accept: [{number: 3}]
          explain: "Three and three make six."
      - id: what_is_half
        skill: halves
        ask: "In your own words: when is a piece a half?"
        accept:
          - meaning: # an idea in any words
              like: ["when both pieces are the same size", "if you cut it in two equal parts", "one of two equal pieces"]
              unlike: ["when there are two pieces", "the bigger piece", "any part of it"]
              needs: ["same|equal|even|fair", "two|2|both|half"] # beginnings of words: one of each group must stand in the line
        hints: ["Two pieces, one big and one small: is the small one a half?"]
        explain: "A half is one of two pieces that are the same size."
    beats: # rules, as in a story; they know lesson.done, lesson.streak, lesson.missed, lesson.asked, lesson.pace and mastery.SKILL too
      - id: over
        when: lesson.done
        goto: end:done
    examples:
      tutor:
        - {you: "why do we cut bread", says: "Because you can hold it, and look: no numbers yet."}

endings:
  done:
    title: "Crumbs"
    narrate: "The loaf is gone, fairly."

walkthroughs:
  - name: "after a miss"
    lines: ["16", "4", "one of two equal pieces"]
    ending: done
`
