package disk

import (
	"os"
	"path/filepath"
	"testing"
)

// One drive that cannot be opened does not keep the others from serving; when
// none can, the node does not start.
func TestUnusableDriveIsLeftOut(t *testing.T) {
	good, bad := t.TempDir(), filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(bad, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := New(Config{Drives: []Drive{{Path: bad, Size: 1 << 30}, {Path: good, Size: 1 << 30}}})
	if err != nil {
		t.Fatal(err)
	}
	stats := s.Stats()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if len(stats.Drives) != 2 || stats.Drives[0].State != StateMissing || stats.Drives[0].Cause == nil || stats.Drives[1].State != StateOK {
		t.Errorf("drives: %+v", stats.Drives)
	}
	if _, err := New(Config{Drives: []Drive{{Path: bad, Size: 1 << 30}}}); err == nil {
		t.Error("a node without any drive started")
	}
}
