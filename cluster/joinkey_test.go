package cluster

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/mccd/mccd/cluster/state"
)

// TestJoinKeptInPart: a crash between the files of an admission; the next start
// asks by the same key, so the token is not used a second time.
func TestJoinKeptInPart(t *testing.T) {
	for what, gone := range map[string][]string{
		"not ready": {readyFile}, "without state": {readyFile, stateFile},
	} {
		t.Run(what, func(t *testing.T) {
			w := newWorld(t)
			a := w.start(w.config("a"))
			token := a.token(state.TokenSpec{})
			b := w.open(w.config("b")) // it does not run: the steps are made by hand
			i := newIntent([]string{a.addr}, token)
			dir := b.folders.path(joiningFolder)
			if err := os.MkdirAll(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			w.must(func() error { return b.prepareJoin(w.ctx(), i) })
			for _, name := range gone {
				if err := os.Remove(filepath.Join(dir, name)); err != nil {
					t.Fatal(err)
				}
			}
			b.halt()
			b.restart()
			w.agreed(a, b)
			if n := uses(a.State().Tokens); n != 0 {
				t.Errorf("%d uses are left", n)
			}
		})
	}
}
