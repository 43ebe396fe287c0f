package seq2seq

import "fmt"

// Config is the shape of a model.
type Config struct {
	Preset    string
	Layers    int
	Dim       int // d, width of the residual stream
	Heads     int // query heads
	KVHeads   int // key/value heads; Heads is a multiple of it
	HeadDim   int
	FF        int // width of the feed-forward layer
	Vocab     int
	Theta     float64 // base of the rotary positions
	Eps       float64 // of RMSNorm
	HeadLayer int     // readings are taken after this many layers
}

// Fixed by the format of the adapter (see the package comment).
const (
	Origin     = 176                 // position of the dialogue's first token; personas end before it
	PersonaMax = 120                 // tokens of a persona's description that are read
	DemoMax    = Origin - PersonaMax // tokens of a demonstration; they end before any persona
	SpaceDim   = 256                 // width of persona space and of the reply space
	eDim       = 64                  // width of the bottleneck of the virtual token e
	MaxPos     = 4096
)

// KVDim is the width of a layer's keys and of its values for one token.
func (c Config) KVDim() int { return c.KVHeads * c.HeadDim }

// Check reports a shape that the kernels cannot run.
func (c Config) Check() error {
	switch {
	case c.Layers < 1 || c.Layers > 256 || c.Dim < 32 || c.Dim > 16384 || c.Vocab < 16 || c.Vocab > 1<<20 || c.FF < 32 || c.FF > 1<<16:
		return fmt.Errorf("a model of %d layers, width %d, feed-forward %d and %d tokens is out of range", c.Layers, c.Dim, c.FF, c.Vocab)
	case c.Dim%32 != 0 || c.FF%32 != 0:
		return fmt.Errorf("widths %d and %d are not multiples of 32", c.Dim, c.FF)
	case c.Heads < 1 || c.KVHeads < 1 || c.Heads%c.KVHeads != 0:
		return fmt.Errorf("%d query heads do not share %d key heads evenly", c.Heads, c.KVHeads)
	case c.HeadDim < 16 || c.HeadDim > 256 || c.HeadDim%16 != 0 || c.Heads*c.HeadDim%32 != 0:
		return fmt.Errorf("a head width of %d is not supported", c.HeadDim)
	case c.HeadLayer < 1 || c.HeadLayer > c.Layers:
		return fmt.Errorf("readings after layer %d of %d", c.HeadLayer, c.Layers)
	}
	return nil
}
