// Package engine is the domain of Personaweave: personas and their blends, stories and their state, the turn tree, candidates
// and rewards, and Engine.Turn, which takes a player's line to a character's reply. It declares the small interfaces that the
// model, the judges, the storage and the content implement. It must not know a terminal, a database, a file format or a tensor.
package engine
