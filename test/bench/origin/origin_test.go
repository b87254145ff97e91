package origin

import (
	"flag"
	"os"
	"testing"

	"github.com/mccd/mccd/test/process"
)

var full = flag.Bool("full", false, "measure at full size")

// TestSmoke: small traces are measured; nothing that was asked for comes twice
// from an origin without a restart.
func TestSmoke(t *testing.T) {
	bin, err := process.Build(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{Bin: bin, Dir: t.TempDir(), Nodes: 2, Size: 32 * mib, Clients: 4, Ranges: 16, Calm: true}
	if *full {
		cfg = Config{Bin: bin, Dir: t.TempDir()}
	}
	found, err := Run(t.Context(), cfg, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"origin/herd", "origin/sparse", "origin/windows"} {
		if found[i].Name != want || found[i].Value < 1 {
			t.Errorf("row %d: %+v, not %s", i, found[i], want)
		}
	}
}
