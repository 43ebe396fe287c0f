//go:build !linux

package main

import "context"

// firstFrame is measured on Linux only.
func firstFrame(context.Context, string, []string, []string) (float64, error) { return 0, nil }
