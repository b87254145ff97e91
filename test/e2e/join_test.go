package e2e_test

import (
	"os"
	"strings"
	"testing"

	"github.com/mccd/mccd/test/process"
)

// command runs the program against node n's admin socket and returns what it
// said; its exit code must be want.
func (b *bed) command(want int, n *process.Node, args ...string) string {
	b.Helper()
	out, code, err := n.Command(b.ctx, append(args, "--admin-socket", n.Socket)...)
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
