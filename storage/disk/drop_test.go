package disk

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/mccd/mccd/storage"
)

func TestDropChunk(t *testing.T) {
	s := openStore(t, Config{})
	scanAll(t, s)
	key, v := object("gone", testSize, 0)
	for _, tt := range []struct {
		name string
		held bool // while it is dropped
	}{{"idle", false}, {"open", true}} {
		c := create(t, s, key, v)
		fill(t, c)
		if !tt.held {
			c.Release()
		}
		if err := s.DropChunk(t.Context(), key, nil); err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		if _, err := s.Lookup(key); !errors.Is(err, ErrNotHeld) {
			t.Errorf("%s: dropped chunk is looked up: %v", tt.name, err)
		}
		for k := range s.Keys {
			t.Errorf("%s: %s is still listed", tt.name, k)
		}
		if _, err := os.Stat(chunkPath(s.drives()[0].path, key)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: the file is there: %v", tt.name, err)
		}
		if tt.held {
			if n, err := read(t, c, whole(c)); n != c.Len() || err != nil {
				t.Errorf("%s: a reader got %d of %d bytes, %v", tt.name, n, c.Len(), err)
			}
			again := create(t, s, key, v)
			if n, err := read(t, again, whole(again)); n != 0 || err != nil {
				t.Errorf("%s: made anew it has %d bytes, %v", tt.name, n, err)
			}
			again.Release()
			c.Release()
			if err := s.DropChunk(t.Context(), key, nil); err != nil {
				t.Fatal(err)
			}
		}
		if used := s.Stats().Bytes; used != 0 {
			t.Errorf("%s: %d bytes still count", tt.name, used)
		}
	}
	if err := s.DropChunk(t.Context(), key, nil); err != nil {
		t.Errorf("what is not held: %v", err)
	}
}

func TestDropChunkSpares(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, Config{}, dir)
	key, v := object("marked", testSize, 0)
	v.Mark = "00000000000000a1"
	marked := storage.ChunkKey{Object: key.Object, Version: v.ID(), Index: 0}
	if marked == key {
		t.Fatal("a mark does not change the key")
	}
	c := create(t, s, marked, v)
	fill(t, c)
	c.Release()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, Config{}, dir) // so that the version comes from the file
	scanAll(t, s)
	spare := func(v storage.Version) bool { return v.Mark == "00000000000000a1" }
	if err := s.DropChunk(t.Context(), marked, spare); err != nil {
		t.Fatal(err)
	}
	c, err := s.Lookup(marked)
	if err != nil {
		t.Fatalf("what is spared: %v", err)
	}
	c.Release()
	if err := s.DropChunk(t.Context(), marked, func(storage.Version) bool { return false }); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Lookup(marked); !errors.Is(err, ErrNotHeld) {
		t.Errorf("what is not spared: %v", err)
	}
	bad := v
	bad.Mark = "xyz"
	if _, err := encodeHead(storage.ChunkKey{Object: key.Object, Version: bad.ID()}, bad); !errors.Is(err, errMark) {
		t.Errorf("a malformed mark: %v", err)
	}
}

func TestEachAndDropRecord(t *testing.T) {
	s := openStore(t, Config{}, t.TempDir(), t.TempDir())
	want := map[storage.ObjectID]bool{}
	for _, path := range []string{"/a", "/b", "/c"} {
		o := record(path)
		if err := s.PutRecord(o); err != nil {
			t.Fatal(err)
		}
		want[o.ID] = true
	}
	gone := record("/b").ID
	if err := s.DropRecord(gone); err != nil {
		t.Fatal(err)
	}
	delete(want, gone)
	broken := record("/c").ID
	for _, d := range s.drives() {
		name := d.recordPath(recordName(broken))
		if b, err := os.ReadFile(name); err == nil {
			b[len(b)-1] ^= 1
			if err := os.WriteFile(name, b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	delete(want, broken)
	err := s.EachRecord(t.Context(), func(o *storage.Object) bool {
		if !want[o.ID] {
			t.Errorf("record %s is listed", o.Path)
		}
		delete(want, o.ID)
		return true
	})
	if err != nil || len(want) != 0 {
		t.Errorf("%d records are not listed, %v", len(want), err)
	}
	for _, d := range s.drives() {
		if _, err := os.Stat(d.recordPath(recordName(broken))); err == nil {
			t.Error("a record that nobody can judge stays")
		}
	}
}

func TestPurged(t *testing.T) {
	dirs := []string{t.TempDir(), t.TempDir()}
	s := openStore(t, Config{}, dirs...)
	if at, blank := s.Purged(); !blank || at != (storage.Stamp{}) {
		t.Errorf("new drives: %v, %v", at, blank)
	}
	want := storage.Stamp{Cluster: "c1", Generation: 2, Index: 7}
	if err := s.SetPurged(want); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, text string
		want       storage.Stamp
	}{
		{"as it was", "cluster \"c1\"\ngeneration 2\nindex 7\n", want},
		{"a new drive", purgedNothing, want},
		{"one was away", "cluster \"c1\"\ngeneration 2\nindex 3\n", storage.Stamp{Cluster: "c1", Generation: 2, Index: 3}},
		{"one is of another cluster", "cluster \"c2\"\ngeneration 2\nindex 9\n", storage.Stamp{}},
		{"damaged", "cluster", storage.Stamp{}},
		{"empty", "", storage.Stamp{}},
	} {
		if err := os.WriteFile(filepath.Join(dirs[1], "purged"), []byte(tt.text), 0o600); err != nil {
			t.Fatal(err)
		}
		s := openStore(t, Config{}, dirs...)
		if at, blank := s.Purged(); at != tt.want || blank {
			t.Errorf("%s: %+v, %v", tt.name, at, blank)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
