package rules_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// layer returns the height of the package in folder dir; imports point to a
// lower one only. ok is false for a folder that has no place yet.
func layer(dir string) (height int, ok bool) {
	if dir == "storage" {
		return 0, true // the nouns, below the rooms inside
	}
	// The first match counts.
	for _, room := range []struct {
		prefix string
		height int
	}{
		{"proto", 0}, {"ring", 0}, {"storage/httpcache", 1}, {"storage", 2},
		{"cluster/state", 1}, {"cluster/identity", 1}, {"cluster/gossip", 2}, {"cluster/consensus", 2}, {"cluster/wire", 2}, {"cluster", 3}, {"peer", 3}, {"gateway", 3},
		{"cmd/mccd/node", 4}, {"cmd", 5}, {"test/faultorigin", 1}, {"test/loopback", 0}, {"test", 6},
	} {
		if within(dir, room.prefix) {
			return room.height, true
		}
	}
	return 0, false
}

// reason says why from may not import to.
func reason(from, to string) string {
	for _, ban := range []struct{ from, to, why string }{
		{"", "test", "the product holds no test code; only _test files may import test/faultorigin and test/loopback"},
		{"test/faultorigin", "", "the scripted origin knows only the nouns, so that every package's tests can use it"},
		{"storage/disk", "storage/", "a drive never fetches; the fill alone decides the next source"},
		{"storage/origin", "storage/", "the origin stores nothing; the fill alone decides the next source"},
		{"storage/", "storage/", "the rooms of storage are siblings; the fill puts them together"},
		{"storage", "", "the nouns know nobody, so that everybody may know them"},
		{"ring", "", "placement is a pure function of the members"},
		{"proto", "", "contracts stand by themselves"},
		{"gateway", "peer", "the gateway knows a Source, not how bytes come to a node"},
		{"gateway", "cluster", "a client's request is answered without knowing the cluster"},
		{"gateway", "storage/disk", "the gateway delivers runs of a file; the fill makes them present"},
		{"peer", "gateway", "a fill does not know who asked for it"},
		{"peer", "cluster", "the fill knows a Placement (package ring), not how members are found"},
		{"cluster", "peer", "the cluster is not in the data path"},
		{"cluster", "gateway", "the cluster is not in the data path"},
		{"cluster/", "cluster", "parts of a room do not know the room; it knows them through interfaces"},
	} {
		if strings.HasPrefix(from, ban.from) && strings.HasPrefix(to, ban.to) {
			return ban.why
		}
	}
	return "imports point down only (ARCHITECTURE.md, the layers)"
}

// allowed reports whether the file f may import the package in folder to.
func allowed(f goFile, to string) bool {
	from := f.dir()
	if from == to || f.test && (strings.HasPrefix(to, "test/faultorigin") || to == "test/loopback") {
		return true
	}
	if strings.HasPrefix(from, "test/faultorigin") {
		return to == "storage" || strings.HasPrefix(to, "test/faultorigin")
	}
	own, placed := layer(from)
	other, known := layer(to)
	if !placed || !known || within(to, "test") && !within(from, "test") {
		return false
	}
	// A room may use what lies inside it; the command and the tests are each
	// one room.
	inside := strings.HasPrefix(to, from+"/") || own >= 5
	return other < own || other == own && inside
}

// badImports returns one line for each import against the layers.
func badImports(files []goFile) []string {
	var bad []string
	for _, f := range files {
		for _, imported := range f.imports {
			to, ours := strings.CutPrefix(imported, module)
			if ours && !allowed(f, to) {
				bad = append(bad, fmt.Sprintf("%s imports %s: %s", f.path, to, reason(f.dir(), to)))
			}
		}
	}
	return bad
}

// badContracts returns one line for each import of generated types outside the
// adapters, which translate them to plain ones.
func badContracts(files []goFile) []string {
	adapters := []string{"peer", "cluster", "cluster/gossip", "cluster/admin", "cluster/consensus", "cluster/state"}
	var bad []string
	for _, f := range files {
		for _, imported := range f.imports {
			if !strings.HasPrefix(imported, module+"proto/") || within(f.dir(), "proto") || slices.Contains(adapters, f.dir()) {
				continue
			}
			bad = append(bad, fmt.Sprintf("%s imports %s: generated types never leave the adapters (%s)",
				f.path, strings.TrimPrefix(imported, module), strings.Join(adapters, ", ")))
		}
	}
	return bad
}

// within reports whether dir is room or lies inside it.
func within(dir, room string) bool { return strings.HasPrefix(dir+"/", room+"/") }

func TestImportsPointDown(t *testing.T) {
	files := goFiles(t, repository(t))
	if len(files) == 0 {
		t.Fatal("no files found")
	}
	for _, bad := range append(badImports(files), badContracts(files)...) {
		t.Error(bad)
	}
	for _, f := range files {
		if _, ok := layer(f.dir()); !ok {
			t.Errorf("%s: its folder has no layer; add it to this test and to ARCHITECTURE.md", f.path)
		}
	}
}

func TestImportRuleFails(t *testing.T) {
	for _, c := range []struct {
		file, imports string
		bad           bool
	}{
		{"storage/ref.go", "ring", true},
		{"ring/view.go", "storage/disk", true},
		{"storage/disk/store.go", "storage", false},
		{"storage/disk/store.go", "storage/origin", true},
		{"storage/origin/fetch.go", "storage/httpcache", false},
		{"storage/disk/store_test.go", "test/faultorigin", false},
		{"storage/disk/store.go", "test/faultorigin", true},
		{"cluster/join_test.go", "test/loopback", false},
		{"cluster/join.go", "test/loopback", true},
		{"test/loopback/loopback.go", "storage", true},
		{"storage/disk/store_test.go", "test/process", true},
		{"gateway/serve.go", "peer", true},
		{"gateway/serve.go", "gateway/ops", false},
		{"gateway/ops/ops.go", "gateway", true},
		{"peer/fill.go", "cluster", true},
		{"peer/fill.go", "storage/disk", false},
		{"cluster/cluster.go", "cluster/gossip", false},
		{"cluster/admin/server.go", "cluster", true},
		{"cluster/gossip/gossip.go", "cluster", true},
		{"cmd/mccd/node/node.go", "gateway", false},
		{"cmd/mccd/node/node.go", "cmd/mccd/config", true},
		{"cmd/mccd/main.go", "cmd/mccd/node", false},
		{"cmd/mccd/main.go", "test/process", true},
		{"test/e2e/e2e_test.go", "test/process", false},
		{"test/faultorigin/server.go", "storage", false},
		{"test/faultorigin/server.go", "storage/disk", true},
		{"misc/x.go", "storage", true},
	} {
		files := goFiles(t, fstest.MapFS{c.file: sample(c.imports)})
		if got := badImports(files); (len(got) > 0) != c.bad {
			t.Errorf("%s importing %s: got %q, want a fault: %v", c.file, c.imports, got, c.bad)
		}
	}
}

func TestContractRuleFails(t *testing.T) {
	bad := fstest.MapFS{"gateway/serve.go": sample("proto/mccd/peer/v1"), "peer/wire.go": sample("proto/mccd/peer/v1")}
	got := badContracts(goFiles(t, bad))
	if len(got) != 1 || !strings.HasPrefix(got[0], "gateway/serve.go") {
		t.Errorf("got %q, want one fault in gateway/serve.go", got)
	}
}

func sample(imports string) *fstest.MapFile {
	return &fstest.MapFile{Data: []byte("package x\n\nimport _ \"" + module + imports + "\"\n")}
}
