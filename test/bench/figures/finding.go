package figures

import (
	"math"

	"github.com/mccd/mccd/test/process/rows"
)

// Finding is one figure, how far it scatters, and what it is held against.
type Finding struct {
	rows.Row
	// Low and High are the quartiles of what Bounds look at.
	Low, High float64
	// Must and Aim are bounds of the ratio, or, without a reference, of the
	// value; the zero Bound asks nothing.
	Must, Aim Bound
}

// Bound is one side of what is good enough.
type Bound struct {
	Limit float64
	side  side
}

type side uint8

const (
	atMost side = iota + 1
	atLeast
)

// AtMost is met by limit and what is less.
func AtMost(limit float64) Bound { return Bound{limit, atMost} }

// AtLeast is met by limit and what is more.
func AtLeast(limit float64) Bound { return Bound{limit, atLeast} }

// Asks reports whether there is anything to meet.
func (b Bound) Asks() bool { return b.side != 0 }

// Met reports whether v meets b; it does where b asks nothing.
func (b Bound) Met(v float64) bool {
	switch b.side {
	case atMost:
		return v <= b.Limit
	case atLeast:
		return v >= b.Limit
	default:
		return true
	}
}

// Compare returns the medians of ours and theirs, which hold one figure per
// round each, and as Ratio the median of the ratios within a round.
func Compare(name, unit string, ours, theirs []float64) Finding {
	ratios := Ratios(ours, theirs)
	f := Finding{Row: rows.New(name, Median(ours), Median(theirs), unit), Low: Quantile(ratios, 0.25), High: Quantile(ratios, 0.75)}
	if len(ratios) > 0 {
		f.Ratio = math.Round(Median(ratios)*1e6) / 1e6
	}
	return f
}

// Single returns the median of values, which nothing is compared with.
func Single(name, unit string, values []float64) Finding {
	return Finding{Row: rows.New(name, Median(values), 0, unit), Low: Quantile(values, 0.25), High: Quantile(values, 0.75)}
}

// Largest returns the largest of values, for figures of which no round may be
// bad.
func Largest(name, unit string, values []float64) Finding {
	worst := Quantile(values, 1)
	return Finding{Row: rows.New(name, worst, 0, unit), Low: Quantile(values, 0), High: worst}
}

// Within returns f with its bounds.
func (f Finding) Within(must, aim Bound) Finding {
	f.Must, f.Aim = must, aim
	return f
}

// Judged returns what Must and Aim look at.
func (f Finding) Judged() float64 {
	if f.Reference != 0 {
		return f.Ratio
	}
	return f.Value
}

// Short reports whether f misses what it must reach.
func (f Finding) Short() bool { return !f.Must.Met(f.Judged()) }
