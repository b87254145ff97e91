package presence_test

import (
	"context"
	"testing"

	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/storage/disk"
	"github.com/mccd/mccd/test/faultorigin"
	"github.com/mccd/mccd/test/process/presence"
)

// hold makes a drive hold the given blocks of chunk index of an object; the
// store stays open, as that of a running node.
func hold(t *testing.T, dir string, size int64, index uint32, blocks ...int) {
	t.Helper()
	store, err := disk.New(disk.Config{Drives: []disk.Drive{{Path: dir, Size: 1 << 30}}, MinFree: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	v := storage.Version{Kind: storage.ValidatorETag, ETag: `"x"`, Size: size}
	key := storage.ChunkKey{Object: storage.ObjectID{7}, Version: v.ID(), Index: index}
	c, err := store.Create(context.Background(), key, v)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Release()
	w, err := c.BeginWrite()
	if err != nil {
		t.Fatal(err)
	}
	defer w.End()
	for _, i := range blocks {
		n := min(storage.BlockSize, c.Len()-int64(i)*storage.BlockSize)
		if err := w.WriteBlock(i, [][]byte{make([]byte, n)}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestSnapshotOfOpenDrives(t *testing.T) {
	a, b := t.TempDir(), t.TempDir()
	const size = storage.ChunkSize + 2*storage.BlockSize + 5
	hold(t, a, size, 1, 0, 1, 2)
	hold(t, b, size, 1, 1)
	s, err := presence.Take(a, b)
	if err != nil {
		t.Fatal(err)
	}
	sets, err := s.Sets(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := sets[0].Bytes(); got != 2*storage.BlockSize+5 {
		t.Errorf("the first drive holds %d bytes", got)
	}
	if got := sets[1].Bytes(); got != storage.BlockSize {
		t.Errorf("the second drive holds %d bytes", got)
	}
	if got := presence.Alone(sets, 0); got != storage.BlockSize+5 {
		t.Errorf("only the first drive holds %d bytes", got)
	}
	if got := presence.Alone(sets, 1); got != 0 {
		t.Errorf("only the second drive holds %d bytes", got)
	}
}

func TestOpenFlights(t *testing.T) {
	ref := storage.Ref{Scheme: "http", Host: "h.example", Path: "/x"}
	chunk := func(index uint32, blocks ...uint64) presence.Set {
		set := presence.Set{}
		for _, b := range blocks {
			key := storage.ChunkKey{Object: ref.ID(), Index: index}
			c := set[key]
			c.Present[b/64] |= 1 << (b % 64)
			set[key] = c
		}
		return set
	}
	u := presence.Unite([]presence.Set{chunk(0, 126, 127), chunk(1, 0), {}})
	span := func(off, end int64) storage.Span {
		return storage.Span{Off: storage.ChunkSize + off, End: storage.ChunkSize + end}
	}
	for _, test := range []struct {
		sent storage.Span
		path string
		done bool
		open int
	}{
		{span(-2*storage.BlockSize, storage.BlockSize), "/x", true, 0},
		{span(-2*storage.BlockSize, storage.BlockSize), "/x", false, 1},
		{span(-2*storage.BlockSize-1, 0), "/x", true, 1},
		{span(0, storage.BlockSize+1), "/x", true, 1},
		{span(0, 1), "/y", true, 1},
		{span(0, 0), "/y", true, 0},
	} {
		e := faultorigin.Entry{Host: ref.Host, Path: test.path, Sent: []storage.Span{test.sent}, Done: test.done}
		if got := len(presence.Open(nil, []faultorigin.Entry{e}, u)); got != test.open {
			t.Errorf("%+v: %d open", test, got)
		}
		// One that the fault itself ended was open as well.
		was := e
		was.Done = false
		if got := len(presence.Open([]faultorigin.Entry{was}, []faultorigin.Entry{e}, u)); got != 1 {
			t.Errorf("%+v: %d open, was being sent", test, got)
		}
	}
}

func TestTally(t *testing.T) {
	e := func(path string, spans ...storage.Span) faultorigin.Entry {
		return faultorigin.Entry{Path: path, Sent: spans}
	}
	sent, unique := presence.Tally([]faultorigin.Entry{
		e("/a", storage.Span{Off: 10, End: 30}, storage.Span{Off: 50, End: 60}),
		e("/a", storage.Span{Off: 0, End: 20}), e("/b", storage.Span{Off: 5, End: 10}), e("/a"),
	})
	if sent != 55 || unique != 45 {
		t.Errorf("%d sent, %d different", sent, unique)
	}
}

func TestNoDrive(t *testing.T) {
	s, err := presence.Take(t.TempDir() + "/none")
	if err != nil {
		t.Fatal(err)
	}
	sets, err := s.Sets(t.Context())
	if err != nil || len(sets) != 1 || sets[0].Bytes() != 0 {
		t.Errorf("%v, %v", sets, err)
	}
}
