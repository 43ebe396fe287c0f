package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// firstFrame starts the program in a terminal of its own (80×24) and times it until the library stands on the screen, in
// milliseconds.
func firstFrame(ctx context.Context, self string, args, env []string) (float64, error) {
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		return 0, fmt.Errorf("open a terminal: %w", err)
	}
	defer master.Close()
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		return 0, fmt.Errorf("unlock the terminal: %w", err)
	}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		return 0, fmt.Errorf("name the terminal: %w", err)
	}
	if err := unix.IoctlSetWinsize(int(master.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 80}); err != nil {
		return 0, fmt.Errorf("size the terminal: %w", err)
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		return 0, fmt.Errorf("open the terminal: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	c := exec.CommandContext(ctx, self, args...)
	c.Env, c.Stdin, c.Stdout, c.Stderr = env, slave, slave, slave
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	begin := time.Now()
	err = c.Start()
	slave.Close()
	if err != nil {
		return 0, err
	}
	defer func() {
		_ = c.Process.Kill()
		_ = c.Wait()
	}()
	seen, buf := []byte{}, make([]byte, 1<<16)
	for {
		n, err := master.Read(buf)
		seen = append(seen, buf[:n]...)
		if bytes.Contains(seen, []byte("Drowned")) {
			return since(begin), nil
		}
		if bytes.Contains(seen, []byte("\x1b[6n")) || bytes.Contains(seen, []byte("\x1b]11;?")) { // what a terminal answers
			_, _ = master.WriteString("\x1b]11;rgb:0000/0000/0000\x1b\\\x1b[1;1R")
			seen = bytes.ReplaceAll(bytes.ReplaceAll(seen, []byte("\x1b[6n"), nil), []byte("\x1b]11;?"), nil)
		}
		if err != nil || ctx.Err() != nil {
			return 0, errors.Join(errors.New("the library did not come on the screen; run weave to see why"), ctx.Err())
		}
	}
}
