package disk

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestReadsWriteNothing: to read a chunk's file changes nothing of it, not its
// time of access either.
func TestReadsWriteNothing(t *testing.T) {
	accessed := func(open func(path string) (*os.File, error)) bool {
		path := filepath.Join(t.TempDir(), "f")
		if err := os.WriteFile(path, make([]byte, 4096), 0o600); err != nil {
			t.Fatal(err)
		}
		long := time.Unix(1e9, 0)
		if err := os.Chtimes(path, long, time.Now()); err != nil {
			t.Fatal(err)
		}
		f, err := open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := f.ReadAt(make([]byte, 100), 0); err != nil {
			t.Fatal(err)
		}
		var st unix.Stat_t
		if err := unix.Stat(path, &st); err != nil {
			t.Fatal(err)
		}
		return st.Atim.Sec != long.Unix()
	}
	if !accessed(os.Open) {
		t.Skip("this file system notes no time of access")
	}
	if accessed(func(path string) (*os.File, error) { return OS{}.Open(OpOpen, path, os.O_RDWR) }) {
		t.Error("reading a chunk's file changed its time of access")
	}
}
