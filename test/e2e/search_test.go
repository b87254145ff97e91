package e2e_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/mccd/mccd/test/faultorigin"
	"github.com/mccd/mccd/test/process"
)

// searchTraffic fails the test where content or a secret is in what passed.
// A client's own download by such a proxy shows that it would be found.
func (b *bed) searchTraffic(rec *recorder, s secrets, path string, size int64) {
	b.Helper()
	for what, secret := range s {
		for form, needle := range forms(secret) {
			if rec.holds(needle) {
				b.Errorf("%s passed between nodes as %s", what, form)
			}
		}
	}
	needle := func(off int64) []byte {
		begin := make([]byte, 32)
		faultorigin.Fill(begin, path, faultorigin.DefaultVersion, off)
		return begin
	}
	for off := int64(0); off < size; off += mib / 2 {
		if rec.holds(needle(off)) {
			b.Errorf("content from byte %d passed between nodes", off)
		}
	}
	control := newRecorder(b.T)
	addr := strings.Replace(b.Nodes[0].Addr, "127.0.0.", "127.0.1.", 1)
	control.tcp(addr, b.Nodes[0].Addr)
	b.page(process.URL(addr, path, cdn))
	if !control.holds(needle(0)) || !control.holds(needle(size-mib/2)) {
		b.Error("the search does not find content that passes in the clear")
	}
}

// searchFiles fails the test where a secret is in a file that is not the
// membership's own, and where others may read one of those.
func (b *bed) searchFiles(s secrets) {
	b.Helper()
	searched, own := 0, 0
	for _, n := range b.Nodes {
		err := filepath.WalkDir(n.Dir, func(path string, entry fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := entry.Info()
			if err != nil {
				return err
			}
			name, err := filepath.Rel(n.Dir, path)
			if err != nil {
				return err
			}
			membership := strings.HasPrefix(name, "cluster")
			if open := info.Mode().Perm() & 0o077; membership && open != 0 {
				b.Errorf("%s of %s has mode %v", name, n.Name, info.Mode())
			}
			if !info.Mode().IsRegular() {
				return nil
			}
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			searched++
			for _, found := range s.in(text) {
				if name == filepath.Join("cluster", "node.key") && strings.Contains(found, "node key of "+n.Name) ||
					name == filepath.Join("cluster", "sealing.key") && strings.Contains(found, "sealing key at last") {
					own++
					continue
				}
				b.Errorf("%s is in %s of %s, mode %v", found, name, n.Name, info.Mode())
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	b.Logf("%d files searched, %d keys where they belong", searched, own)
	if own == 0 {
		b.Error("the search does not find the keys that are there")
	}
}
