package e2e_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/mccd/mccd/cluster/admin"
	"github.com/mccd/mccd/test/process"
)

func (b *bed) status(n *process.Node) *process.Status {
	b.Helper()
	s, err := n.Status(b.ctx)
	if err != nil {
		b.Fatal(err)
	}
	return s
}

// tokens returns what the cluster keeps of the token with a note.
func (b *bed) tokens(note string) admin.Token {
	b.Helper()
	var all []admin.Token
	if err := json.Unmarshal([]byte(b.command(0, b.Nodes[0], "token", "list", "-o", "json")), &all); err != nil {
		b.Fatal(err)
	}
	i := slices.IndexFunc(all, func(t admin.Token) bool { return t.Note == note })
	if i < 0 {
		b.Fatalf("no token %q in %v", note, all)
	}
	return all[i]
}

// turnedAway returns how many connections the node counts as refused.
func (b *bed) turnedAway(n *process.Node, label string) float64 {
	b.Helper()
	m, err := n.Metrics(b.ctx)
	if err != nil {
		b.Fatal(err)
	}
	return m.Sum("mccd_wire_refused_total", label)
}

// voters waits until all nodes agree that so many vote.
func (b *bed) voters(nodes []*process.Node, want int) {
	b.Helper()
	for _, n := range nodes {
		if err := n.Await(b.ctx, func(s *process.Status) error {
			if got := s.Voters(); got != want || s.Cluster.Role == "follower" {
				return fmt.Errorf("%d voters, this one is %s", got, s.Cluster.Role)
			}
			return nil
		}); err != nil {
			b.Fatal(err)
		}
	}
}

// together waits until the nodes see each other and nobody else.
func (b *bed) together(nodes []*process.Node) {
	b.Helper()
	sub := &process.Cluster{Nodes: nodes}
	if err := sub.Together(b.ctx); err != nil {
		b.Fatal(err)
	}
}

// standing is what must not change at nodes when somebody is refused.
func (b *bed) standing(nodes []*process.Node) string {
	b.Helper()
	var text strings.Builder
	for _, n := range nodes {
		s := b.status(n)
		fmt.Fprintf(&text, "%s: %s, configuration %d, joining %v\n", n.Name, s.Ring(), s.Cluster.ConfigRevision, s.Cluster.Join != nil)
		for _, m := range s.Nodes {
			fmt.Fprintf(&text, "  %s %s %s weight %d voter %v\n", m.ID, m.Name, m.Stage, m.Weight, m.Voter)
		}
	}
	// A leader that this machine held up may have to be elected again.
	err := process.Poll(b.ctx, func(ctx context.Context) error {
		return nodes[0].Admin(ctx, func(ctx context.Context, c *admin.Client) error {
			tokens, err := c.Tokens(ctx)
			if err == nil {
				fmt.Fprintf(&text, "%v", tokens)
			}
			return err
		})
	})
	if err != nil {
		b.Fatal(err)
	}
	return text.String()
}

func (b *bed) logSize(n *process.Node) int {
	b.Helper()
	info, err := os.Stat(n.LogFile)
	if err != nil {
		b.Fatal(err)
	}
	return int(info.Size())
}

func (b *bed) logFrom(n *process.Node, mark int) string {
	b.Helper()
	text, err := os.ReadFile(n.LogFile)
	if err != nil {
		b.Fatal(err)
	}
	return string(text[min(mark, len(text)):])
}

// logged waits for a line with want in the node's log behind mark.
func (b *bed) logged(n *process.Node, mark int, want string) (line string) {
	b.Helper()
	soon, cancel := context.WithTimeout(b.ctx, 20*time.Second)
	defer cancel()
	if err := process.Poll(soon, func(context.Context) error {
		if line = lineWith(b.logFrom(n, mark), want); line == "" {
			return errors.New("no such line")
		}
		return nil
	}); err != nil {
		b.Errorf("%s did not log %q but:\n%s", n.Name, want, b.logFrom(n, mark))
	}
	return line
}

func lineWith(text, want string) string {
	for line := range strings.Lines(text) {
		if strings.Contains(line, want) {
			return strings.TrimSpace(line)
		}
	}
	return ""
}
