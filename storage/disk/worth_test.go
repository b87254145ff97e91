package disk

import (
	"errors"
	"sync"
	"testing"

	"github.com/mccd/mccd/storage"
)

// worths is what the tests say of chunks: what was set, else by the note.
type worths struct {
	mu  sync.Mutex
	set map[storage.ChunkKey]Worth
}

func (w *worths) of(key storage.ChunkKey, by uint32) Worth {
	w.mu.Lock()
	defer w.mu.Unlock()
	if worth, ok := w.set[key]; ok {
		return worth
	}
	if by != 0 {
		return WorthBorrowed
	}
	return WorthOwned
}

func (w *worths) say(key storage.ChunkKey, worth Worth) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.set == nil {
		w.set = map[storage.ChunkKey]Worth{}
	}
	w.set[key] = worth
}

// put stores a full chunk and lets it go.
func put(t *testing.T, s *Store, name string) storage.ChunkKey {
	t.Helper()
	key, v := object(name, storage.ChunkSize, 0)
	c := create(t, s, key, v)
	defer c.Release()
	fill(t, c)
	if !c.Stored() {
		t.Errorf("%s is not stored", name)
	}
	return key
}

// mustHold fails unless exactly the given chunks of all are held.
func mustHold(t *testing.T, s *Store, all map[string]storage.ChunkKey, want ...string) {
	t.Helper()
	wanted := map[string]bool{}
	for _, name := range want {
		wanted[name] = true
	}
	for name, key := range all {
		if _, held := s.Presence(key); held != wanted[name] {
			t.Errorf("%s: held is %v", name, held)
		}
	}
}

// What is worth least goes first, by what it is worth at that moment.
func TestWorthIsAskedAtEviction(t *testing.T) {
	w := &worths{}
	s := openStore(t, Config{Worth: w.of, BorrowedShare: -1, Drives: []Drive{{Path: t.TempDir(), Size: 4*MinDriveSize + 1<<20}}})
	keys := map[string]storage.ChunkKey{}
	for _, name := range []string{"a", "b", "c", "d"} {
		keys[name] = put(t, s, name)
	}
	if !s.Confirm(keys["c"], 7) || s.Confirm(storage.ChunkKey{}, 7) {
		t.Error("confirmation of what is held is refused, or of what is not is taken")
	}
	keys["e"] = put(t, s, "e")
	mustHold(t, s, keys, "a", "b", "d", "e")
	w.say(keys["a"], WorthPinned)
	keys["f"] = put(t, s, "f")
	mustHold(t, s, keys, "a", "d", "e", "f")
	w.say(keys["f"], WorthOld)
	for i := range shardCount {
		s.reclassify(i)
	}
	keys["g"] = put(t, s, "g")
	mustHold(t, s, keys, "a", "d", "e", "g")
	for _, name := range []string{"d", "e", "g"} {
		w.say(keys[name], WorthPinned)
	}
	key, v := object("h", storage.ChunkSize, 0)
	c := create(t, s, key, v)
	fill(t, c)
	c.Release()
	if c = create(t, s, key, v); c.Stored() {
		t.Error("stored, though all else is pinned")
	}
	c.Release()
	mustHold(t, s, keys, "a", "d", "e", "g")
}

// Borrowed copies keep their share, and no more, when owned chunks come.
func TestBorrowedShare(t *testing.T) {
	w := &worths{}
	const size = 64 << 20
	s := openStore(t, Config{Worth: w.of, BorrowedShare: 30, Drives: []Drive{{Path: t.TempDir(), Size: size}}})
	for _, name := range []string{"b0", "b1", "b2", "b3", "b4", "b5", "b6"} {
		s.Confirm(put(t, s, name), 1)
	}
	for range 2 { // the owned ones go round, and so the borrowed ones are not the oldest
		for _, name := range []string{"o0", "o1", "o2", "o3", "o4", "o5"} {
			put(t, s, name)
		}
	}
	if _, b := s.drives()[0].policy.Usage(WorthBorrowed); b > size*30/100 {
		t.Errorf("borrowed copies take %d bytes", b)
	}
	if _, o := s.drives()[0].policy.Usage(WorthOwned); o < size*55/100 {
		t.Errorf("owned chunks take %d bytes", o)
	}
}

// A note outlives a file that is replaced, and not the chunk.
func TestConfirmed(t *testing.T) {
	s := openStore(t, Config{})
	key, v := object("note", testSize, 0)
	c := create(t, s, key, v)
	fill(t, c)
	c.Confirm(9)
	c.condemn(1, nil)
	c.Release()
	c = create(t, s, key, v)
	if by, held := s.Confirmed(key); by != 9 || !held {
		t.Errorf("noted is %d, %v", by, held)
	}
	c.Release()
	if err := s.DropChunk(t.Context(), key, nil); err != nil {
		t.Fatal(err)
	}
	if _, held := s.Confirmed(key); held {
		t.Error("a chunk that is gone is confirmed")
	}
	c = create(t, s, key, v)
	defer c.Release()
	if by, _ := s.Confirmed(key); by != 0 {
		t.Errorf("a new chunk is confirmed by %d", by)
	}
}

// What is of no use any more is found though its turn has not come.
func TestInUseOfOneClass(t *testing.T) {
	w := &worths{}
	s := openStore(t, Config{Worth: w.of, BorrowedShare: -1, Drives: []Drive{{Path: t.TempDir(), Size: 3*MinDriveSize + 1<<19}}})
	var used []*Chunk
	for _, name := range []string{"x", "y"} {
		key, v := object(name, storage.ChunkSize, 0)
		c := create(t, s, key, v)
		fill(t, c)
		c.Confirm(1)
		used = append(used, c)
	}
	free := put(t, s, "z")
	put(t, s, "new")
	if _, err := s.Lookup(free); !errors.Is(err, ErrNotHeld) {
		t.Errorf("the chunk that nobody uses: %v", err)
	}
	for _, c := range used {
		c.Release()
	}
}
