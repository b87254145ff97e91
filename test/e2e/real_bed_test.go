package e2e_test

import (
	"bytes"
	"maps"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/mccd/mccd/test/process"
)

// amendments adds the virtual hosts to what amend says.
func (s setting) amendments(origin string) func(int, map[string]any) {
	if len(s.vhosts) == 0 {
		return s.amend
	}
	return func(i int, settings map[string]any) {
		var rules []any
		for _, host := range s.vhosts {
			rule := map[string]any{"profile": "http", "connect": origin, "allow_private": true}
			maps.Copy(rule, host)
			rules = append(rules, rule)
		}
		for _, o := range settings["origins"].([]process.Origin) {
			rules = append(rules, o)
		}
		settings["origins"] = rules
		if s.amend != nil {
			s.amend(i, settings)
		}
	}
}

// client is one program of people that asks one node, in a folder of its own.
type client struct {
	*bed
	node *process.Node
	dir  string
	env  []string
}

// at returns a client of node i without anything of its own yet.
func (b *bed) at(t *testing.T, i int) *client {
	t.Helper()
	here := *b
	here.T = t
	dir := t.TempDir()
	// Neither a proxy nor a user's own settings.
	return &client{&here, b.Nodes[i], dir, []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "LC_ALL=C"}}
}

// try runs argv in the client's folder and returns what it printed.
func (c *client) try(argv ...string) (string, error) {
	cmd := exec.CommandContext(c.ctx, argv[0], argv[1:]...)
	cmd.Dir, cmd.Env = c.dir, c.env
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return out.String(), err
}

// do is try for what must succeed.
func (c *client) do(argv ...string) string {
	c.Helper()
	out, err := c.try(argv...)
	if err != nil {
		c.Fatalf("%s: %v\n%s", strings.Join(argv, " "), err, out)
	}
	return out
}

// free runs do and fails the test if the origin sent a byte meanwhile.
func (b *bed) free(what string, do func()) {
	b.Helper()
	before := b.origin.Ledger().Bytes("")
	do()
	if sent := b.origin.Ledger().Bytes("") - before; sent != 0 {
		b.Errorf("%s: the origin sent %d bytes again", what, sent)
		for _, e := range b.origin.Ledger().Entries() {
			if e.Bytes() > 0 {
				b.Logf("origin sent %d bytes of %s (%s), answer %d", e.Bytes(), e.Path, e.Version, e.Status)
			}
		}
	}
}
