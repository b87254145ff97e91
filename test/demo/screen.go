package main

import (
	"fmt"
	"io"
	"os"
	"strings"
)

// screen is where progress goes: one block that is drawn anew in place on a
// terminal, plain lines anywhere else.
type screen struct {
	out      io.Writer
	terminal bool
	color    bool
	drawn    int // lines of the block on the terminal
}

func newScreen(out io.Writer) *screen {
	s := &screen{out: out}
	if f, ok := out.(*os.File); ok {
		info, err := f.Stat()
		s.terminal = err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("TERM") != "dumb"
	}
	s.color = s.terminal && os.Getenv("NO_COLOR") == ""
	return s
}

// print writes lines that stay.
func (s *screen) print(lines ...string) {
	s.clear()
	for _, line := range lines {
		fmt.Fprintln(s.out, line)
	}
}

// block draws lines in place of the last block.
func (s *screen) block(lines []string) {
	s.clear()
	fmt.Fprint(s.out, strings.Join(lines, "\n")+"\n")
	s.drawn = len(lines)
}

// clear takes the block away.
func (s *screen) clear() {
	if s.drawn > 0 {
		fmt.Fprintf(s.out, "\x1b[%dA\x1b[J", s.drawn)
		s.drawn = 0
	}
}

// paint colours text on a terminal that has colours.
func (s *screen) paint(code, text string) string {
	if !s.color {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// The colours used.
const (
	bold  = "1"
	dim   = "2"
	red   = "31"
	green = "32"
	amber = "33"
)

// bar draws part of whole in width cells.
func bar(part, whole float64, width int) string {
	full := 0
	if whole > 0 {
		full = min(width, int(part/whole*float64(width)+0.5))
	}
	return strings.Repeat("█", full) + strings.Repeat("░", width-full)
}

// size writes bytes for people.
func size(n float64) string {
	switch {
	case n >= 1<<30:
		return fmt.Sprintf("%.2f GiB", n/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MiB", n/(1<<20))
	case n >= 1<<10:
		return fmt.Sprintf("%.1f KiB", n/(1<<10))
	default:
		return fmt.Sprintf("%.0f B", n)
	}
}

// number writes n with thin groups of three.
func number(n int) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
