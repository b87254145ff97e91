package main

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/jedib0t/go-pretty/v6/table"
)

// column is one of a table. Those with the highest number are left out first
// where the table does not fit; those with 0 stay.
type column struct {
	title string
	spare int
}

// fit renders a table in at most width columns of text: it leaves columns out,
// and last of all cuts rows.
func fit(width int, columns []column, rows [][]string) string {
	columns, rows = slices.Clone(columns), slices.Clone(rows)
	for {
		text := render(columns, rows, 0)
		if widest(text) <= width {
			return text
		}
		last := -1
		for i, c := range columns {
			if c.spare > 0 && (last < 0 || c.spare > columns[last].spare) {
				last = i
			}
		}
		if last < 0 {
			return render(columns, rows, width)
		}
		columns = slices.Delete(columns, last, last+1)
		for i, row := range rows {
			rows[i] = slices.Concat(row[:last], row[last+1:])
		}
	}
}

// render makes a table; limit cuts its rows, 0 = not.
func render(columns []column, rows [][]string, limit int) string {
	t := table.NewWriter()
	style := table.StyleLight
	style.Options = table.OptionsNoBordersAndSeparators
	if limit > 0 {
		style.Size.WidthMax = limit
	}
	t.SetStyle(style)
	t.SuppressTrailingSpaces()
	header := make(table.Row, len(columns))
	for i, c := range columns {
		header[i] = c.title
	}
	t.AppendHeader(header)
	for _, row := range rows {
		cells := make(table.Row, len(row))
		for i, cell := range row {
			cells[i] = cell
		}
		t.AppendRow(cells)
	}
	return t.Render()
}

func widest(text string) int {
	widest := 0
	for line := range strings.SplitSeq(text, "\n") {
		widest = max(widest, utf8.RuneCountInString(line))
	}
	return widest
}

// cut returns at most n characters of text, and tells where some are missing.
func cut(text string, n int) string {
	if utf8.RuneCountInString(text) <= n {
		return text
	}
	return string([]rune(text)[:n-1]) + "…"
}

// wrap breaks text into lines of at most width columns, the first after
// prefix, the others below it.
func wrap(prefix, text string, width int) string { return hang(prefix, "  ", text, width) }

// hang is wrap with below before each line but the first.
func hang(prefix, below, text string, width int) string {
	b := &strings.Builder{}
	line, begun := prefix, false
	for word := range strings.FieldsSeq(text) {
		if begun && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width {
			b.WriteString(line + "\n")
			line, begun = below, false
		}
		if begun {
			line += " "
		}
		line, begun = line+word, true
	}
	b.WriteString(strings.TrimRight(line, " ") + "\n")
	return b.String()
}
