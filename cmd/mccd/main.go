package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
)

func main() {
	os.Exit(run(context.Background(), os.Environ(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// The exit codes, as the help of mccd documents them.
const (
	exitFailure     = 1
	exitUsage       = 2
	exitUnreachable = 3
)

// exitError ends the program with a code.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

func exit(code int, err error) error { return &exitError{code, err} }

// run executes one command line in an environment ("NAME=value" each) and returns the exit code. What a command did
// not give a code is a fault of the command line.
func run(ctx context.Context, environ, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := newRoot(environ)
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return 0
	}
	var coded *exitError
	if errors.As(err, &coded) {
		fmt.Fprintf(stderr, "mccd: %v\n", err)
		return coded.code
	}
	fmt.Fprintf(stderr, "mccd: %v\nRun \"%s --help\" for usage.\n", err, cmd.CommandPath())
	return exitUsage
}
