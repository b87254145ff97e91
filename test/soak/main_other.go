//go:build !linux

package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "soak: reads /proc, and so runs on Linux only")
	os.Exit(1)
}
