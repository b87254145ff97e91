package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mccd/mccd/cluster/state"
	"github.com/mccd/mccd/test/process"
	"github.com/mccd/mccd/test/process/herd"
)

// refusalTime is how long a write may take to fail without a quorum.
const refusalTime = 2 * time.Second

// cannotWrite fails the test unless a write by each node fails in time, with
// the reason, and its status says so too once it counts this many alive.
func (b *bed) cannotWrite(alive int, nodes ...*process.Node) {
	b.Helper()
	for _, n := range nodes {
		// Until this node misses the leader, a write may still wait for it.
		if _, err := b.within(electLimit, func(ctx context.Context) error {
			s, err := n.Status(ctx)
			if err == nil && (s.Cluster.Quorum.OK || s.Cluster.Quorum.Reason == "" || s.Alive() != alive) {
				err = fmt.Errorf("%d alive, quorum %+v", s.Alive(), s.Cluster.Quorum)
			}
			return err
		}); err != nil {
			b.Errorf("%s does not say that the quorum is lost: %v", n.Name, err)
			continue
		}
		s, err := n.Status(b.ctx)
		if err != nil {
			b.Error(err)
			continue
		}
		cfg, err := n.Config(b.ctx, true)
		if err != nil {
			b.Errorf("%s does not tell the last configuration: %v", n.Name, err)
			continue
		}
		var took time.Duration
		for range 10 { // a busy machine may stand still for longer than there is to spare
			took, err = writeOnce(b.ctx, n, cfg, cfg.Limits.WANBytesPerSecond+1)
			b.Logf("%s after %v: %v", n.Name, took.Round(time.Millisecond), err)
			if took <= refusalTime {
				break
			}
		}
		b.Logf("%s says: %s", n.Name, s.Cluster.Quorum.Reason)
		if !errors.Is(err, state.ErrNoQuorum) || !strings.Contains(err.Error(), "voters") {
			b.Errorf("%s: a write without a quorum: %v", n.Name, err)
		}
		if took > refusalTime {
			b.Errorf("%s: a write failed only after %v", n.Name, took)
		}
		if m, err := n.Metrics(b.ctx); err != nil || m.Sum("mccd_cluster_quorum") != 0 {
			b.Errorf("%s: metrics do not tell: %v, %v", n.Name, m.Sum("mccd_cluster_quorum"), err)
		}
	}
}

// kill ends nodes at once; clients of load may fail there from now on.
func (b *bed) kill(load *load, nodes ...*process.Node) {
	b.Helper()
	load.goesDown(nodes...)
	for _, n := range nodes {
		if err := n.Kill(); err != nil {
			b.Fatal(err)
		}
	}
}

// restart starts nodes that ended and waits until they serve.
func (b *bed) restart(load *load, nodes ...*process.Node) {
	b.Helper()
	for _, n := range nodes {
		if err := n.Start(); err != nil {
			b.Fatal(err)
		}
	}
	for _, n := range nodes {
		if err := n.Ready(b.ctx); err != nil {
			b.Fatal(err)
		}
	}
	load.comesUp(nodes...)
}

// split returns the leader with n-1 others, and the rest.
func (b *bed) split(n int) (with, without []*process.Node) {
	b.Helper()
	with = append(with, b.leads())
	for _, node := range b.Nodes {
		switch {
		case node == with[0]:
		case len(with) < n:
			with = append(with, node)
		default:
			without = append(without, node)
		}
	}
	return with, without
}

// TestThreeOfFiveDead: with the quorum gone, the survivors serve what they have
// and fetch what they have not, also one that is restarted; writes fail and say
// why. A recovery brings writes back, and the dead take the configuration of
// the survivors when they return.
func TestThreeOfFiveDead(t *testing.T) {
	s := seed(t)
	b := newBed(t, setting{nodes: 5})
	b.agree(agreeLimit, 5)
	b.canWrite(electLimit, b.Nodes[0], 1)
	warm := b.objectsNamed("warm", 3, chaosObject)
	for _, o := range warm {
		for i := range b.Nodes {
			b.read(o, i, o.Whole())
		}
	}
	load := b.download(6, s, warm...)
	dead, alive := b.split(3)
	b.kill(load, dead...)
	b.cannotWrite(2, alive...)

	// Hits and fills, at both.
	hits := b.origin.Ledger().Bytes("")
	for _, n := range alive {
		for _, o := range warm {
			b.read(o, n.Index, o.Shuffled(s))
		}
	}
	if sent := b.origin.Ledger().Bytes("") - hits; sent != 0 {
		t.Errorf("the origin sent %d bytes of what the survivors hold", sent)
	}
	cold := b.objectsNamed("cold", 2, chaosObject)
	for i, n := range alive {
		b.read(cold[i], n.Index, cold[i].Whole())
	}
	load.add(cold...)
	b.onceEach(cold)

	// A survivor is restarted: it serves without having heard of any leader.
	again := alive[1]
	b.kill(load, again)
	b.restart(load, again)
	b.read(cold[0], again.Index, cold[0].Whole())
	fresh := b.objectsNamed("fresh", 1, chaosObject)
	b.read(fresh[0], again.Index, fresh[0].Whole())
	b.onceEach(append(fresh, cold...))
	b.cannotWrite(2, again)

	b.recover(alive[0], alive[1])
	took := b.canWrite(electLimit, alive[1], 2)
	t.Logf("a write by %s was acknowledged %v after the recovery at %s", alive[1].Name, took.Round(time.Millisecond), alive[0].Name)

	// The three that come back were the majority: what they might agree on
	// among themselves is never acknowledged, nor told for certain.
	writers := b.write(4, s)
	b.restart(load, dead...)
	took = b.agree(2*agreeLimit, 5)
	if _, err := writers.nextWrite(electLimit); err != nil {
		t.Error(err)
	}
	writers.end()
	t.Logf("five nodes agree, with five voters, %v after the three were back", took.Round(time.Millisecond))
	for _, n := range b.Nodes {
		st, err := n.Status(b.ctx)
		if err != nil || !strings.HasPrefix(st.Cluster.Epoch, "2.") {
			t.Errorf("%s is of epoch %q, not of recovery generation 2: %v", n.Name, st.Cluster.Epoch, err)
		}
	}
	load.end()
	b.onceEach(append(append(warm, cold...), fresh...))
}

// recover rebuilds the cluster at survivor. It refuses as long as other, which
// answers, is not named.
func (b *bed) recover(survivor, other *process.Node) {
	b.Helper()
	args := []string{"recover", "--yes", "--admin-socket", survivor.Socket}
	out, code, err := survivor.Command(b.ctx, args...)
	b.Logf("mccd recover: exit code %d: %s", code, out)
	if err != nil || code == 0 || !strings.Contains(out, "--supersede "+other.Name) {
		b.Fatalf("a recovery while %s answers: exit code %d, %v", other.Name, code, err)
	}
	out, code, err = survivor.Command(b.ctx, append(args, "--supersede", other.Name)...)
	b.Logf("mccd recover --supersede %s: exit code %d: %s", other.Name, code, out)
	if err != nil || code != 0 {
		b.Fatalf("recover: exit code %d, %v", code, err)
	}
}

// onceEach fails the test unless each byte of the objects came from the origin
// exactly once.
func (b *bed) onceEach(objects []*herd.Object) {
	b.Helper()
	ledger := b.origin.Ledger()
	for _, o := range objects {
		if ledger.Union(o.Path) != o.Size || ledger.MaxTimes(o.Path) != 1 {
			b.Errorf("%s: sent %d, different %d of %d", o.Path, ledger.Bytes(o.Path), ledger.Union(o.Path), o.Size)
			b.explain(ledger.Requests(o.Path))
		}
	}
}

// TestTwoNodes: of two nodes one votes. Losing the other one costs nothing,
// losing the voter only the writes.
func TestTwoNodes(t *testing.T) {
	s := seed(t)
	b := newBed(t, setting{nodes: 2})
	b.agree(agreeLimit, 1)
	voter := b.leads()
	follower := b.Nodes[1-voter.Index]
	warm := b.objectsNamed("two", 2, chaosObject)
	for _, o := range warm {
		for i := range b.Nodes {
			b.read(o, i, o.Whole())
		}
	}
	load := b.download(4, s, warm...)
	mark := b.logSize(voter)
	b.kill(load, follower)
	took := b.canWrite(electLimit, voter, firstValue+1)
	t.Logf("without the follower a write took %v", took.Round(time.Millisecond))
	if line := lineWith(b.logFrom(voter, mark), "election"); line != "" {
		t.Errorf("the voter had to be elected again: %s", line)
	}
	cold := b.objectsNamed("without-follower", 1, chaosObject)
	b.read(cold[0], voter.Index, cold[0].Whole())
	b.restart(load, follower)
	b.agree(agreeLimit, 1)

	b.kill(load, voter)
	b.cannotWrite(1, follower)
	more := b.objectsNamed("without-voter", 1, chaosObject)
	b.read(more[0], follower.Index, more[0].Whole())
	load.end()

	// Alone and restarted, it has heard of no leader at all.
	if err := follower.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := follower.Restart(b.ctx); err != nil {
		t.Fatal(err)
	}
	b.read(warm[0], follower.Index, warm[0].Whole())
	b.read(more[0], follower.Index, more[0].Whole())
	load = b.download(4, s, warm...)
	b.restart(load, voter)
	b.agree(agreeLimit, 1)
	took = b.canWrite(electLimit, follower, firstValue+2)
	t.Logf("a write by the follower was acknowledged %v after the voter was back", took.Round(time.Millisecond))
	load.end()
	b.onceEach(append(append(warm, cold...), more...))
}
