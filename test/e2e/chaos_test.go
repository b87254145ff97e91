package e2e_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/mccd/mccd/test/process"
	"github.com/mccd/mccd/test/process/herd"
)

// Flags of the longer runs; the defaults are what every run takes.
var (
	roundsFlag = flag.Int("rounds", 3, "rounds of TestKillTwoOfFive")
	seedFlag   = flag.Uint64("seed", 0, "seed of the chaos tests; 0 = a new one, printed")
)

const (
	// chaosObject is small, so that a client's next choice of a node is soon.
	chaosObject = 6 * mib
	// electLimit bounds the time without a leader.
	electLimit = 20 * time.Second
	// agreeLimit bounds the time until nodes that are back have their votes.
	agreeLimit = 45 * time.Second
)

// seed returns the seed of this run, which it prints.
func seed(t *testing.T) uint64 {
	s := *seedFlag
	if s == 0 {
		s = rand.Uint64()
	}
	t.Logf("-seed=%d", s)
	return s
}

// objectsNamed adds n objects to the origin.
func (b *bed) objectsNamed(prefix string, n int, size int64) []*herd.Object {
	objects := make([]*herd.Object, n)
	for i := range objects {
		objects[i] = b.object(fmt.Sprintf("/filestreamingservice/files/%s-%d", prefix, i), size)
	}
	return objects
}

// TestKillTwoOfFive kills the leader and another of five nodes, again and
// again, while clients download at all of them and write the configuration:
// the register is linearizable, no acknowledged write is lost, and no request
// fails at a node that lives.
func TestKillTwoOfFive(t *testing.T) {
	s := seed(t)
	b := newBed(t, setting{nodes: 5, limit: testLimit + time.Duration(*roundsFlag)*time.Minute})
	b.agree(agreeLimit, 5)
	rnd := rand.New(rand.NewPCG(s, 0))
	load := b.download(8, s, b.objectsNamed("kill", 4, chaosObject)...)
	writers := b.write(4, s)
	var elected []time.Duration
	for round := range *roundsFlag {
		leader := b.leads()
		others := slices.DeleteFunc(slices.Clone(b.Nodes), func(n *process.Node) bool { return n == leader })
		victims := []*process.Node{leader, others[rnd.IntN(len(others))]}
		rnd.Shuffle(2, func(i, j int) { victims[i], victims[j] = victims[j], victims[i] })
		load.add(b.objectsNamed(fmt.Sprintf("round-%d", round), 1, chaosObject)...)
		load.goesDown(victims...)
		for _, n := range victims {
			if err := n.Kill(); err != nil {
				t.Fatal(err)
			}
		}
		took, err := writers.nextWrite(electLimit)
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		elected = append(elected, took)
		load.more(electLimit, 4*mib)
		for _, n := range victims {
			if err := n.Start(); err != nil {
				t.Fatal(err)
			}
		}
		for _, n := range victims {
			if err := n.Ready(b.ctx); err != nil {
				t.Fatal(err)
			}
		}
		load.comesUp(victims...)
		again := b.agree(agreeLimit, 5)
		t.Logf("round %d: killed %s and %s (%s led); a write was acknowledged after %v; five voters again %v after the start",
			round+1, victims[0].Name, victims[1].Name, leader.Name, took.Round(time.Millisecond), again.Round(time.Millisecond))
		if t.Failed() {
			break
		}
	}
	load.end()
	writers.end()
	slices.Sort(elected)
	t.Logf("first write after a kill of two: median %v, longest %v", elected[len(elected)/2].Round(time.Millisecond), elected[len(elected)-1].Round(time.Millisecond))
}

// TestPauseLeader lets the leader stand still, again and again, until another
// one leads, and go on in the belief that it leads itself: what it is asked for
// then is neither old nor lost.
func TestPauseLeader(t *testing.T) {
	s := seed(t)
	b := newBed(t, setting{nodes: 3, silence: impatience})
	b.agree(agreeLimit, 3)
	writers := b.write(8, s) // those that ask the paused one wait there
	const rounds = 3
	for round := range rounds {
		leader := b.leads()
		if err := leader.Pause(); err != nil {
			t.Skip(err)
		}
		took, err := writers.nextWrite(electLimit)
		for range 10 {
			if err == nil {
				_, err = writers.nextWrite(electLimit)
			}
		}
		if err != nil {
			t.Errorf("round %d: %v", round+1, err)
		}
		if err := leader.Resume(); err != nil {
			t.Fatal(err)
		}
		again := b.agree(agreeLimit, 3)
		t.Logf("round %d: %s stood still; a write was acknowledged after %v; all agree %v after it went on",
			round+1, leader.Name, took.Round(time.Millisecond), again.Round(time.Millisecond))
	}
	writers.end()
}
