package disk

import (
	"testing"

	"github.com/mccd/mccd/storage"
)

// What happens to records while the start scan counts them counts once.
func TestRecordsCountOnce(t *testing.T) {
	dir := t.TempDir()
	record := func(s *Store, name string) storage.ObjectID {
		key, v := object(name, testSize, 0)
		if err := s.PutRecord(&storage.Object{ID: key.Object, Host: "cdn.test", Path: "/" + name, Version: v}); err != nil {
			t.Fatal(err)
		}
		return key.Object
	}
	s := openStore(t, Config{}, dir)
	scanAll(t, s)
	for _, name := range []string{"kept", "again", "dropped"} {
		record(s, name)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, Config{}, dir)
	id := record(s, "dropped")
	if err := s.DropRecord(id); err != nil {
		t.Fatal(err)
	}
	record(s, "again")
	record(s, "new")
	scanAll(t, s)
	if got, want := s.Stats().Bytes, int64(3*4096); got != want {
		t.Errorf("%d bytes count, want %d", got, want)
	}
}
