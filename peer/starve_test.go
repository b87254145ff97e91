package peer

import (
	"fmt"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"

	peerv1 "github.com/mccd/mccd/proto/mccd/peer/v1"
	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/storage/origin"
	"github.com/mccd/mccd/test/faultorigin"
)

// Fills in all directions that use up the streams between nodes must not wait
// for each other: an owner needs answers of third nodes for what it fills.
func TestFillsInAllDirectionsDoNotStarve(t *testing.T) {
	c := newCluster(t, 3, func(_ *node, cfg *Config) {
		cfg.FillsPerPeer = 2
		cfg.Budget = 50 * time.Second // the test is of waiting for ever, not of a busy machine
	})
	const perOwner = 6
	ctx := within(t, 60*time.Second)
	var reqs []storage.Request
	for i := range 3 * perOwner {
		path := ""
		for k := 0; ; k++ {
			if path = fmt.Sprintf("/%d/%d", i, k); c.placed(path, 0, i%3) {
				break
			}
		}
		c.origin.Add(faultorigin.Object{Path: path, Size: 3 << 20})
		// The records are known everywhere, so that only FILLs are left.
		for _, n := range c.nodes {
			if _, err := n.read(ctx, c.request(path, piece(0)), "1"); err != nil {
				t.Fatal(err)
			}
		}
		reqs = append(reqs, c.request(path, storage.Span{End: 3 << 20}))
	}
	err := herd(2*len(reqs), func(i int) error {
		k := i / 2
		_, err := c.nodes[(k+1+i%2)%3].read(ctx, reqs[k], "1")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if n := c.origin.Ledger().MaxTimes(""); n != 1 {
		t.Errorf("a byte was fetched %d times", n)
	}
}

// More flights than an origin takes requests wait for their turn.
func TestFlightsWaitForBusyOrigin(t *testing.T) {
	c := newCluster(t, 1, func(n *node, cfg *Config) {
		n.c.rule.MaxRequests = 1
		cdn, err := origin.New(origin.Config{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = cdn.Close() })
		cfg.Origin = cdn
	})
	path := c.path(0)
	c.origin.Add(faultorigin.Object{Path: path, Size: 8 << 20})
	c.origin.Script(path, faultorigin.Behaviour{Delay: 200 * time.Millisecond})
	ctx := within(t, 30*time.Second)
	if err := herd(8, func(i int) error {
		_, err := c.nodes[0].read(ctx, c.request(path, piece(int64(i))), "1")
		return err
	}); err != nil {
		t.Error(err)
	}
}

// emptyPeer says that all is done and sends nothing.
type emptyPeer struct {
	peerv1.UnimplementedPeerServer
	calls atomic.Int64
}

func (p *emptyPeer) Fill(m *peerv1.FillRequest, s grpc.ServerStreamingServer[peerv1.FillResponse]) error {
	if m.GetMode() == peerv1.FillRequest_MODE_FILL {
		p.calls.Add(1)
	}
	return s.Send(&peerv1.FillResponse{Done: true})
}

// A peer that gives nothing is not asked for ever.
func TestPeerThatGivesNothing(t *testing.T) {
	c := newCluster(t, 2)
	path := c.pathOf(0, 1)
	const size = 10 << 20
	c.origin.Add(faultorigin.Object{Path: path, Size: size})
	c.kill(1)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	fake, server := new(emptyPeer), grpc.NewServer()
	peerv1.RegisterPeerServer(server, fake)
	go func() { _ = server.Serve(l) }()
	defer server.Stop()
	c.nodes[1].addr = l.Addr().String()
	c.nodes[0].look()
	_, err = c.nodes[0].read(within(t, 30*time.Second), c.request(path, storage.Span{End: size}), "1")
	if err != nil {
		t.Error(err)
	}
	if n := fake.calls.Load(); n > 64 {
		t.Errorf("asked %d times", n)
	}
}
