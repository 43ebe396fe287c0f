//go:build unix

package seq2seq

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// anonymous returns zeroed memory outside the Go heap, page-aligned, for the life of the program.
func anonymous(size int) ([]byte, error) {
	b, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return nil, fmt.Errorf("no memory for a model of %d MB: %w; close other programs", size>>20, err)
	}
	hugePages(b)
	return b, nil
}

func unmap(b []byte) { _ = unix.Munmap(b) }
