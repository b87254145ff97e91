package e2e_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha1"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path"
	"strings"
	"sync"
	"testing"
	"time"
)

// npmHost is the virtual host of an npm registry.
const npmHost = "npm.example"

// registry is a small npm registry. It tells what it has sent.
type registry struct {
	base     string     // the URL by which clients find it
	mu       sync.Mutex // guards what follows
	packages map[string]map[string][]byte
	depends  map[string]map[string]string
	sent     map[string]int64 // bytes of bodies, by path
}

// newRegistry returns one with a package that depends on another.
func newRegistry(t *testing.T, base string) *registry {
	t.Helper()
	r := &registry{base: base, packages: map[string]map[string][]byte{}, depends: map[string]map[string]string{}, sent: map[string]int64{}}
	r.publish(t, "mccd-new", "1.0.0", 3*mib, nil)
	r.publish(t, "mccd-app", "1.0.0", 1000, map[string]string{"mccd-new": "^1.0.0"})
	return r
}

// publish adds a version of a package with size bytes that do not compress.
func (r *registry) publish(t *testing.T, name, version string, size int, depends map[string]string) {
	t.Helper()
	manifest, err := json.Marshal(map[string]any{"name": name, "version": version, "dependencies": depends})
	if err != nil {
		t.Fatal(err)
	}
	content := make([]byte, size)
	seed := rand.New(rand.NewPCG(uint64(size), 7))
	for i := range content {
		content[i] = byte(seed.Uint32())
	}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	w := tar.NewWriter(z)
	for _, f := range []struct {
		name string
		text []byte
	}{{"package/package.json", manifest}, {"package/content", content}} {
		if err := w.WriteHeader(&tar.Header{Name: f.name, Mode: 0o644, Size: int64(len(f.text)), ModTime: time.Unix(499162500, 0)}); err != nil {
			t.Fatal(err)
		}
		_, _ = w.Write(f.text)
	}
	_, _ = w.Close(), z.Close()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.packages[name] == nil {
		r.packages[name] = map[string][]byte{}
	}
	r.packages[name][version], r.depends[name] = packed.Bytes(), depends
}

// packument is the document that names all versions of a package.
func (r *registry) packument(name string) []byte {
	versions, latest := map[string]any{}, ""
	for version, tarball := range r.packages[name] {
		integrity, sum := sha512.Sum512(tarball), sha1.Sum(tarball)
		versions[version] = map[string]any{"name": name, "version": version, "dependencies": r.depends[name], "dist": map[string]string{
			"tarball":   fmt.Sprintf("%s/%s/-/%s-%s.tgz", r.base, name, name, version),
			"integrity": "sha512-" + base64.StdEncoding.EncodeToString(integrity[:]),
			"shasum":    hex.EncodeToString(sum[:]),
		}}
		latest = max(latest, version)
	}
	doc, _ := json.Marshal(map[string]any{"name": name, "dist-tags": map[string]string{"latest": latest}, "versions": versions})
	return doc
}

// ServeHTTP answers as registries do: documents in gzip where they may be, each
// with its validators.
func (r *registry) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	name, file, isTarball := strings.Cut(strings.TrimPrefix(req.URL.Path, "/"), "/-/")
	var body []byte
	h := w.Header()
	if isTarball {
		version := strings.TrimSuffix(strings.TrimPrefix(path.Base(file), name+"-"), ".tgz")
		body = r.packages[name][version]
		h.Set("Content-Type", "application/octet-stream")
		h.Set("Cache-Control", "public, immutable, max-age=31557600")
	} else if r.packages[name] != nil {
		body = r.packument(name)
		h.Set("Content-Type", "application/json")
		h.Set("Vary", "Accept-Encoding")
		h.Set("Cache-Control", "public, max-age=300")
		if strings.HasSuffix(name, "-new") {
			h.Set("Cache-Control", "no-cache")
		}
		if strings.Contains(req.Header.Get("Accept-Encoding"), "gzip") {
			var packed bytes.Buffer
			z := gzip.NewWriter(&packed)
			_, _ = z.Write(body)
			_ = z.Close()
			body = packed.Bytes()
			h.Set("Content-Encoding", "gzip")
		}
	}
	if body == nil {
		http.Error(w, `{"error":"not found"}`, http.StatusNotFound)
		return
	}
	h.Set("ETag", `"`+digest(body)[:20]+`"`)
	http.ServeContent(&counted{w, func(n int) { r.sent[req.URL.Path] += int64(n) }}, req, "", time.Time{}, bytes.NewReader(body))
}

// counted tells of each byte of a body.
type counted struct {
	http.ResponseWriter
	add func(n int)
}

func (c *counted) Write(b []byte) (int, error) {
	n, err := c.ResponseWriter.Write(b)
	c.add(n)
	return n, err
}

// total returns what was sent so far, by path.
func (r *registry) total() map[string]int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := map[string]int64{}
	for name, n := range r.sent {
		out[name] = n
	}
	return out
}

// nothingSince fails the test if the registry has sent a byte since before.
func (r *registry) nothingSince(t *testing.T, what string, before map[string]int64) {
	t.Helper()
	for name, n := range r.total() {
		if n != before[name] {
			t.Errorf("%s: the registry sent %d bytes of %s again", what, n-before[name], name)
		}
	}
}

// installs lets npm install mccd-app, with an empty cache of its own.
func (c *client) installs(version string, options ...string) {
	c.Helper()
	npm, err := exec.LookPath("npm")
	if err != nil {
		c.Skip("npm is not installed, nor does make deps-test do that: Debian's has 400 packages; apt-get install npm, or Node.js's own, brings it")
	}
	c.put("package.json", []byte(`{"name":"client","version":"1.0.0"}`))
	c.do(append([]string{npm, "install", "mccd-app", "--cache", c.file("cache"), "--userconfig", c.file("npmrc"), "--globalconfig", c.file("global"),
		"--no-audit", "--no-fund", "--no-update-notifier", "--ignore-scripts", "--fetch-retries=0"}, options...)...)
	for name, want := range map[string]string{"mccd-app": "1.0.0", "mccd-new": version} {
		text, err := os.ReadFile(c.file("node_modules/" + name + "/package.json"))
		if err != nil || !strings.Contains(string(text), `"version":"`+want+`"`) {
			c.Errorf("at %s npm installed, not %s %s: %s %v", c.node.Name, name, want, text, err)
		}
		if _, err := os.Stat(c.file("node_modules/" + name + "/content")); err != nil {
			c.Error(err)
		}
	}
}

// TestRealNpm: npm installs from a registry through each node with an empty
// cache of its own; all but the first get everything without a byte of the
// registry's, and a new version is seen at once where the registry says so.
func TestRealNpm(t *testing.T) {
	r := newRegistry(t, "http://"+npmHost)
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	b := newBed(t, setting{nodes: 3, vhosts: []map[string]any{{
		"name": "npm", "hosts": []string{npmHost}, "connect": strings.TrimPrefix(server.URL, "http://"),
	}}})
	install := func(i int, version string) {
		t.Helper()
		c := b.at(t, i)
		c.installs(version, "--registry", r.base, "--proxy", "http://"+c.node.Addr)
	}
	again := func(what string, i int, version string) {
		t.Helper()
		before := r.total()
		install(i, version)
		r.nothingSince(t, what, before)
	}
	install(0, "1.0.0")
	again("second run at the same node", 0, "1.0.0")
	again("second run at another node", 1, "1.0.0")
	r.publish(t, "mccd-new", "1.1.0", 2*mib, nil)
	install(2, "1.1.0")
	again("after a new version", 1, "1.1.0")
}
