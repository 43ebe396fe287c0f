//go:build !unix

package seq2seq

import (
	"io"
	"os"
	"unsafe"
)

// anonymous returns zeroed memory aligned to 64 bytes.
func anonymous(size int) ([]byte, error) {
	b := make([]byte, size+64)
	skip := -int(uintptr(unsafe.Pointer(unsafe.SliceData(b)))) & 63
	return b[skip : skip+size], nil
}

// mapped reads size bytes of a file from offset.
func mapped(f *os.File, offset int64, size int) ([]byte, error) {
	b, err := anonymous(size)
	if err == nil {
		_, err = io.ReadFull(io.NewSectionReader(f, offset, int64(size)), b)
	}
	return b, err
}

func unmap([]byte) {}
