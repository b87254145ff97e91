package start

import (
	"flag"
	"os"
	"testing"

	"github.com/mccd/mccd/test/process"
)

var full = flag.Bool("full", false, "measure at full size")

// TestSmoke: starts on a small drive are measured; the times say nothing.
func TestSmoke(t *testing.T) {
	bin, err := process.Build(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{Bin: bin, Dir: t.TempDir(), Chunks: 300, Rounds: 1, Warm: true}
	if *full {
		cfg = Config{Bin: bin, Dir: t.TempDir()}
	}
	found, err := Run(t.Context(), cfg, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	if len(found) != 2 || found[0].Name != "start/first_hit" || found[0].Value <= 0 {
		t.Errorf("rows %+v", found)
	}
}
