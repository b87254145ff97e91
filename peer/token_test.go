package peer

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
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
		return fl != nil && fl.tokens.next() == "good"
	})
	gate.Open()
	if err := <-good; err != nil {
		t.Errorf("the good token: %v", err)
	}
	<-bad
}

// signed asks for span as a client with a token of its own.
func signed(ctx context.Context, c *cluster, n *node, path, token string, span storage.Span) error {
	req := c.request(path, span)
	req.Ref.Query = token
	_, err := n.read(ctx, req, "1")
	return err
}

// A token that is revoked on the way ends only those who have no better one.
func TestRevokedTokenGivesWayToAnother(t *testing.T) {
	c := newCluster(t, 2)
	ctx := within(t, 30*time.Second)
	path := c.path(1)
	c.origin.Add(faultorigin.Object{Path: path, Size: 3 << 20})
	if err := signed(ctx, c, c.nodes[0], path, "first", piece(0)); err != nil {
		t.Fatal(err)
	}
	gate := faultorigin.NewGate()
	c.origin.Script(path, // the first answer to "first" breaks off, and then it is revoked
		faultorigin.Behaviour{Requests: []int{2}, Token: "first", Break: faultorigin.Short, After: 100_000},
		faultorigin.Behaviour{Requests: []int{3}, Gate: gate, Token: "second"}, faultorigin.Behaviour{Token: "second"})
	first, second := make(chan error, 1), make(chan error, 1)
	go func() { first <- signed(ctx, c, c.nodes[0], path, "first", piece(1)) }()
	if err := c.origin.Ledger().WaitRequests(ctx, path, 3); err != nil {
		t.Fatal(err)
	}
	go func() { second <- signed(ctx, c, c.nodes[1], path, "second", piece(1)) }()
	eventually(t, "the second joins", func() bool {
		key := c.nodes[1].cache.Record(c.ref(path).ID()).Key(0)
		fl := c.nodes[1].flights.at(key, piece(1).Off, true)
		return fl != nil && slices.Contains(fl.tokens.snapshot(), "second")
	})
	gate.Open()
	if err := <-second; err != nil {
		t.Errorf("the good token: %v", err)
	}
	if err := <-first; err != nil {
		t.Errorf("who followed the same bytes: %v", err)
	}
}

// Whatever clients with bad tokens do at the same time, those with good ones get
// their bytes, and nothing of a refusal is kept.
func TestBadTokensHurtNobodyElse(t *testing.T) {
	for name, behaviour := range map[string]faultorigin.Behaviour{
		"ranges":        {Token: "good"},
		"whole objects": {Token: "good", IgnoreRange: true, NoValidators: true, Header: http.Header{"Cache-Control": {"max-age=3600"}}},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, 3)
			ctx := within(t, 60*time.Second)
			c.origin.Script(faultorigin.AnyPath, behaviour)
			for round := range 3 {
				path := c.path(round)
				c.origin.Add(faultorigin.Object{Path: path, Size: 2 << 20})
				var asked sync.WaitGroup
				good, served := make(chan error, 12), 0
				for i := range 24 {
					asked.Go(func() {
						n, token := c.nodes[i%3], fmt.Sprintf("good=%d", i)
						if i/3%2 == 0 {
							token = fmt.Sprintf("expired=%d", i)
						}
						err := signed(ctx, c, n, path, token, piece(int64(i%2)))
						if token[0] == 'g' {
							good <- err
						} else if err != nil && !refused(err) {
							t.Errorf("a bad token ends by %v", err)
						}
					})
				}
				asked.Wait()
				close(good)
				for err := range good {
					if served++; err != nil {
						t.Errorf("round %d: a good token: %v", round, err)
					}
				}
				if served != 12 {
					t.Fatalf("%d clients with good tokens", served)
				}
				for _, n := range c.nodes { // who has none is served what is there
					if err := signed(ctx, c, n, path, "", piece(0)); err != nil {
						t.Errorf("round %d: %v", round, err)
					}
				}
			}
		})
	}
}

// Who follows a flight that ends before its own token is tried asks anew.
func TestLateTokenIsTried(t *testing.T) {
	c := newCluster(t, 1)
	ctx := within(t, 30*time.Second)
	n, path := c.nodes[0], c.path(0)
	c.origin.Add(faultorigin.Object{Path: path, Size: 3 << 20})
	c.origin.Script(path, faultorigin.Behaviour{Token: "good"})
	if err := signed(ctx, c, n, path, "good", piece(0)); err != nil {
		t.Fatal(err)
	}
	ref := c.ref(path)
	ref.Query = "bad"
	fl := newFlight(n.ctx, &job{o: n.cache.Record(ref.ID()), ref: ref, rule: c.rule}, 0, piece(1), true)
	n.flights.add(fl)
	good := make(chan error, 1)
	go func() { good <- signed(ctx, c, n, path, "good=2", piece(1)) }()
	eventually(t, "the good token joins", func() bool { return slices.Contains(fl.tokens.snapshot(), "good=2") })
	fl.tokens.refuse("bad")
	n.flights.end(fl, &storage.StatusError{Code: http.StatusForbidden})
	if err := <-good; err != nil {
		t.Errorf("a token that was never tried: %v", err)
	}
}
