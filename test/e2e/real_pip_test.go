package e2e_test

import (
	"archive/zip"
	"bytes"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/mccd/mccd/test/faultorigin"
)

// pypiHost is the virtual host of a Python package index.
const pypiHost = "pypi.example"

// wheel makes a Python package without code.
func wheel(t *testing.T, name, version string) []byte {
	t.Helper()
	var packed bytes.Buffer
	z := zip.NewWriter(&packed)
	info := name + "-" + version + ".dist-info/"
	for _, f := range [][2]string{
		{name + ".py", "VERSION = '" + version + "'\n"},
		{info + "METADATA", "Metadata-Version: 2.1\nName: " + name + "\nVersion: " + version + "\n"},
		{info + "WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"},
		{info + "RECORD", name + ".py,,\n" + info + "METADATA,,\n" + info + "WHEEL,,\n" + info + "RECORD,,\n"},
	} {
		w, err := z.Create(f[0])
		if err != nil {
			t.Fatal(err)
		}
		_, _ = w.Write([]byte(f[1]))
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return packed.Bytes()
}

// TestRealPip: pip downloads from an index with relative links through each
// node; what has not changed costs the origin no byte, and a new version is seen
// at once, as pip asks for its index with max-age=0.
func TestRealPip(t *testing.T) {
	python := program(t, "python3")
	if err := exec.Command(python, "-m", "pip", "--version").Run(); err != nil {
		t.Skip("pip is not installed (Debian: apt-get install python3-pip)")
	}
	dir := t.TempDir()
	publish := func(versions ...string) {
		t.Helper()
		page := ""
		for _, version := range versions {
			file, content := "mccdtest-"+version+"-py3-none-any.whl", wheel(t, "mccdtest", version)
			page += fmt.Sprintf("<a href=\"../../packages/%s#sha256=%s\">%s</a>\n", file, digest(content), file)
			for name, text := range map[string][]byte{"packages/" + file: content, "simple/mccdtest/index.html": []byte(page)} {
				name = filepath.Join(dir, name)
				if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(name, text, 0o644); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	publish("1.0")
	b := newBed(t, setting{nodes: 3, dir: dir, vhosts: []map[string]any{{"name": "pypi", "hosts": []string{pypiHost}, "immutable_prefixes": []string{"/packages/"}}}})
	b.origin.Script("/simple/mccdtest/index.html", faultorigin.Behaviour{Header: http.Header{"Content-Type": {"text/html"}, "Cache-Control": {"max-age=600"}}})
	get := func(i int, version string) {
		t.Helper()
		c := b.at(t, i)
		// The page's own name, since the origin here has no names for folders.
		c.do(python, "-m", "pip", "--isolated", "--disable-pip-version-check", "download", "-q", "--no-cache-dir", "--no-deps", "--no-index",
			"--find-links", "http://"+pypiHost+"/simple/mccdtest/index.html", "--trusted-host", pypiHost, "--proxy", "http://"+c.node.Addr, "mccdtest")
		same(t, c.file("mccdtest-"+version+"-py3-none-any.whl"), wheel(t, "mccdtest", version))
	}
	get(0, "1.0")
	b.free("at another node", func() { get(1, "1.0") })
	publish("1.0", "1.1")
	get(2, "1.1")
	b.free("a new version", func() { get(0, "1.1") })
}
