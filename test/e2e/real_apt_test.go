package e2e_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// debHost is the virtual host of a Debian mirror.
const debHost = "deb.example"

// TestRealApt: apt-get updates and downloads from a Debian repository through
// each node; what one node's clients have read, all others' get without a byte
// of the origin's; after each change of the repository the next update sees it,
// at whatever node, and never a mixture of old and new (apt's "Hash Sum
// mismatch").
func TestRealApt(t *testing.T) {
	program(t, "apt-get")
	program(t, "dpkg-deb")
	for _, byHash := range []bool{true, false} {
		t.Run(fmt.Sprintf("by-hash %v", byHash), func(t *testing.T) {
			d := newDebian(t, byHash)
			// Old enough for the cache to call it fresh for hours, as the origin
			// says nothing; but apt asks for max-age=0.
			modified := time.Now().Add(-10 * 24 * time.Hour)
			d.begin(modified)
			b := newBed(t, setting{nodes: 3, dir: d.dir, vhosts: []map[string]any{{
				"name": "debian", "hosts": []string{debHost}, "immutable_prefixes": []string{"/pool/"},
			}}})
			var clients []*client
			for i := range b.Nodes {
				clients = append(clients, b.apt(t, i, d))
			}
			use := (*client).fetches
			if !byHash {
				use = (*client).updates
			}
			use(clients[0], d)
			if m := b.origin.Ledger().MaxTimes(""); m != 1 {
				t.Errorf("a byte was fetched %d times", m)
			}
			for _, c := range clients[1:] {
				b.free("the second run, at "+c.node.Name, func() { use(c, d) })
			}
			for change := range 2 {
				version := fmt.Sprintf("1.%d", change+1)
				modified = modified.Add(48 * time.Hour)
				d.add("mccd-one", version, "", 3000+change, modified)
				d.publish(modified)
				first := clients[(change+1)%3]
				first.do("apt-get", "update")
				first.offers("mccd-one", version)
				for _, c := range clients {
					b.free("an update that another client has made, at "+c.node.Name, func() {
						c.do("apt-get", "update")
						c.offers("mccd-one", version)
					})
				}
			}
			use(clients[1], d)
			b.free("the second run after the changes", func() { use(b.apt(t, 2, d), d) })
		})
	}
}

// updates reads the indices.
func (c *client) updates(*debian) {
	c.Helper()
	c.do("apt-get", "update")
}

// fetches updates, and gets all packages in the ways that apt-get has.
func (c *client) fetches(d *debian) {
	c.Helper()
	c.do("apt-get", "update")
	c.do("apt-get", "download", "mccd-one", "mccd-big")
	c.do("apt-get", "install", "--download-only", "-y", "mccd-two")
	d.right(filepath.Join(c.dir, "mccd-one_*.deb"), "mccd-one")
	d.right(filepath.Join(c.dir, "mccd-big_*.deb"), "mccd-big")
	d.right(filepath.Join(c.dir, "var/cache/apt/archives/mccd-two_*.deb"), "mccd-two")
}

// apt returns a client of node i that has nothing but the repository in its
// list; whatever apt keeps is in its own folder.
func (b *bed) apt(t *testing.T, i int, d *debian) *client {
	t.Helper()
	c := b.at(t, i)
	c.aptFor(d, "http://"+debHost, fmt.Sprintf("Acquire::http::Proxy::%s %q;", debHost, "http://"+c.node.Addr))
	return c
}

// aptFor writes apt's settings for the repository at url.
func (c *client) aptFor(d *debian, url, option string) {
	c.Helper()
	trust := "trusted=yes"
	if d.gnupg != "" {
		trust = "signed-by=" + d.key()
	}
	files := map[string]string{
		"apt.conf": strings.Join([]string{
			fmt.Sprintf("Dir %q;", c.dir), `Dir::State::status "status";`,
			`Dir::Bin::methods "/usr/lib/apt/methods";`,
			`APT::Architecture "amd64";`, `APT::Architectures { "amd64"; };`, `APT::Sandbox::User "";`,
			`Acquire::Languages "none";`, `Acquire::Retries "0";`, `Debug::NoLocking "true";`,
			option, "",
		}, "\n"),
		"etc/apt/sources.list": fmt.Sprintf("deb [%s] %s stable main\n", trust, url),
		"status":               "", "var/lib/apt/lists/partial/.keep": "", "var/cache/apt/archives/partial/.keep": "",
		"var/lib/dpkg/status": "", "etc/apt/preferences.d/.keep": "", "etc/apt/apt.conf.d/.keep": "", "etc/apt/trusted.gpg.d/.keep": "",
	}
	for name, text := range files {
		if err := os.MkdirAll(filepath.Dir(c.file(name)), 0o755); err != nil {
			c.Fatal(err)
		}
		c.put(name, []byte(text))
	}
	c.env = append(c.env, "APT_CONFIG="+c.file("apt.conf"), "PATH=/usr/sbin:/sbin:"+os.Getenv("PATH"))
}

// offers fails the test unless apt takes version for the newest one of name.
func (c *client) offers(name, version string) {
	c.Helper()
	if got := c.do("apt-cache", "show", "--no-all-versions", name); !strings.Contains(got, "Version: "+version+"\n") {
		c.Errorf("at %s apt offers, not %s:\n%s", c.node.Name, version, got)
	}
}

// right fails the test unless the one file of pattern is the package.
func (d *debian) right(pattern, name string) {
	d.Helper()
	want, err := os.ReadFile(filepath.Join(d.dir, d.debs[name]))
	if err != nil {
		d.Fatal(err)
	}
	found, err := filepath.Glob(pattern)
	if err != nil || len(found) == 0 {
		d.Fatalf("no %s: %v", pattern, err)
	}
	same(d.T, found[len(found)-1], want)
}
