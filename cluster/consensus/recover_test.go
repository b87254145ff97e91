package consensus

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	"github.com/mccd/mccd/cluster/state"
)

func (g *group) recoverAt(id string) (Report, error) {
	return Recover(RecoverConfig{Dir: filepath.Join(g.dir, id, "raft"), StateFile: filepath.Join(g.dir, id, "state"), ID: id})
}

func TestRecoverFromOneSurvivor(t *testing.T) {
	g := newGroup(t)
	g.grow(3)
	want := g.same()
	survivor := g.leader().id
	for i := 1; i <= 3; i++ {
		g.stop(name(i))
	}
	report, err := g.recoverAt(survivor)
	if err != nil {
		t.Fatal(err)
	}
	if report.Applied != want.Index || report.Uncommitted != 0 || len(report.Voters) != 3 || report.Generation != want.Generation+1 || report.LastIndex < want.Index {
		t.Errorf("got %+v after %d", report, want.Index)
	}
	m := g.start(survivor, nil)
	if got := m.State(); got.Generation != report.Generation || got.Index != want.Index || !slices.Equal(got.Nodes, want.Nodes) {
		t.Errorf("got generation %d, index %d", got.Generation, got.Index)
	}
	g.do(state.SetConfig{Expect: want.Config.Revision})
	// The others begin anew, from nothing.
	for i := 1; i <= 3; i++ {
		if id := name(i); id != survivor {
			if err := os.RemoveAll(filepath.Join(g.dir, id, "raft")); err != nil {
				t.Fatal(err)
			}
			g.start(id, nil)
		}
	}
	g.voters(3)
	if st := g.same(); st.Generation != report.Generation {
		t.Errorf("generation %d after the return of the others", st.Generation)
	}
}

func TestRecoverRepeats(t *testing.T) {
	g := newGroup(t)
	g.grow(1)
	g.stop(name(1))
	ids := make(map[string]bool)
	for want := uint32(2); want <= 3; want++ {
		report, err := g.recoverAt(name(1))
		ids[report.RecoveryID] = true
		if err != nil || report.Generation != want || !slices.Equal(report.Voters, []string{name(1)}) {
			t.Fatalf("got %+v, %v", report, err)
		}
	}
	dry, err := Recover(RecoverConfig{Dir: filepath.Join(g.dir, name(1), "raft"), StateFile: filepath.Join(g.dir, name(1), "state"), ID: name(1), DryRun: true})
	if err != nil || dry.Generation != 4 {
		t.Fatalf("got %+v, %v", dry, err)
	}
	m := g.start(name(1), nil)
	if got := m.State(); got.Generation != 3 || len(ids) != 2 || !ids[got.RecoveryID] || len(got.RecoveryID) != 16 {
		t.Errorf("generation %d of recovery %q, all %v", got.Generation, got.RecoveryID, ids)
	}
	g.do(state.SetConfig{})
}

func TestRecoverCounts(t *testing.T) {
	g := newGroup(t)
	m := g.found(name(1))
	g.do(state.SetConfig{})
	old := *m.State()
	revision := old.Config.Revision
	for range 3 {
		revision = g.do(state.SetConfig{Expect: revision}).Revision
	}
	_, _ = m.Apply(t.Context(), state.SetConfig{Expect: 12345}) // refused: changes nothing
	g.stop(m.id)
	// The file is of three commands before.
	if err := saveState(filepath.Join(g.dir, m.id, "state"), &old); err != nil {
		t.Fatal(err)
	}
	report, err := g.recoverAt(m.id)
	if err != nil || report.Uncommitted != 3 || report.Applied != old.Index {
		t.Errorf("got %+v, %v", report, err)
	}
	if got := g.start(m.id, nil).State(); got.Config.Revision != revision {
		t.Errorf("revision %d, want %d: what was not known to be agreed is lost", got.Config.Revision, revision)
	}
}

func TestRecoverFromTheFileAlone(t *testing.T) {
	g := newGroup(t)
	want := g.found(name(1)).State()
	g.do(state.SetConfig{})
	g.stop(name(1))
	if err := os.RemoveAll(filepath.Join(g.dir, name(1), "raft")); err != nil {
		t.Fatal(err)
	}
	if _, err := g.recoverAt(name(1)); err != nil {
		t.Fatal(err)
	}
	g.start(name(1), nil)
	g.do(state.Locate{ID: name(1), PeerAddr: "a:1"})
	if got := g.same(); got.ClusterID != want.ClusterID || got.Config.Revision == 0 {
		t.Errorf("got %+v", got)
	}
	if _, err := g.recoverAt(name(2)); !errors.Is(err, ErrRecoverEmpty) {
		t.Errorf("with nothing there: %v", err)
	}
}

func TestSeed(t *testing.T) {
	g := newGroup(t)
	raw, err := state.Encode(*founding(name(1), ""), 5)
	if err != nil {
		t.Fatal(err)
	}
	st, result := state.Apply(&state.State{}, raw, 41)
	if result.Err != nil {
		t.Fatal(result.Err)
	}
	st.Generation, st.RecoveryID = 7, "0123456789abcdef"
	dir, file := filepath.Join(g.dir, name(1), "raft"), filepath.Join(g.dir, name(1), "state")
	if err := Seed(dir, file, name(1), st); err != nil {
		t.Fatal(err)
	}
	if err := Seed(dir, file, name(1), st); !errors.Is(err, state.ErrInCluster) {
		t.Errorf("a second seed: %v", err)
	}
	m := g.start(name(1), func(cfg *Config) { cfg.Bootstrap = founding(name(1), "") })
	if got := m.State(); got.Generation != 7 || len(got.RecoveryID) != 16 || got.RecoveryID == st.RecoveryID {
		t.Errorf("generation %d of recovery %q: a backup can be restored twice", got.Generation, got.RecoveryID)
	}
	g.join(name(2))
	if got := g.same(); got.Generation != 7 || got.Index <= 41 || len(got.Nodes) != 2 {
		t.Errorf("got %+v", got)
	}
}

func TestFilesArePrivate(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("modes are of unix")
	}
	g := newGroup(t)
	m := g.found(name(1))
	g.do(state.SetConfig{})
	if err := m.raft.Load().Snapshot().Error(); err != nil {
		t.Fatal(err)
	}
	g.stop(m.id)
	files := 0
	err := filepath.WalkDir(filepath.Join(g.dir, name(1)), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		if !d.IsDir() {
			files++
		}
		return err
	})
	if err != nil || files < 4 {
		t.Errorf("%d files, %v", files, err)
	}
}
