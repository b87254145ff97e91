package e2e_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/mccd/mccd/cluster/admin"
	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/test/process"
)

// explainQuery is a signed query: no output and no file may have it.
const explainQuery = "P1=1&P4=s3cr3tsignature%2b"

// explained asks node n for path as its clients would ask.
func (b *bed) explained(n *process.Node, path string, args ...string) *admin.Explanation {
	b.Helper()
	url := process.URL(n.Addr, path, cdn)
	url = strings.Replace(url, "cacheHostOrigin", explainQuery+"&cacheHostOrigin", 1)
	out := b.command(0, n, append([]string{"explain", url, "-o", "json"}, args...)...)
	if strings.Contains(out, "s3cr3t") {
		b.Errorf("a token is told: %s", out)
	}
	e := new(admin.Explanation)
	if err := json.Unmarshal([]byte(out), e); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	return e
}

// kinds are the ways of a chunk's bytes.
func kinds(c admin.ExplainedChunk) (out []string) {
	for _, s := range c.Steps {
		out = append(out, s.Kind)
	}
	return out
}

// An explanation is true through the life of an object: before its first fetch,
// after a download through one node, after a purge, and with an owner killed. It
// never asks the origin.
func TestExplain(t *testing.T) {
	b := newBed(t, setting{nodes: 3})
	const chunks = 3
	o := b.object("/filestreamingservice/files/explained", (chunks-1)*storage.ChunkSize+mib)
	if err := b.Together(b.ctx); err != nil {
		t.Fatal(err)
	}
	same := func(what string, e *admin.Explanation, standing string, want ...string) {
		t.Helper()
		if e.Freshness.Standing != standing || len(e.Chunks) != max(1, len(want)) {
			t.Errorf("%s: %s, %d chunks, want %s, %d", what, e.Freshness.Standing, len(e.Chunks), standing, len(want))
		}
		for _, c := range e.Chunks {
			if k := kinds(c); len(want) > 0 && !slices.Contains(want, strings.Join(k, " ")) {
				t.Errorf("%s: chunk %d comes by %v, want %v: %+v", what, c.Index, k, want, c)
			}
		}
	}
	cold := b.explained(b.Nodes[0], o.Path)
	same("cold", cold, "unknown", "origin")
	if cold.URL.Form != "cacheHostOrigin" || cold.URL.Host != cdn || cold.Rule.Profile != "do" || cold.URL.QueryBytes != int64(len(explainQuery)) {
		t.Errorf("read as %+v, %+v", cold.URL, cold.Rule)
	}
	if n := len(b.origin.Ledger().Requests(o.Path)); n != 0 {
		t.Fatalf("an explanation sent %d requests", n)
	}

	b.read(o, 1, []storage.Span{{End: o.Size}})
	fetched := len(b.origin.Ledger().Requests(o.Path))
	same("where it was downloaded", b.explained(b.Nodes[1], o.Path), "fresh", "hit", "hit", "hit")
	for _, i := range []int{0, 2} {
		e := b.explained(b.Nodes[i], o.Path)
		same("elsewhere", e, "fresh", "hit", "peer", "peer")
		for _, c := range e.Chunks {
			if c.Acting != c.Order[0].Node || len(c.Holders) == 0 || c.Holders[0].Node != c.Acting || c.Holders[0].Bytes != c.Size {
				t.Errorf("who holds chunk %d: %+v", c.Index, c)
			}
		}
	}
	text := b.command(0, b.Nodes[1], "explain", "/filestreamingservice/files/explained?"+explainQuery+"&cacheHostOrigin="+cdn, "--range", "0-99")
	if !strings.Contains(text, "hit from this node's drive") || !strings.Contains(text, "no part of the key") || strings.Contains(text, "s3cr3t") {
		t.Errorf("the text:\n%s", text)
	}
	refused := b.command(0, b.Nodes[0], "explain", "http://au.download.windowsupdat.com/x?"+explainQuery)
	if !strings.Contains(refused, "403") || !strings.Contains(refused, "windowsupdate.com (rule") || strings.Contains(refused, "s3cr3t") {
		t.Errorf("a host that is not served:\n%s", refused)
	}

	b.command(0, b.Nodes[2], "purge", "--host", cdn)
	for _, n := range b.Nodes {
		e := b.explained(n, o.Path)
		same("purged", e, "unknown", "origin")
		if e.Purge.Hit == nil || e.Purge.Hit.Host != cdn || !e.Purge.Hit.Prefix {
			t.Errorf("purged: %+v", e.Purge)
		}
	}
	if err := process.Poll(b.ctx, func(context.Context) error {
		if list := b.command(0, b.Nodes[0], "purge", "list"); !strings.Contains(list, "all of "+cdn) || !strings.Contains(list, "all 3") {
			return errors.New("mccd purge list: " + list)
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
	if n := len(b.origin.Ledger().Requests(o.Path)); n != fetched {
		t.Errorf("explanations sent %d requests", n-fetched)
	}

	b.read(o, 1, []storage.Span{{End: o.Size}})
	b.explainKilled(o.Path)
	for _, n := range b.Nodes {
		if text, err := os.ReadFile(n.LogFile); err != nil || strings.Contains(string(text), "s3cr3t") {
			t.Errorf("%s has the token in its log, or none: %v", n.Name, err)
		}
	}
}

// explainKilled kills the owner of a chunk that node 1 does not own, and has node 1
// and the third node explain it.
func (b *bed) explainKilled(path string) {
	b.Helper()
	e := b.explained(b.Nodes[1], path)
	i := slices.IndexFunc(e.Chunks, func(c admin.ExplainedChunk) bool { return c.Acting != b.Nodes[1].Name })
	if i < 0 {
		b.Skip("node 1 owns all chunks")
	}
	chunk := e.Chunks[i]
	var third *process.Node
	for _, n := range b.Nodes {
		switch {
		case n.Name == chunk.Acting:
			if err := n.Kill(); err != nil {
				b.Fatal(err)
			}
		case n != b.Nodes[1]:
			third = n
		}
	}
	rng := fmt.Sprintf("%d-%d", chunk.FirstByte, chunk.EndByte-1)
	err := process.Poll(b.ctx, func(context.Context) error {
		e := b.explained(third, path, "--range", rng)
		c := e.Chunks[0]
		switch {
		case e.Freshness.Standing != "fresh":
			return errors.New("the version is " + e.Freshness.Standing)
		case c.Order[0].WhyNot == "" || c.Acting == chunk.Acting:
			return fmt.Errorf("the owner acts: %+v", c)
		case strings.Join(kinds(c), " ") != "peer" || c.Steps[0].From != b.Nodes[1].Name:
			return fmt.Errorf("not from who has it: %+v", c)
		}
		return nil
	})
	if err != nil {
		b.Errorf("with %s killed: %v", chunk.Acting, err)
	}
}
