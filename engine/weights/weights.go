// Package weights holds the model that ships with the program: the base, unchanged, and our adapter beside it. It knows bytes and
// their hash, nothing of their meaning.
//
// The base is SmolLM2-135M-Instruct (Hugging Face, Apache-2.0; see BASE-LICENSE and NOTICE).
package weights

import (
	"embed"
	"unsafe"
)

// BaseHash is the SHA-256 of the base.
const BaseHash = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"

//go:embed SmolLM2-135M-Instruct.Q4_1.gguf
var base string

//go:embed shipped
var shipped embed.FS

// Base returns the base, a GGUF file. It must not be written to.
func Base() []byte { return unsafe.Slice(unsafe.StringData(base), len(base)) }

// Adapter returns our adapter, a safetensors file, or nil where none ships.
func Adapter() []byte { return read("shipped/adapter.safetensors") }

// Vectors returns the vectors of the shipped example lines under the shipped weights, or nil where none ship.
func Vectors() []byte { return read("shipped/vectors.bin") }

// Mood returns the mood head that was fitted to the shipped weights, JSON, or nil where none ships.
func Mood() []byte { return read("shipped/mood.json") }

func read(name string) []byte {
	b, err := shipped.ReadFile(name)
	if err != nil {
		return nil
	}
	return b
}
