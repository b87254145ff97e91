package capacity

import (
	"flag"
	"os"
	"testing"

	"github.com/mccd/mccd/test/process"
)

var full = flag.Bool("full", false, "measure at full size")

// TestSmoke: a small cluster is measured in seconds; what it finds says
// nothing, as few chunks do not spread evenly.
func TestSmoke(t *testing.T) {
	bin, err := process.Build(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{Bin: bin, Dir: t.TempDir(), Nodes: 2, DriveBytes: 128 << 20, Fill: 0.5, Passes: 1, Clients: 4}
	if *full {
		cfg = Config{Bin: bin, Dir: t.TempDir()}
	}
	found, err := Run(t.Context(), cfg, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	if len(found) != 1 || found[0].Name != "capacity/origin" || found[0].Value < 0 || found[0].Value > 1 {
		t.Errorf("rows %+v", found)
	}
}
