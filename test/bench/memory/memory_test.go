package memory

import (
	"flag"
	"os"
	"testing"
	"time"

	"github.com/mccd/mccd/test/process"
)

var full = flag.Bool("full", false, "measure at full size")

// TestSmoke: a few clients of a small node are measured; that few take no
// memory worth a word.
func TestSmoke(t *testing.T) {
	bin, err := process.Build(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{Bin: bin, Dir: t.TempDir(), Chunks: 100, Clients: 20, Lasts: time.Second / 2, Objects: 1}
	if *full {
		cfg = Config{Bin: bin, Dir: t.TempDir()}
	}
	found, err := Run(t.Context(), cfg, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	if len(found) != 3 || found[0].Name != "memory/rss" || found[0].Value <= 1 {
		t.Errorf("rows %+v", found)
	}
}
