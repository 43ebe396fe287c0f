//go:build unix && !linux

package seq2seq

// hugePages asks for large pages, where a system has them for the asking.
func hugePages([]byte) {}
