// Package reward judges candidates: goal, persona consistency (classifier and similarity to examples), relevance, coherence,
// repetition and length; and it tracks what a player means, how a goal stands and what mood the player is in. It must not know
// storage or screens.
package reward
