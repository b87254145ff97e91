//go:build !linux

package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "peerfill: measures on Linux only")
	os.Exit(1)
}
