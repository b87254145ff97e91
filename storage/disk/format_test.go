package disk

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/mccd/mccd/storage"
)

func TestHeadRoundTrip(t *testing.T) {
	for _, v := range []storage.Version{
		{Kind: storage.ValidatorNone, Size: 1, Nonce: 1 << 63},
		{Kind: storage.ValidatorETag, ETag: `"x"`, LastModified: "then", Size: testSize},
		{Kind: storage.ValidatorLastModifiedLength, LastModified: "then", Size: storage.ChunkSize, Variant: "br"},
		{Kind: storage.ValidatorETag, ETag: strings.Repeat("e", headSize-stringsOff), Size: 1 << 50},
	} {
		key := storage.ChunkKey{Object: storage.ObjectID{1, 2, 3}, Version: v.ID()}
		b, err := encodeHead(key, v)
		if err != nil {
			t.Fatal(err)
		}
		gotKey, got, err := decodeHead(b)
		if err != nil || gotKey != key || got != v {
			t.Errorf("got %+v %+v, %v; want %+v %+v", gotKey, got, err, key, v)
		}
	}
	long := storage.Version{Kind: storage.ValidatorETag, ETag: strings.Repeat("e", headSize), Size: 9}
	if _, err := encodeHead(storage.ChunkKey{Version: long.ID()}, long); !errors.Is(err, errTooLong) {
		t.Errorf("too long: %v", err)
	}
}

// Validators that no header can hold are served from memory.
func TestLongValidatorsAreNotStored(t *testing.T) {
	s := openStore(t, Config{})
	v := storage.Version{Kind: storage.ValidatorETag, ETag: strings.Repeat("e", headSize), Size: 9}
	c := create(t, s, storage.ChunkKey{Version: v.ID()}, v)
	defer c.Release()
	fill(t, c)
	if n, err := read(t, c, whole(c)); n != 9 || err != nil || c.Stored() {
		t.Errorf("read %d, %v, stored %v", n, err, c.Stored())
	}
	if st := s.Stats(); st.Drives[0].State != StateOK {
		t.Errorf("drive is %v", st.Drives[0].State)
	}
}

func TestEntryIsBoundToItsPlace(t *testing.T) {
	key, _ := object("entry", testSize, 0)
	other := key
	other.Index = 1
	var e [entrySize]byte
	encodeEntry(&e, key, 3, 0xdeadbeef, storage.BlockSize)
	table := make([]byte, tableSize)
	copy(table[3*entrySize:], e[:])
	copy(table[4*entrySize:], e[:])
	var sums [storage.BlocksPerChunk]uint32
	if got := decodeTable(table, key, storage.ChunkSize, &sums); got.Count() != 1 || !got.Has(3) || sums[3] != 0xdeadbeef {
		t.Errorf("own entry: %b", got)
	}
	if got := decodeTable(table, other, storage.ChunkSize, &sums); !got.Empty() {
		t.Errorf("another chunk's entry: %b", got)
	}
	if got := decodeTable(table, key, 3*storage.BlockSize+5, &sums); !got.Empty() {
		t.Errorf("a block of another length: %b", got)
	}
	if got := decodeTable(table[:3*entrySize+8], key, storage.ChunkSize, &sums); !got.Empty() {
		t.Errorf("a cut table: %b", got)
	}
}

func TestNames(t *testing.T) {
	key, _ := object("name", testSize, 1<<31)
	key.Index = 1 << 31
	if got, ok := parseName(chunkName(key)); !ok || got != key {
		t.Errorf("%v, %v", got, ok)
	}
	for _, bad := range []string{"", "x", chunkName(key)[1:], strings.ToUpper(chunkName(key)), strings.Replace(chunkName(key), "-", "_", 1),
		strings.Repeat("g", nameLen)} {
		if _, ok := parseName(bad); ok {
			t.Errorf("%q is taken for a chunk", bad)
		}
	}
}

// FuzzChunkFile opens arbitrary bytes as a chunk file, built by spoiling a
// whole one: nothing may panic, and a block that is reported is right.
func FuzzChunkFile(f *testing.F) {
	key, v := object("fuzz", 2*storage.BlockSize+100, 0)
	head, err := encodeHead(key, v)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(head, uint32(0), []byte{}, uint32(1<<20))
	f.Add([]byte{}, uint32(dataOff+5), []byte("x"), uint32(1<<20))
	f.Add([]byte{}, uint32(tableOff), make([]byte, 40), uint32(1<<20))
	f.Add([]byte{}, uint32(44), []byte{1}, uint32(1<<20))
	f.Add([]byte{}, uint32(0), []byte{}, uint32(dataOff+70000))
	f.Add([]byte{}, uint32(0), []byte{}, uint32(5000))
	dir := f.TempDir()
	s, err := New(Config{Drives: []Drive{{Path: dir, Size: 1 << 30}}, MemBytes: -1})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = s.Close() })
	c := create(f, s, key, v)
	fill(f, c)
	c.Release()
	path := chunkPath(dir, key)
	whole, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	s.closeIdle(false)
	f.Fuzz(func(t *testing.T, start []byte, off uint32, patch []byte, size uint32) {
		b := bytes.Clone(whole)
		copy(b, start)
		copy(b[min(int(off), len(b)):], patch)
		b = b[:min(int(size), len(b))]
		forgetChunk(t, s, key)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := s.Lookup(key)
		if errors.Is(err, ErrNotHeld) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
		defer c.Release()
		for i := range blocksOf(c.Len()) {
			off := int64(i) * storage.BlockSize
			if _, err := read(t, c, storage.Span{Off: off, End: off + storage.BlockSize}); err != nil && !errors.Is(err, ErrCondemned) {
				t.Fatal(err)
			}
		}
	})
}

// forgetChunk evicts what is held of key, if anything is.
func forgetChunk(t *testing.T, s *Store, key storage.ChunkKey) {
	t.Helper()
	s.closeIdle(false)
	sh := s.shard(key)
	sh.mu.Lock()
	e := sh.index[key]
	sh.mu.Unlock()
	if e != nil && !s.evict(e) {
		t.Fatal("not evicted")
	}
}
