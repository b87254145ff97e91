package herd

import (
	"bytes"
	"crypto/sha256"
	"hash"
	"math/rand/v2"

	"github.com/mccd/mccd/storage"
)

// Object is what clients ask for.
type Object struct {
	// Host and Path name it at its origin; Path may carry a query.
	Host, Path string
	Size       int64
	// Check returns what tells whether the bytes of span, written to it in
	// order, are right. It must be safe for concurrent use.
	Check func(span storage.Span) Check
}

// Check takes the bytes of one span in order; Right is asked after the last.
type Check interface {
	Write(p []byte) (int, error)
	Right() bool
}

// Span returns all of o.
func (o *Object) Span() storage.Span { return storage.Span{End: o.Size} }

// Whole is the plan of a client that wants the file in one request.
func (o *Object) Whole() []storage.Span { return []storage.Span{o.Span()} }

// Pieces is the plan of the Windows agent: aligned pieces of 1 MiB in order.
func (o *Object) Pieces() []storage.Span {
	var plan []storage.Span
	for off := int64(0); off < o.Size; off += storage.PieceSize {
		plan = append(plan, storage.Span{Off: off, End: min(off+storage.PieceSize, o.Size)})
	}
	return plan
}

// Shuffled is Pieces in an order of its own for each seed.
func (o *Object) Shuffled(seed uint64) []storage.Span {
	plan := o.Pieces()
	rnd := rand.New(rand.NewPCG(seed, 0))
	rnd.Shuffle(len(plan), func(i, j int) { plan[i], plan[j] = plan[j], plan[i] })
	return plan
}

// Equal checks against the content itself, which is shared by all clients.
func Equal(content []byte) func(storage.Span) Check {
	return func(span storage.Span) Check { return &equal{rest: content[span.Off:span.End], right: true} }
}

type equal struct {
	rest  []byte
	right bool
}

// Write compares. The content is never written to while clients read it, and
// the race detector, which would look at each of its bytes for each client,
// takes two thirds of a herd's time: that starves the nodes.
//
//go:norace
func (e *equal) Write(p []byte) (int, error) {
	if len(p) > len(e.rest) || !bytes.Equal(p, e.rest[:len(p)]) {
		e.right = false
		return len(p), nil
	}
	e.rest = e.rest[len(p):]
	return len(p), nil
}

func (e *equal) Right() bool { return e.right && len(e.rest) == 0 }

// Digests holds the SHA-256 of a whole object and of each of its pieces, as
// the Windows agent has them from the object's pieceshash.
type Digests struct {
	whole  [sha256.Size]byte
	pieces map[storage.Span][sha256.Size]byte
}

// Sum returns the digests of content.
func Sum(content []byte) *Digests {
	d := &Digests{whole: sha256.Sum256(content), pieces: map[storage.Span][sha256.Size]byte{}}
	o := Object{Size: int64(len(content))}
	d.pieces[o.Span()] = d.whole
	for _, s := range o.Pieces() {
		d.pieces[s] = sha256.Sum256(content[s.Off:s.End])
	}
	return d
}

// Check checks spans that are a piece or the whole; any other is wrong.
func (d *Digests) Check(span storage.Span) Check {
	want, known := d.pieces[span]
	return &digest{Hash: sha256.New(), want: want, known: known}
}

type digest struct {
	hash.Hash
	want  [sha256.Size]byte
	known bool
}

func (d *digest) Right() bool {
	return d.known && bytes.Equal(d.Sum(nil), d.want[:])
}
