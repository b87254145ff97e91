package disk

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// After a clean stop the index knows all, with the blocks, without a look into
// any chunk; and it is used once.
func TestSavedIndex(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, Config{}, dir)
	scanAll(t, s)
	key, v := object("saved", testSize, 0)
	c := create(t, s, key, v)
	fill(t, c, 0, 2)
	c.Release()
	bytes := s.Stats().Bytes
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, Config{}, dir)
	d := s.drives()[0]
	s.loadIndex(t.Context(), d)
	if !d.scanned.Load() {
		t.Fatal("the index is not complete")
	}
	e := s.held(key)
	if e == nil || !e.listed || e.present.Count() != 2 || !e.present.Has(2) {
		t.Fatalf("entry %+v", e)
	}
	if err := s.scan(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	if got := s.Stats().Bytes; got != bytes {
		t.Errorf("%d bytes, %d before", got, bytes)
	}
	if _, err := os.Stat(filepath.Join(dir, "index")); !os.IsNotExist(err) {
		t.Errorf("the index stays: %v", err)
	}
}

func FuzzParseIndex(f *testing.F) {
	key, _ := object("fuzz", testSize, 3)
	x := indexed{key: key, bytes: 9000, used: 7, present: Bitmap{5, 1}, listed: true}
	good := append([]byte(indexMagic), 1, 0, 0, 0, 1, 0, 0, 0)
	f.Add(x.append(good))
	f.Add([]byte(indexMagic))
	f.Fuzz(func(t *testing.T, b []byte) {
		entries, ok := parseIndex(b)
		if ok && len(entries)*indexEntry != len(b)-indexHead-indexTail {
			t.Errorf("%d entries of %d bytes", len(entries), len(b))
		}
	})
}

// The scrub goes on where it was.
func TestScrubState(t *testing.T) {
	key, _ := object("scrub", testSize, 0)
	var was, is scrubState
	now := time.Unix(1e9, 0)
	for range shardCount + 3 {
		was.next(now)
	}
	was.did(key, now)
	is.parse(was.text())
	shard, after := is.place()
	if st := is.stats(); shard != 3 || after != chunkName(key) || st.Rounds != 1 || !st.LastRound.Equal(now) {
		t.Errorf("shard %d behind %q, %+v", shard, after, st)
	}
	for _, text := range []string{"", "shard 99\nrounds 1\nlast 0\nafter -\n", "shard -1\nrounds 1\nlast 0\nafter -\n", "shard x"} {
		var none scrubState
		if none.parse(text); none.shard != 0 || none.rounds != 0 {
			t.Errorf("%q is believed", text)
		}
	}
}

// A day of faults is what counts.
func TestFaultLog(t *testing.T) {
	var l faultLog
	at := time.Unix(1e9, 0)
	for i := range 5 {
		l.add(at.Add(time.Duration(i) * time.Hour))
	}
	for _, tt := range []struct {
		after time.Duration
		want  int64
	}{{4 * time.Hour, 5}, {23 * time.Hour, 5}, {25 * time.Hour, 3}, {80 * time.Hour, 0}} {
		if got := l.today(at.Add(tt.after)); got != tt.want {
			t.Errorf("after %s: %d, want %d", tt.after, got, tt.want)
		}
	}
	if l.total() != 5 {
		t.Errorf("%d in all", l.total())
	}
}
