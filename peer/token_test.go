package peer

import (
	"testing"
	"time"

	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/test/faultorigin"
)

// A client with an expired token costs only itself.
func TestRefusedTokenEndsOnlyItsBringer(t *testing.T) {
	c := newCluster(t, 3)
	ctx := within(t, 30*time.Second)
	path := c.path(0)
	c.origin.Add(faultorigin.Object{Path: path, Size: 3 << 20})
	gate := faultorigin.NewGate()
	c.origin.Script(path,
		faultorigin.Behaviour{Requests: []int{1}, Gate: gate, Token: "good"}, faultorigin.Behaviour{Token: "good"})
	ask := func(n *node, token string, span storage.Span) error {
		req := c.request(path, span)
		req.Ref.Query = token
		_, err := n.read(ctx, req, "1")
		return err
	}
	ends := make(chan error, 3)
	go func() { ends <- nil; _ = ask(c.nodes[1], "bad", piece(0)) }()
	<-ends
	if err := c.origin.Ledger().WaitRequests(ctx, path, 1); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		go func() { ends <- ask(c.nodes[i], "good", piece(0)) }()
	}
	asked := func(n *node) bool { return n.questions() > 0 }
	eventually(t, "all ask", func() bool { return asked(c.nodes[0]) && asked(c.nodes[1]) && asked(c.nodes[2]) })
	gate.Open()
	for range 3 {
		if err := <-ends; err != nil {
			t.Errorf("a good token: %v", err)
		}
	}
}

// A joiner's newer token is used where the flight's own was refused, also by a
// flight that asks the owner.
func TestJoinersTokenIsTried(t *testing.T) {
	c := newCluster(t, 2)
	ctx := within(t, 30*time.Second)
	path := c.path(1)
	c.origin.Add(faultorigin.Object{Path: path, Size: 3 << 20})
	ask := func(n *node, token string, span storage.Span) error {
		req := c.request(path, span)
		req.Ref.Query = token
		_, err := n.read(ctx, req, "1")
		return err
	}
	if err := ask(c.nodes[0], "good", piece(0)); err != nil {
		t.Fatal(err)
	}
	gate := faultorigin.NewGate()
	c.origin.Script(path,
		faultorigin.Behaviour{Requests: []int{2}, Gate: gate, Token: "good"}, faultorigin.Behaviour{Token: "good"})
	bad, good := make(chan error, 1), make(chan error, 1)
	go func() { bad <- ask(c.nodes[0], "bad", piece(2)) }()
	if err := c.origin.Ledger().WaitRequests(ctx, path, 2); err != nil {
		t.Fatal(err)
	}
	go func() { good <- ask(c.nodes[0], "good", piece(2)) }()
	eventually(t, "the good token joins", func() bool {
		key := c.nodes[0].cache.Record(c.ref(path).ID()).Key(0)
		fl := c.nodes[0].flights.at(key, piece(2).Off, false)
		return fl != nil && *fl.query.Load() == "good"
	})
	gate.Open()
	if err := <-good; err != nil {
		t.Errorf("the good token: %v", err)
	}
	<-bad
}
