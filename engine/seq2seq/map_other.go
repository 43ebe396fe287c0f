//go:build !unix

package seq2seq

import "unsafe"

// anonymous returns zeroed memory aligned to 64 bytes.
func anonymous(size int) ([]byte, error) {
	b := make([]byte, size+64)
	skip := -int(uintptr(unsafe.Pointer(unsafe.SliceData(b)))) & 63
	return b[skip : skip+size], nil
}

func unmap([]byte) {}
