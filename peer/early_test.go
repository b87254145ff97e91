package peer

import (
	"bytes"
	"errors"
	"io"
	"math"
	"testing"
	"time"

	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/test/faultorigin"
)

// A client has the first bytes of a block while the rest is still at the origin;
// another node's client has nothing until the block is whole; both end right.
func TestClientsHaveTheBeginningOfABlock(t *testing.T) {
	c := newCluster(t, 2)
	const size, held = 3 * storage.BlockSize, 1000
	path := c.path(0)
	c.origin.Add(faultorigin.Object{Path: path, Size: size})
	gate := faultorigin.NewGate()
	c.origin.Script(path, faultorigin.Behaviour{BodyGate: gate, HoldAfter: held})
	ctx := within(t, 30*time.Second)
	content, err := c.nodes[0].Open(ctx, c.request(path, storage.Span{End: math.MaxInt64}))
	if err != nil {
		t.Fatal(err)
	}
	defer content.Close()
	// The gate is shut: only the beginning can come.
	n, err := c.nodes[0].readFrom(ctx, content, storage.Span{End: held}, "1")
	if err != nil || n != held {
		t.Fatalf("%d bytes, %v", n, err)
	}
	if _, err := content.Next(ctx, storage.Span{Off: 0, End: size}); err != nil {
		t.Errorf("the beginning again: %v", err)
	}
	others := make(chan error, 1)
	go func() {
		_, err := c.nodes[1].read(ctx, c.request(path, storage.Span{End: math.MaxInt64}), "1")
		others <- err
	}()
	gate.Open()
	if n, err := c.nodes[0].readFrom(ctx, content, storage.Span{Off: held, End: size}, "1"); err != nil || n != size-held {
		t.Errorf("the rest: %d bytes, %v", n, err)
	}
	if err := <-others; err != nil {
		t.Error(err)
	}
	if l := c.origin.Ledger(); l.Bytes(path) != size {
		t.Errorf("the origin sent %d bytes of %d", l.Bytes(path), size)
	}
}

// An answer that breaks off in a block goes on from its beginning in the next
// one; who had the first bytes gets the rest.
func TestBeginningOfABrokenBlock(t *testing.T) {
	c := newCluster(t, 1)
	const size = 3 * storage.BlockSize
	path := c.path(0)
	c.origin.Add(faultorigin.Object{Path: path, Size: size})
	c.origin.Script(path, faultorigin.Behaviour{Requests: []int{1}, Break: faultorigin.Short, After: storage.BlockSize + 1000})
	if n, err := c.nodes[0].read(within(t, 30*time.Second), c.request(path, storage.Span{End: math.MaxInt64}), "1"); err != nil || n != size {
		t.Errorf("%d bytes, %v", n, err)
	}
}

func TestLend(t *testing.T) {
	var e early
	if bytes, more := e.from(0); bytes != nil || more == nil {
		t.Fatal("something before the beginning")
	}
	_, more := e.from(0)
	from, to := io.Pipe()
	block := make([]byte, 100)
	type result struct {
		lent bool
		err  error
	}
	read := make(chan result, 1)
	go func() {
		lent, err := e.readBlock(from, block, 500)
		read <- result{lent, err}
	}()
	if _, err := to.Write(bytes.Repeat([]byte{7}, 40)); err != nil {
		t.Fatal(err)
	}
	<-more // closed by the first bytes
	got, _ := e.from(510)
	if !bytes.Equal(got, bytes.Repeat([]byte{7}, 30)) {
		t.Errorf("%v", got)
	}
	for _, off := range []int64{499, 540, 600} {
		if got, more := e.from(off); got != nil || more == nil {
			t.Errorf("%d bytes at %d", len(got), off)
		}
	}
	_ = to.CloseWithError(io.EOF)
	if r := <-read; !r.lent || !errors.Is(r.err, io.ErrUnexpectedEOF) {
		t.Errorf("%+v", r)
	}
	e.done()
	if got, _ := e.from(510); got != nil {
		t.Errorf("%d bytes after the end", len(got))
	}
	var none *early
	if lent, err := none.readBlock(bytes.NewReader(block), make([]byte, 100), 0); lent || err != nil {
		t.Error(lent, err)
	}
	if _, err := new(early).readBlock(bytes.NewReader(nil), block, 0); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
}
