package disk

import (
	"context"
	"errors"
	"testing"

	"github.com/mccd/mccd/storage"
)

// Room is made of what is worth least, and no more than was asked for; what is
// in use or pinned stays and is told.
func TestFreeDrive(t *testing.T) {
	w := &worths{}
	dir := t.TempDir()
	s := openStore(t, Config{Worth: w.of, Drives: []Drive{{Path: dir, Size: 8 * MinDriveSize}}})
	keys := map[string]storage.ChunkKey{}
	for _, name := range []string{"a", "b", "c", "d", "e", "f"} {
		keys[name] = put(t, s, name)
	}
	w.say(keys["a"], WorthPinned)
	w.say(keys["d"], WorthOld)
	for i := range shardCount {
		s.reclassify(i)
	}
	const file = MinDriveSize
	f, err := s.FreeDrive(t.Context(), dir, 3*file-1)
	if err != nil || f.Files != 1 || f.Bytes != file || f.Room < 3*file-1 || f.Busy != 0 || f.Pinned != 0 {
		t.Errorf("freed %+v, %v", f, err)
	}
	mustHold(t, s, keys, "a", "b", "c", "e", "f")
	c, err := s.Lookup(keys["b"])
	if err != nil {
		t.Fatal(err)
	}
	f, err = s.FreeDrive(t.Context(), dir+"/", 100*file)
	if err != nil || f.Files != 3 || f.Busy != 1 || f.Pinned != 1 || f.Room != 6*file {
		t.Errorf("freed %+v, %v", f, err)
	}
	mustHold(t, s, keys, "a", "b")
	if n, err := read(t, c, whole(c)); n != c.Len() || err != nil {
		t.Errorf("what was in use: read %d, %v", n, err)
	}
	c.Release()
	if f, err = s.FreeDrive(t.Context(), dir, 100*file); err != nil || f.Files != 1 || f.Busy != 0 {
		t.Errorf("freed %+v once it was let go, %v", f, err)
	}
	mustHold(t, s, keys, "a")
}

func TestFreeDriveRefuses(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, Config{Drives: []Drive{{Path: dir, Size: 8 * MinDriveSize}}})
	put(t, s, "a")
	if _, err := s.FreeDrive(t.Context(), dir+"x", 1); !errors.Is(err, ErrDrive) {
		t.Errorf("another path: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if f, err := s.FreeDrive(ctx, dir, 8*MinDriveSize); !errors.Is(err, context.Canceled) || f.Files != 0 {
		t.Errorf("ended before it began: %+v, %v", f, err)
	}
	if f, err := s.FreeDrive(t.Context(), dir, 1); err != nil || f.Files != 0 {
		t.Errorf("room there is: %+v, %v", f, err)
	}
}
