package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/mccd/mccd/test/process/rows"
)

// The benchmark runs through, and its figures are there.
func TestSmoke(t *testing.T) {
	defer goleak.VerifyNone(t)
	var text strings.Builder
	out := filepath.Join(t.TempDir(), "out.json")
	if err := run(t.Context(), []string{"-rounds", "1", "-chunks", "4", "-connections", "2", "-dir", t.TempDir(), "-out", out}, &text); err != nil {
		t.Fatal(err)
	}
	written, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	var found []rows.Row
	if err := json.Unmarshal(written, &found); err != nil {
		t.Fatal(err)
	}
	for _, r := range found {
		if r.Value <= 0 || r.Reference <= 0 {
			t.Errorf("%s: %v beside %v", r.Name, r.Value, r.Reference)
		}
	}
	if len(found) < 3 {
		t.Errorf("%d rows:\n%s", len(found), text.String())
	}
}
