package e2e_test

import (
	"bytes"
	"cmp"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/mccd/mccd/test/process"
)

// amendments adds silence and virtual hosts to what amend says.
func (s setting) amendments(origin string) func(int, map[string]any) {
	return func(i int, settings map[string]any) {
		settings["timeouts"] = map[string]any{"peer_silence": cmp.Or(s.silence, patience)}
		if len(s.vhosts) > 0 {
			s.addVhosts(origin, settings)
		}
		if s.amend != nil {
			s.amend(i, settings)
		}
	}
}

func (s setting) addVhosts(origin string, settings map[string]any) {
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
}

// client is one program of people that asks one node, in a folder of its own.
type client struct {
	*bed
	node *process.Node
	dir  string
	env  []string
	// wrap is the command that runs a program; nil: none.
	wrap []string
}

// at returns a client of node i without anything of its own yet.
func (b *bed) at(t *testing.T, i int) *client {
	t.Helper()
	here := *b
	here.T = t
	dir := t.TempDir()
	// Neither a proxy nor a user's own settings.
	return &client{bed: &here, node: b.Nodes[i], dir: dir, env: []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "LC_ALL=C"}}
}

// try runs argv in the client's folder and returns what it printed.
func (c *client) try(argv ...string) (string, error) {
	argv = append(slices.Clone(c.wrap), argv...)
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

// named lets the client's programs resolve names to the node's address: they
// see a hosts file of their own. false: this machine does not allow that.
func (c *client) named(names ...string) bool {
	c.Helper()
	c.put("hosts", []byte("127.0.0.1 localhost\n"+c.node.IP+" "+strings.Join(names, " ")+"\n"))
	c.wrap = []string{"unshare", "--mount", "sh", "-c", `mount --bind "$0" /etc/hosts && exec "$@"`, c.file("hosts")}
	if os.Getuid() != 0 {
		c.wrap = slices.Insert(c.wrap, 1, "--map-root-user")
	}
	out, err := c.try("getent", "hosts", names[0])
	if err != nil || !strings.Contains(out, c.node.IP) {
		c.Logf("no hosts file of its own for a program: %v %s", err, out)
		return false
	}
	return true
}
