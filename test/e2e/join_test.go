package e2e_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mccd/mccd/cluster/state"
	"github.com/mccd/mccd/test/process"
)

// command runs the program against node n's admin socket and returns what it
// said; its exit code must be want. A machine that held the leader up may have
// another one elected: what was refused for the want of a quorum, and so was not
// done, is asked for again.
func (b *bed) command(want int, n *process.Node, args ...string) string {
	b.Helper()
	argv := append(slices.Clone(args), "--admin-socket", n.Socket)
	out, code, err := n.Command(b.ctx, argv...)
	for begun := time.Now(); want == 0 && code != 0 && strings.Contains(out, state.ErrNoQuorum.Error()) && time.Since(begun) < electLimit; {
		pauseFor(b.ctx, 100*time.Millisecond)
		out, code, err = n.Command(b.ctx, argv...)
	}
	if err != nil {
		b.Fatal(err)
	}
	if code != want {
		b.Fatalf("mccd %s at %s: exit code %d, not %d: %s", strings.Join(args, " "), n.Name, code, want, out)
	}
	return out
}

// tokenFile writes a token where a command finds it.
func (b *bed) tokenFile(token string) string {
	b.Helper()
	f, err := os.CreateTemp(b.TempDir(), "token")
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if _, err := f.WriteString(token + "\n"); err != nil {
		b.Fatal(err)
	}
	return f.Name()
}

// TestJoinRunningDaemon: `mccd join` makes two clusters of one a cluster of
// two; what either held needs no second trip to the origin.
func TestJoinRunningDaemon(t *testing.T) {
	b := newBed(t, setting{nodes: 2, alone: true})
	o := b.object("/filestreamingservice/files/join", 24*mib)
	b.read(o, 0, o.Whole())
	token := b.command(0, b.Nodes[0], "token", "create", "--quiet")
	t.Log(b.command(0, b.Nodes[1], "join", b.Nodes[0].Peer, "--token-file", b.tokenFile(token)))
	if err := b.Together(b.ctx); err != nil {
		t.Fatal(err)
	}
	b.read(o, 1, o.Whole())
	b.once(o)
}

// TestJoinWithoutDaemon: where no daemon runs, `mccd join` is one, and the
// same command line starts it again.
func TestJoinWithoutDaemon(t *testing.T) {
	b := prepareBed(t, setting{nodes: 2, alone: true})
	if err := b.Nodes[0].Restart(b.ctx); err != nil {
		t.Fatal(err)
	}
	if err := b.Nodes[0].Writable(b.ctx); err != nil {
		t.Fatal(err)
	}
	file := b.tokenFile(b.command(0, b.Nodes[0], "token", "create", "--quiet"))
	for range 2 {
		if err := b.Nodes[1].StartAs("join", b.Nodes[0].Peer, "--token-file", file); err != nil {
			t.Fatal(err)
		}
		if err := b.Together(b.ctx); err != nil {
			t.Fatal(err)
		}
		if err := b.Nodes[1].Stop(b.ctx); err != nil {
			t.Fatal(err)
		}
	}
}

var joinRounds = flag.Int("join-rounds", 6, "rounds of TestJoinKilled")

// TestJoinKilled: a node that is killed at any moment of its join is a member
// after a start by the same command line, its token used once.
func TestJoinKilled(t *testing.T) {
	b := prepareBed(t, setting{nodes: 2, alone: true})
	first, n := b.Nodes[0], b.Nodes[1]
	if err := first.Restart(b.ctx); err != nil {
		t.Fatal(err)
	}
	if err := first.Writable(b.ctx); err != nil {
		t.Fatal(err)
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("moments by seed %d", seed)
	moments := rand.New(rand.NewPCG(seed, 0))
	for round := range *joinRounds {
		note := fmt.Sprint("round ", round)
		file := b.tokenFile(b.command(0, first, "token", "create", "--quiet", "--note", note))
		start := func() {
			t.Helper()
			if err := n.StartAs("serve", "--join", first.Peer, "--token-file", file); err != nil {
				t.Fatal(err)
			}
		}
		start()
		// A join takes some 100 ms after some 50 ms of starting.
		moment := time.Duration(moments.IntN(160)) * time.Millisecond
		select {
		case <-time.After(moment):
		case <-n.Exited():
			t.Fatal("it ended by itself")
		}
		if err := n.Kill(); err != nil {
			t.Fatal(err)
		}
		used := b.tokens(note).Admitted
		start()
		soon, cancel := context.WithTimeout(b.ctx, 30*time.Second)
		err := b.Together(soon)
		cancel()
		if err != nil {
			t.Fatalf("killed after %v: %v", moment, err)
		}
		token := b.tokens(note)
		t.Logf("killed after %v, %d admitted by then, %d at last", moment, used, token.Admitted)
		if token.Admitted != 1 || token.Uses != 0 {
			t.Errorf("the token admitted %d and has %d uses left", token.Admitted, token.Uses)
		}
		if members := b.status(first).Active(); members != 2 {
			t.Errorf("%d members", members)
		}
		if left, err := os.ReadDir(n.Dir); err != nil || strings.Contains(fmt.Sprint(left), "cluster.") {
			t.Errorf("what the join left: %v, %v", left, err)
		}
		if err := n.Stop(b.ctx); err != nil {
			t.Fatal(err)
		}
		b.command(0, first, "remove", n.Name, "--yes")
		if err := n.Wipe(); err != nil {
			t.Fatal(err)
		}
	}
}
