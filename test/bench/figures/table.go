package figures

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"text/tabwriter"

	"github.com/mccd/mccd/test/process/rows"
)

// Print writes findings as a table for a person, and below it how many miss
// what they must reach.
func Print(w io.Writer, findings []Finding) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "  ROW\tMCCD\tREFERENCE\tRATIO\tQUARTILES\tMUST\tAIM\tUNIT")
	short, asked := 0, 0
	for _, f := range findings {
		reference, ratio := "-", "-"
		if f.Reference != 0 {
			reference, ratio = number(f.Reference), number(f.Ratio)
		}
		fmt.Fprintf(table, "  %s\t%s\t%s\t%s\t%s .. %s\t%s\t%s\t%s\n", f.Name, number(f.Value), reference, ratio,
			number(f.Low), number(f.High), verdict(f.Must, f.Judged(), "SHORT"), verdict(f.Aim, f.Judged(), "not yet"), f.Unit)
		if f.Must.Asks() {
			asked++
		}
		if f.Short() {
			short++
		}
	}
	_ = table.Flush()
	switch {
	case short > 0:
		fmt.Fprintf(w, "SHORT of what they must reach: %d of %d rows\n", short, asked)
	case asked > 0:
		fmt.Fprintf(w, "All %d rows that must reach something do\n", asked)
	}
}

func verdict(b Bound, v float64, missed string) string {
	if !b.Asks() {
		return "-"
	}
	sign, word := "<=", "met"
	if b.side == atLeast {
		sign = ">="
	}
	if !b.Met(v) {
		word = missed
	}
	return sign + " " + strconv.FormatFloat(b.Limit, 'f', -1, 64) + " " + word
}

// number shows four digits that count, and never an exponent.
func number(v float64) string {
	digits := 3
	switch size := math.Abs(v); {
	case size >= 1000:
		digits = 0
	case size >= 100:
		digits = 1
	case size >= 10:
		digits = 2
	}
	return strconv.FormatFloat(v, 'f', digits, 64)
}

// Write makes file hold the findings' rows.
func Write(file string, findings []Finding) error {
	all := make([]rows.Row, 0, len(findings))
	for _, f := range findings {
		all = append(all, f.Row)
	}
	return rows.Write(file, all)
}
