package holders

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/mccd/mccd/ring"
	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/storage/disk"
)

// view returns one of nodes, of which the first is this one.
func view(t testing.TB, nodes ...ring.Node) *ring.View {
	t.Helper()
	var members []ring.Member
	for _, n := range nodes {
		members = append(members, ring.Member{ID: n.ID})
	}
	r, err := ring.New(members)
	if err != nil {
		t.Fatal(err)
	}
	return ring.NewView(nodes[0].ID, 1, r, nodes)
}

func node(id string, incarnation uint64, state ring.State) ring.Node {
	return ring.Node{ID: id, PeerAddr: id, Incarnation: incarnation, State: state}
}

// ownKey returns the key of a chunk for which the view's own node acts.
func ownKey(v *ring.View) storage.ChunkKey {
	for i := uint32(0); ; i++ {
		key := storage.ChunkKey{Index: i}
		if n, ok := v.Acting(storage.PlacementHash(key.Object, i)); ok && int(n) == v.SelfIndex() {
			return key
		}
	}
}

// tell lets all nodes tell everything that is wanted of them.
func tell(b *Book) {
	for _, w := range b.Wants() {
		b.Mark(w, w.Partitions)
	}
}

func blocks(first, last int) (have disk.Bitmap) {
	for i := first; i < last; i++ {
		have[i/64] |= 1 << (i % 64)
	}
	return have
}

var self = node("self", 1, ring.Alive)

// What takes a mark back, and what does not.
func TestMarks(t *testing.T) {
	for _, tc := range []struct {
		name  string
		after ring.Node
		want  bool // still marked
		known bool // what it told is still known
	}{
		{"nothing happens", node("a", 1, ring.Alive), true, true},
		{"it drains", node("a", 1, ring.Draining), true, true},
		{"it fails", node("a", 1, ring.Failed), false, true},
		{"it is another incarnation", node("a", 2, ring.Alive), false, false},
		{"its incarnation is not known", node("a", 0, ring.Alive), true, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := New(100)
			v := view(t, self, node("a", 1, ring.Alive))
			b.See(v)
			key := ownKey(v)
			b.Learn("a", Held{Key: key, Have: blocks(0, 4)})
			tell(b)
			if f := b.Find(key); f.MayHold("a") || !b.Settled() {
				t.Fatal("not settled after all was told")
			}
			b.See(view(t, self, tc.after))
			f := b.Find(key)
			if f.MayHold("a") == tc.want {
				t.Errorf("has to be asked: %t", f.MayHold("a"))
			}
			if got := !f.Known["a"].Empty(); got != tc.known {
				t.Errorf("what it told is known: %t", got)
			}
		})
	}
}

// A node that comes back from failure is returned once, and its marks go.
func TestReturned(t *testing.T) {
	b := New(100)
	alive, failed := view(t, self, node("a", 1, ring.Alive)), view(t, self, node("a", 1, ring.Failed))
	for i, step := range []struct {
		view *ring.View
		want []string
	}{{alive, nil}, {failed, nil}, {alive, []string{"a"}}, {alive, nil}} {
		if got := b.See(step.view); !slices.Equal(got, step.want) {
			t.Errorf("step %d: returned %v, want %v", i, got, step.want)
		}
		tell(b)
	}
}

// An answer to a question that was asked before the marks were taken back does
// not count.
func TestLateAnswer(t *testing.T) {
	v := view(t, self, node("a", 1, ring.Alive))
	key := ownKey(v)
	for name, event := range map[string]func(b *Book){
		"taken back":          func(b *Book) { b.TakeBack() },
		"taken back of one":   func(b *Book) { b.TakeBackOf("a") },
		"another incarnation": func(b *Book) { b.See(view(t, self, node("a", 2, ring.Alive))) },
		"lost and acquired": func(b *Book) {
			b.See(view(t, node("self", 1, ring.Draining), node("a", 1, ring.Alive)))
			b.See(v)
		},
		"it left and came": func(b *Book) { b.See(view(t, self)); b.See(v) },
	} {
		t.Run(name, func(t *testing.T) {
			b := New(100)
			b.See(v)
			wants := b.Wants()
			event(b)
			for _, w := range wants {
				b.Mark(w, w.Partitions)
			}
			if f := b.Find(key); !f.MayHold("a") {
				t.Error("a late answer counts")
			}
		})
	}
}

// A partition for which this node no longer acts is forgotten, and others are
// asked about it.
func TestLostPartition(t *testing.T) {
	b := New(100)
	v := view(t, self, node("a", 1, ring.Alive))
	b.See(v)
	key := ownKey(v)
	b.Learn("a", Held{Key: key, Have: blocks(0, 1)})
	tell(b)
	b.See(view(t, node("self", 1, ring.Draining), node("a", 1, ring.Alive)))
	f := b.Find(key)
	if len(f.Known) != 0 || !f.MayHold("a") || b.Entries() != 0 {
		t.Errorf("known %v, may hold %t, %d entries", f.Known, f.MayHold("a"), b.Entries())
	}
	b.Learn("a", Held{Key: key, Have: blocks(0, 1)})
	if b.Entries() != 0 {
		t.Error("it learns of what it does not act for")
	}
}

// Of many holders those stay that have most; where blocks are lost by it, all
// have to be asked.
func TestManyHolders(t *testing.T) {
	nodes := []ring.Node{self}
	for i := range 6 {
		nodes = append(nodes, node(fmt.Sprint(i), 1, ring.Alive))
	}
	v := view(t, nodes...)
	key := ownKey(v)
	for _, tc := range []struct {
		name string
		have []disk.Bitmap
		open bool
	}{
		{"all have all", []disk.Bitmap{blocks(0, 128), blocks(0, 128), blocks(0, 128), blocks(0, 128), blocks(0, 128)}, false},
		{"the last has most", []disk.Bitmap{blocks(0, 1), blocks(1, 2), blocks(2, 3), blocks(3, 4), blocks(0, 128)}, false},
		{"each has its own", []disk.Bitmap{blocks(0, 1), blocks(1, 2), blocks(2, 3), blocks(3, 4), blocks(4, 9)}, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := New(100)
			b.See(v)
			tell(b)
			var all, found disk.Bitmap
			for i, have := range tc.have {
				b.Learn(fmt.Sprint(i), Held{Key: key, Have: have})
				all = join(all, have)
			}
			f := b.Find(key)
			if len(f.Known) != PerChunk || f.MayHold("5") != tc.open {
				t.Errorf("%d known, others have to be asked: %t", len(f.Known), f.MayHold("5"))
			}
			for have := range maps.Values(f.Known) {
				found = join(found, have)
			}
			if !tc.open && found != all {
				t.Error("blocks are lost, and nobody is asked for them")
			}
		})
	}
}

// A holder that was left out, because those kept had its blocks, is asked once one
// of those has gone or has them no more.
func TestHolderBeyondThoseKept(t *testing.T) {
	for name, lose := range map[string]func(b *Book, key storage.ChunkKey, nodes []ring.Node){
		"one has it no more": func(b *Book, key storage.ChunkKey, _ []ring.Node) { b.Forget("2", key) },
		"all have it no more": func(b *Book, key storage.ChunkKey, _ []ring.Node) {
			for i := range 6 {
				b.Forget(fmt.Sprint(i), key)
			}
		},
		"one starts anew": func(b *Book, _ storage.ChunkKey, nodes []ring.Node) {
			nodes[3].Incarnation++
			b.See(view(t, nodes...))
			tell(b)
		},
	} {
		t.Run(name, func(t *testing.T) {
			nodes := []ring.Node{self}
			for i := range 6 {
				nodes = append(nodes, node(fmt.Sprint(i), 1, ring.Alive))
			}
			v := view(t, nodes...)
			b, key := New(100), ownKey(v)
			b.See(v)
			tell(b)
			for i := range 5 {
				b.Learn(fmt.Sprint(i), Held{Key: key, Have: blocks(0, 128)})
			}
			if f := b.Find(key); !f.More || f.MayHold("5") {
				t.Fatalf("more: %t, all are asked: %t", f.More, f.MayHold("5"))
			}
			lose(b, key, nodes)
			if f := b.Find(key); !f.MayHold("5") {
				t.Error("nobody is asked for what the fifth may have")
			}
		})
	}
}

// Nodes that start again and again do not let records grow.
func TestRecordsOfNodesThatStartAnew(t *testing.T) {
	b := New(10)
	nodes := []ring.Node{self, node("a", 1, ring.Alive), node("b", 1, ring.Alive)}
	v := view(t, nodes...)
	id := ownKey(v).Object
	for !actsFor(v, id) {
		id[0]++
	}
	for range 50 {
		nodes[1].Incarnation++
		b.See(view(t, nodes...))
		b.LearnRecords("a", Record{ID: id})
		b.LearnRecords("b", Record{ID: id})
	}
	if n := len(b.parts[HomeOf(id)].records[id]); n != 2 || b.Entries() != 1 {
		t.Errorf("%d nodes of one record, %d entries", n, b.Entries())
	}
	b.ForgetRecord("a", id)
	b.ForgetRecord("b", id)
	if b.Entries() != 0 {
		t.Errorf("%d entries of nothing", b.Entries())
	}
}

func actsFor(v *ring.View, id storage.ObjectID) bool {
	n, ok := v.Acting(storage.PlacementHash(id, 0))
	return ok && int(n) == v.SelfIndex()
}

// Over the bound nothing more is noted, and the others are asked again.
func TestBound(t *testing.T) {
	b := New(3)
	v := view(t, self, node("a", 1, ring.Alive))
	b.See(v)
	tell(b)
	key := ownKey(v)
	for i := range 5 {
		key.Version[0] = byte(i)
		b.Learn("a", Held{Key: key, Have: blocks(0, 1)})
	}
	if b.Entries() != 3 {
		t.Errorf("%d entries", b.Entries())
	}
	if f := b.Find(key); !f.MayHold("a") {
		t.Error("what was not noted is not asked for")
	}
}

// Forgotten holders are not known any more; the last one takes the entry along.
func TestForget(t *testing.T) {
	b := New(10)
	v := view(t, self, node("a", 1, ring.Alive), node("b", 1, ring.Alive))
	b.See(v)
	key := ownKey(v)
	for _, id := range []string{"a", "b"} {
		b.Learn(id, Held{Key: key, Have: blocks(0, 1)})
	}
	for i, id := range []string{"a", "b"} {
		b.Forget(id, key)
		if f := b.Find(key); len(f.Known) != 1-i {
			t.Errorf("after %d: known %v", i+1, f.Known)
		}
	}
	if b.Entries() != 0 {
		t.Errorf("%d entries are left", b.Entries())
	}
}

// A home asks those that may have a newer record, each once.
func TestRecords(t *testing.T) {
	b := New(10)
	v := view(t, self, node("a", 1, ring.Alive), node("b", 1, ring.Alive), node("c", 1, ring.Alive))
	b.See(v)
	id := storage.ObjectID{}
	for ; ; id[0]++ {
		if n, _ := v.Acting(storage.PlacementHash(id, 0)); int(n) == v.SelfIndex() {
			break
		}
	}
	b.LearnRecords("a", Record{ID: id, Registration: 5})
	b.LearnRecords("b", Record{ID: id})
	tell(b)
	known, rest := b.FindRecord(id, 5)
	if !slices.Equal(known, []string{"b"}) || rest.MayHold("c") {
		t.Errorf("with 5: %v, c has to be asked: %t", known, rest.MayHold("c"))
	}
	b.ForgetRecord("b", id)
	if known, _ = b.FindRecord(id, 4); !slices.Equal(known, []string{"a"}) {
		t.Errorf("with 4: %v", known)
	}
	b.ForgetRecord("a", id)
	if known, _ = b.FindRecord(id, 0); len(known) != 0 || b.Entries() != 0 {
		t.Errorf("after all was asked: %v, %d entries", known, b.Entries())
	}
}

func TestSet(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	var s, o Set
	want := map[int]bool{}
	for range 500 {
		p := rnd.IntN(ring.Partitions)
		s.Add(p)
		want[p] = true
		o.Add(rnd.IntN(ring.Partitions))
	}
	if s.Len() != len(want) {
		t.Errorf("Len = %d, want %d", s.Len(), len(want))
	}
	last := -1
	for p := range s.Each {
		if !want[p] || p <= last {
			t.Fatalf("Each gives %d after %d", p, last)
		}
		last = p
	}
	both, rest := s.Both(&o), s.Without(&o)
	if both.Len()+rest.Len() != s.Len() {
		t.Errorf("%d in both and %d in one of %d", both.Len(), rest.Len(), s.Len())
	}
	if back, ok := FromBytes(s.Bytes()); !ok || back != s {
		t.Error("Bytes and FromBytes differ")
	}
}

func FuzzFromBytes(f *testing.F) {
	f.Add([]byte{1, 0, 255})
	f.Add(bytes.Repeat([]byte{255}, 512))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, ok := FromBytes(b)
		if !ok {
			return
		}
		if got := s.Bytes(); !bytes.Equal(got, bytes.TrimRight(b, "\x00")) {
			t.Errorf("%x became %x", b, got)
		}
	})
}

// BenchmarkEntry tells the memory of one entry with one holder.
func BenchmarkEntry(b *testing.B) {
	v := view(b, self, node("a", 1, ring.Alive))
	book := New(b.N)
	book.See(v)
	b.ReportAllocs()
	for i := range b.N {
		key := storage.ChunkKey{Index: uint32(i)}
		key.Object[0] = byte(i)
		book.Learn("a", Held{Key: key, Have: blocks(0, 128)})
	}
}
