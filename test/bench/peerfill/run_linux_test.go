package peerfill

import (
	"io"
	"testing"

	"go.uber.org/goleak"
)

// Both ways move all bytes, cost something, and leave nothing running.
func TestRun(t *testing.T) {
	defer goleak.VerifyNone(t)
	found, err := Run(t.Context(), Config{Dir: t.TempDir(), Rounds: 1, Chunks: 4, Connections: 2}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if len(found) != 3 {
		t.Fatalf("%d findings", len(found))
	}
	for _, f := range found {
		if f.Value <= 0 || f.Name != "peer/allocated" && f.Reference <= 0 {
			t.Errorf("%s: %v beside %v", f.Name, f.Value, f.Reference)
		}
	}
}
