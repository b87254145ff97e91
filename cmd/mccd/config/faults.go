package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Where says where a value was given: a file and line, an environment variable
// or a flag. The zero Where is a default.
type Where struct {
	// Name is the file, the variable or the flag.
	Name string
	// Line counts from 1; 0 outside files.
	Line int
}

// String returns "mccd.yaml:12", "MCCD_LISTEN", "--listen", or "".
func (w Where) String() string {
	if w.Line > 0 {
		return fmt.Sprintf("%s:%d", w.Name, w.Line)
	}
	return w.Name
}

// Fault is one thing that is wrong with the configuration.
type Fault struct {
	Where Where
	// Key is the key's full path, such as "drives[1].size"; may be empty.
	Key string
	// Text says what is wrong and what to write.
	Text string
}

// String returns the fault on one line.
func (f Fault) String() string {
	parts := make([]string, 0, 3)
	for _, part := range []string{f.Where.String(), f.Key, f.Text} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	return strings.Join(parts, ": ")
}

// Faults is the error that Load returns: all that is wrong, in the order of
// the file, then the environment, then flags.
type Faults []Fault

// Error returns one line for each fault.
func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i, fault := range f {
		lines[i] = fault.String()
	}
	return strings.Join(lines, "\n")
}

func (f Faults) sorted() Faults {
	rank := func(w Where) int {
		switch {
		case w.Line > 0:
			return 0
		case strings.HasPrefix(w.Name, envPrefix):
			return 1
		case strings.HasPrefix(w.Name, "--"):
			return 2
		default:
			return 3
		}
	}
	slices.SortStableFunc(f, func(a, b Fault) int {
		return cmp.Or(cmp.Compare(rank(a.Where), rank(b.Where)), cmp.Compare(a.Where.Line, b.Where.Line),
			cmp.Compare(a.Where.Name, b.Where.Name), cmp.Compare(a.Key, b.Key))
	})
	return f
}
