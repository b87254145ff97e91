package e2e_test

import (
	"context"
	"errors"
	"flag"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/mccd/mccd/cluster/admin"
	"github.com/mccd/mccd/cluster/state"
	"github.com/mccd/mccd/test/process"
	"github.com/mccd/mccd/test/process/herd"
)

var partitionFlag = flag.Duration("partition", 20*time.Second, "how long TestPartition cuts the network")

// healLimit is how long after a partition nodes may take for one ring.
const healLimit = 10 * time.Second

// TestPartition cuts the network between two nodes, the leader among them, and
// three. Both sides serve what they have and fetch what they have not; the
// majority goes on writing and the minority cannot; when the network is whole
// again, all of it heals by itself.
func TestPartition(t *testing.T) {
	s := seed(t)
	net := newNetwork(t, 5)
	b := newBed(t, setting{
		nodes: 5, host: net.place, originIP: net.testIP(), limit: testLimit + *partitionFlag,
		silence: "1s", // of half of the others, each in its turn
	})
	b.agree(agreeLimit, 5)
	warm := b.objectsNamed("warm", 4, chaosObject)
	for _, o := range warm {
		for i := range b.Nodes {
			b.read(o, i, o.Whole())
		}
	}
	b.onceEach(warm)
	load := b.download(8, s, warm...)
	writers := b.write(3, s)
	few, most := b.split(2)
	net.cut(indices(few), indices(most))
	began := time.Now()
	took, err := writers.nextWrite(electLimit)
	if err != nil {
		t.Fatalf("the majority: %v", err)
	}
	t.Logf("cut %s, which led, and %s off; the majority's first write was acknowledged after %v", few[0].Name, few[1].Name, took.Round(time.Millisecond))
	b.cannotWrite(len(few), few...)

	// New content that only one side is asked for, and some that both are.
	left, right, both := b.objectsNamed("few", 2, chaosObject), b.objectsNamed("most", 2, chaosObject), b.objectsNamed("both", 2, chaosObject)
	b.readAt(few, append(left, both...))
	b.readAt(most, append(right, both...))

	// The majority changes the placement; the minority cannot know.
	heavy := 2
	if _, err := b.within(electLimit, func(ctx context.Context) error {
		return most[0].Admin(ctx, func(ctx context.Context, c *admin.Client) error {
			return c.SetNode(ctx, most[1].Name, state.NodeSettings{Weight: &heavy})
		})
	}); err != nil {
		t.Fatal(err)
	}
	former := b.ring(few[0])
	for _, n := range most {
		if err := n.Await(b.ctx, func(s *process.Status) error {
			if s.Ring() == former {
				return errors.New("it has not heard of the change")
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	rnd := rand.New(rand.NewPCG(s, 2))
	for time.Since(began) < *partitionFlag {
		b.readAt(few, warm[rnd.IntN(len(warm)):][:1])
		load.more(electLimit, 2*mib)
		cfg, err := few[rnd.IntN(2)].Config(b.ctx, true)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := writeOnce(b.ctx, few[rnd.IntN(2)], cfg, 1); !errors.Is(err, state.ErrNoQuorum) {
			t.Fatalf("a write by the minority: %v", err)
		}
	}
	lasted := time.Since(began)
	if now := b.ring(few[0]); now != former {
		t.Errorf("the minority has changed the ring from %s to %s", former, now)
	}
	net.mend(indices(few), indices(most))
	healing, cancel := context.WithTimeout(b.ctx, healLimit)
	defer cancel()
	mended := time.Now()
	ring, err := b.SameRing(healing)
	if err != nil {
		t.Error(err)
	}
	same := time.Since(mended)
	b.agree(agreeLimit, 5)
	t.Logf("the partition lasted %v; the same ring everywhere %v after it (%s), all alive with one leader and five voters after %v",
		lasted.Round(time.Millisecond), same.Round(time.Millisecond), ring, time.Since(mended).Round(time.Millisecond))
	writers.end()
	b.canWrite(electLimit, few[1], firstValue/2)

	// What either side fetched, all have now.
	before := b.origin.Ledger().Bytes("")
	for _, n := range b.Nodes {
		b.readAt([]*process.Node{n}, append(append(left, right...), both...))
	}
	if sent := b.origin.Ledger().Bytes("") - before; sent != 0 {
		t.Errorf("the origin sent %d bytes again after the partition", sent)
	}
	load.end()
	// One side cannot know what the other one fetches, so that comes twice at
	// most; all else once.
	b.onceEach(append(append(left, right...), warm...))
	ledger := b.origin.Ledger()
	var twice int64
	for _, o := range both {
		twice += ledger.Bytes(o.Path) - o.Size
		if ledger.MaxTimes(o.Path) > 2 {
			t.Errorf("%s: a byte was fetched %d times by two sides", o.Path, ledger.MaxTimes(o.Path))
			b.explain(ledger.Requests(o.Path))
		}
	}
	t.Logf("fetched by both sides: %d of %d bytes", twice, 2*chaosObject)
}

// ring names the placement that n computes.
func (b *bed) ring(n *process.Node) string {
	b.Helper()
	s, err := n.Status(b.ctx)
	if err != nil {
		b.Fatal(err)
	}
	return s.Ring()
}

// readAt reads the objects at the nodes, and none may fail.
func (b *bed) readAt(nodes []*process.Node, objects []*herd.Object) {
	b.Helper()
	for _, n := range nodes {
		for _, o := range objects {
			b.read(o, n.Index, o.Whole())
		}
	}
}

func indices(nodes []*process.Node) []int {
	var is []int
	for _, n := range nodes {
		is = append(is, n.Index)
	}
	return is
}
