//go:build !linux

package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "bench: needs Linux (namespaces, sendfile, /proc)")
	os.Exit(1)
}
