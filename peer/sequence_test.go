package peer

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/mccd/mccd/storage"
)

const time30 = 30 * time.Second

func isBusy(err error) bool { return errors.Is(err, storage.ErrBusy) }

// Two streams of pieces that take turns are one sequence: it is read ahead by
// what it has consumed, 4 MiB at most and later a 32nd of it.
func TestSequenceOfTwoStreams(t *testing.T) {
	const size = 1 << 30
	client := netip.MustParseAddr("10.0.0.1")
	s := newSequences()
	var id storage.ObjectID
	ahead, most := int64(0), int64(0)
	for i := int64(0); i < 600; i += 2 {
		var steps [2]step
		for k := range steps {
			at := piece(i + int64(1-k)) // the second stream is quicker
			steps[k] = s.enter(id, client, at, size, 32<<20)
			if a := steps[k].ahead; !a.Empty() {
				if a.Off < ahead || a.Off%storage.PieceSize != 0 {
					t.Fatalf("read ahead %s after %d", a, ahead)
				}
				ahead = a.End
			}
			consumed := i * storage.PieceSize
			most = min(consumed, max(4<<20, consumed/32))
			if front := (i + 2) * storage.PieceSize; ahead > front+most {
				t.Fatalf("read ahead to %d at %d with %d consumed, want at most %d more", ahead, front, consumed, most)
			}
		}
		for k := range steps {
			steps[k].took(storage.PieceSize)
		}
	}
	if ahead < 600<<20+most/2 {
		t.Errorf("read ahead to %d only at the end", ahead)
	}
}

// Reads here and there, of several clients and objects, are no sequences.
func TestNoSequence(t *testing.T) {
	s := newSequences()
	for i := range int64(100) {
		client := netip.MustParseAddr(fmt.Sprintf("10.0.0.%d", i%5+1))
		at := piece(i * 37 % 1000)
		st := s.enter(storage.ObjectID{byte(i % 3)}, client, at, 1<<30, 32<<20)
		if !st.ahead.Empty() {
			t.Errorf("read %d at %s is read ahead by %s", i, at, st.ahead)
		}
		st.took(at.Len())
	}
	if st := s.enter(storage.ObjectID{}, netip.Addr{}, piece(0), 1<<30, 32<<20); st.set != nil {
		t.Error("an unknown client has a sequence")
	}
}

// A sequence that was forgotten takes nothing from the one in its place.
func TestSequenceForgotten(t *testing.T) {
	s := newSequences()
	client := netip.MustParseAddr("10.0.0.1")
	old := s.enter(storage.ObjectID{}, client, piece(0), 1<<40, 32<<20)
	for i := range int64(sequenceWays) {
		s.enter(storage.ObjectID{}, client, piece(100*(i+1)), 1<<40, 32<<20)
	}
	old.took(1 << 30)
	for i := range old.set.ways {
		if w := &old.set.ways[i]; w.consumed != 0 {
			t.Errorf("another sequence has consumed %d", w.consumed)
		}
	}
}

// A sequence ends with its object.
func TestSequenceEndsWithObject(t *testing.T) {
	s := newSequences()
	client := netip.MustParseAddr("10.0.0.1")
	const size = 10<<20 + 5
	for i := range int64(11) {
		at := piece(i).Intersect(storage.Span{End: size})
		st := s.enter(storage.ObjectID{}, client, at, size, 32<<20)
		if st.ahead.End > size {
			t.Fatalf("read ahead %s of %d bytes", st.ahead, int64(size))
		}
		st.took(at.Len())
	}
}

// A hit pays for its sequence without an allocation.
func TestSequenceAllocatesNothing(t *testing.T) {
	s := newSequences()
	client := netip.MustParseAddr("10.0.0.1")
	i := int64(0)
	if n := testing.AllocsPerRun(1000, func() {
		st := s.enter(storage.ObjectID{}, client, piece(i%900), 1<<30, 32<<20)
		st.took(1 << 20)
		i++
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
