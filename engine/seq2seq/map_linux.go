package seq2seq

import "golang.org/x/sys/unix"

// hugePages asks for large pages, which cost less to find; it may be refused.
func hugePages(b []byte) { _ = unix.Madvise(b, unix.MADV_HUGEPAGE) }
