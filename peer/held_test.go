package peer

import (
	"testing"
	"time"

	peerv1 "github.com/mccd/mccd/proto/mccd/peer/v1"
	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/test/faultorigin"
)

// What is on its way at one node from a slow origin is not asked of the origin
// by another that acts as owner too, also where that node was found silent
// before.
func TestHeldFollowsWhatIsOnItsWay(t *testing.T) {
	for name, passed := range map[string][]*peerv1.PassedOver{
		"heard": nil, "found silent": {{Node: "n0", Reason: peerv1.PassedOver_REASON_SILENT}},
	} {
		t.Run(name, func(t *testing.T) {
			// A busy machine is silent for a second at times.
			c := newCluster(t, 3, func(_ *node, cfg *Config) { cfg.Silence = 6 * time.Second })
			path := c.pathOf(0)
			c.origin.Add(faultorigin.Object{Path: path, Size: 8 << 20})
			ctx := within(t, 60*time.Second)
			for _, n := range c.nodes {
				if _, err := n.read(ctx, c.request(path, storage.Span{End: 1}), "1"); err != nil {
					t.Fatal(err)
				}
			}
			before := c.origin.Ledger().Bytes(path)
			gate := faultorigin.NewGate()
			c.origin.Script(path, faultorigin.Behaviour{Gate: gate})
			o := c.nodes[0].cache.Record(c.ref(path).ID())
			span := storage.Span{Off: 4 << 20, End: 5 << 20}
			fill := func(n *node, passed []*peerv1.PassedOver) error {
				r := reader{f: n.Filler, j: &job{o: o, ref: c.ref(path), rule: c.rule, passed: passed}, asOwner: true}
				defer r.end()
				for off := span.Off; off < span.End; {
					run, err := r.next(ctx, storage.Span{Off: off, End: span.End})
					if err != nil {
						return err
					}
					off += run.Len
				}
				return nil
			}
			done := make(chan error, 2)
			go func() { done <- fill(c.nodes[0], nil) }()
			eventually(t, "the first asks the origin", func() bool { return c.nodes[0].flights.sentAt(o.Key(0), span.Off) != nil })
			go func() { done <- fill(c.nodes[1], passed) }()
			eventually(t, "the second follows it", func() bool {
				return c.nodes[1].flights.at(o.Key(0), span.Off, true) != nil && c.nodes[0].admitted.busy()
			})
			// Longer than a suspect's patience, so that a call cut by it shows.
			time.Sleep(c.nodes[1].cfg.Silence / 2) //nolint:forbidigo // the slowness itself
			gate.Open()
			for range 2 {
				if err := <-done; err != nil {
					t.Error(err)
				}
			}
			if got := c.origin.Ledger().Bytes(path) - before; got != span.Len() {
				t.Errorf("the origin sent %d bytes for %d", got, span.Len())
			}
		})
	}
}

// Run ends when its listener does, so that the node learns of it.
func TestRunEndsWithItsListener(t *testing.T) {
	c := newCluster(t, 1)
	n := c.nodes[0]
	cfg := n.cfg
	n.stop()
	n.stop = nil
	n.listen(anyPort())
	cfg.Listener = n.cfg.Listener
	f, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- f.Run(t.Context()) }()
	if err := cfg.Listener.Close(); err != nil {
		t.Error(err)
	}
	select {
	case <-done:
	case <-within(t, 20*time.Second).Done():
		t.Error("Run goes on without its listener")
	}
}
