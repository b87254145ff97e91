package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// terminalOf returns the terminal behind a stream of a command, nil where it
// is a file, a pipe or a test's.
func terminalOf(stream any) *os.File {
	if f, ok := stream.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return f
	}
	return nil
}

// defaultWidth is that of what goes to a file or a pipe.
const defaultWidth = 160

// widthOf returns how many columns what is written to out may take.
func widthOf(out io.Writer, getenv func(string) string) int {
	if columns, err := strconv.Atoi(getenv("COLUMNS")); err == nil && columns > 0 {
		return columns
	}
	if f := terminalOf(out); f != nil {
		if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 0 {
			return width
		}
	}
	return defaultWidth
}

// confirm asks at the terminal whether to go on. Where there is none, yes must
// have been said by a flag.
func confirm(cmd *cobra.Command, yes bool, question string) error {
	if yes {
		return nil
	}
	in := terminalOf(cmd.InOrStdin())
	if in == nil {
		return exit(exitFailure, errors.New("nothing was changed: this needs a terminal to ask at, or --yes"))
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "%s [y/N] ", question)
	answer, err := bufio.NewReader(in).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return exit(exitFailure, fmt.Errorf("read the answer: %w", err))
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return nil
	default:
		return exit(exitFailure, errors.New("nothing was changed"))
	}
}

// askSecret asks at the terminal for a line that it does not show. ok is false
// where there is no terminal.
func askSecret(cmd *cobra.Command, prompt string) (secret string, ok bool, err error) {
	in := terminalOf(cmd.InOrStdin())
	if in == nil {
		return "", false, nil
	}
	fmt.Fprint(cmd.ErrOrStderr(), prompt)
	line, err := term.ReadPassword(int(in.Fd()))
	fmt.Fprintln(cmd.ErrOrStderr())
	if err != nil {
		return "", true, fmt.Errorf("read from the terminal: %w", err)
	}
	return strings.TrimRight(string(line), "\r\n"), true, nil
}
