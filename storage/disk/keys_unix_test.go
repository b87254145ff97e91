//go:build unix

package disk

import (
	"io/fs"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/mccd/mccd/storage"
)

// What is held and cannot be opened at this moment is told with all that it may
// have; what is gone is not.
func TestKeysOfWhatCannotBeOpened(t *testing.T) {
	for _, tt := range []struct {
		name   string
		err    error
		blocks int // -1 = it is not told
	}{
		{"well", nil, 2},
		{"no descriptors", syscall.EMFILE, storage.BlocksPerChunk},
		{"the drive fails", syscall.EIO, storage.BlocksPerChunk},
		{"gone", fs.ErrNotExist, -1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var failing atomic.Bool
			f := newFaultFS()
			f.fail = func(op Op, _ string) error {
				if op == OpOpen && failing.Load() {
					return tt.err
				}
				return nil
			}
			s := openStore(t, Config{FS: f})
			key, v := object("a", testSize, 0)
			c := create(t, s, key, v)
			fill(t, c, 0, 1)
			c.Release()
			s.closeIdle(false)
			s.held(key).listed = false // as after a start
			failing.Store(true)
			got := -1
			for k, have := range s.Keys {
				if k == key {
					got = have.Count()
				}
			}
			failing.Store(false)
			if got != tt.blocks {
				t.Errorf("%d blocks, want %d", got, tt.blocks)
			}
		})
	}
}
