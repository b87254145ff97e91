// Package rows writes what benchmarks and the demo measured as
// out/<target>.json: a list of rows of one form.
package rows

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
)

// Row is one figure beside what it is compared with.
type Row struct {
	Name string `json:"name"`
	// Value is ours, Reference what it is compared with, Ratio the first by
	// the second; a Reference of 0 gives the Ratio 0, or 1 where both are 0.
	Value     float64 `json:"value"`
	Reference float64 `json:"reference"`
	Ratio     float64 `json:"ratio"`
	// Unit says what is counted, over how many rounds.
	Unit string `json:"unit"`
}

// New returns a row with its ratio.
func New(name string, value, reference float64, unit string) Row {
	r := Row{Name: name, Value: value, Reference: reference, Unit: unit}
	switch {
	case reference != 0:
		r.Ratio = math.Round(value/reference*1e6) / 1e6
	case value == 0:
		r.Ratio = 1
	}
	return r
}

// Write makes file, and its folder, hold rows.
func Write(file string, rows []Row) error {
	text, err := json.MarshalIndent(rows, "", "  ")
	if err != nil {
		return fmt.Errorf("encode rows: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, append(text, '\n'), 0o644)
}
