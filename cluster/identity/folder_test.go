package identity

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

func testIdentity(t testing.TB, ca CA) Identity {
	t.Helper()
	key := testKey(t)
	der, err := ca.Sign(key.Public(), testCluster, testNode, testNow(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return Identity{ClusterID: testCluster, NodeID: testNode, Key: key, Cert: der, CAs: [][]byte{ca.Cert.Raw}, Sealing: testSealing(t)}
}

func saved(t *testing.T) (*Folder, Identity) {
	t.Helper()
	f, err := OpenFolder(filepath.Join(t.TempDir(), "cluster"))
	if err != nil {
		t.Fatal(err)
	}
	id := testIdentity(t, testCA(t))
	if err := f.Save(id); err != nil {
		t.Fatal(err)
	}
	return f, id
}

func same(a, b Identity) bool {
	return a.ClusterID == b.ClusterID && a.NodeID == b.NodeID && a.Key.Digest() == b.Key.Digest() &&
		slices.Equal(a.Cert, b.Cert) && slices.EqualFunc(a.CAs, b.CAs, slices.Equal) && a.Sealing == b.Sealing
}

func TestFolderKeepsAnIdentity(t *testing.T) {
	f, id := saved(t)
	got, err := f.Load()
	if err != nil || !same(got, id) {
		t.Fatalf("%v, %v", got, err)
	}
	entries, err := os.ReadDir(f.Dir())
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
		if info, err := e.Info(); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", e.Name(), info.Mode())
		}
	}
	if want := []string{"node.crt", "node.key", "sealing.key", "trust.pem"}; !slices.Equal(names, want) {
		t.Errorf("files %v, want %v", names, want)
	}
	// Another identity takes its place as a whole.
	next := testIdentity(t, testCA(t))
	if err := f.Save(next); err != nil {
		t.Fatal(err)
	}
	if got, err := f.Load(); err != nil || !same(got, next) {
		t.Errorf("%v, %v", got, err)
	}
}

func TestFolderParts(t *testing.T) {
	f, id := saved(t)
	ca2 := testCA(t)
	cert, err := ca2.Sign(id.Key.Public(), testCluster, testNode, testNow(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	id.Cert, id.CAs = cert, [][]byte{ca2.Cert.Raw, id.CAs[0]}
	if err := errors.Join(f.SaveTrust(id.CAs), f.SaveCert(cert)); err != nil {
		t.Fatal(err)
	}
	if got, err := f.Load(); err != nil || !same(got, id) {
		t.Fatalf("renewed: %v, %v", got, err)
	}
	if _, ok, err := f.Staged(); ok || err != nil {
		t.Fatalf("staged: %v, %v", ok, err)
	}
	if _, err := f.Promote(); err == nil {
		t.Error("nothing was promoted")
	}
	next := testSealing(t)
	if err := f.Stage(next); err != nil {
		t.Fatal(err)
	}
	if got, ok, err := f.Staged(); !ok || err != nil || got != next {
		t.Fatalf("staged: %v, %v", ok, err)
	}
	if got, err := f.Load(); err != nil || got.Sealing != id.Sealing {
		t.Fatalf("a staged key counts already: %v", err)
	}
	if got, err := f.Promote(); err != nil || got != next {
		t.Fatalf("promoted: %v", err)
	}
	if got, err := f.Load(); err != nil || got.Sealing != next {
		t.Fatalf("promoted: %v", err)
	}
}

func TestFolderSaysWhatIsWrong(t *testing.T) {
	for _, c := range []struct {
		name string
		harm func(dir string) error
		file string
		want error
	}{
		{"a missing certificate", func(d string) error { return os.Remove(filepath.Join(d, certFile)) }, certFile, fs.ErrNotExist},
		{"a missing key", func(d string) error { return os.Remove(filepath.Join(d, keyFile)) }, keyFile, fs.ErrNotExist},
		{"a missing sealing key", func(d string) error { return os.Remove(filepath.Join(d, sealingFile)) }, sealingFile, fs.ErrNotExist},
		{"missing authorities", func(d string) error { return os.Remove(filepath.Join(d, trustFile)) }, trustFile, fs.ErrNotExist},
		{"an empty key", func(d string) error { return os.WriteFile(filepath.Join(d, keyFile), nil, 0o600) }, keyFile, nil},
		{"rubbish", func(d string) error { return os.WriteFile(filepath.Join(d, certFile), []byte("rubbish"), 0o600) }, certFile, nil},
		{"swapped files", func(d string) error {
			return os.Rename(filepath.Join(d, trustFile), filepath.Join(d, keyFile))
		}, keyFile, nil},
		{"authorities for a certificate", func(d string) error {
			return os.Rename(filepath.Join(d, trustFile), filepath.Join(d, certFile))
		}, certFile, ErrNotNode},
		{"a huge file", func(d string) error { return os.WriteFile(filepath.Join(d, trustFile), make([]byte, maxFile+1), 0o600) }, trustFile, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, _ := saved(t)
			if err := c.harm(f.Dir()); err != nil {
				t.Fatal(err)
			}
			_, err := f.Load()
			if err == nil || c.want != nil && !errors.Is(err, c.want) || errors.Is(err, ErrNoIdentity) {
				t.Fatalf("%v, want %v", err, c.want)
			}
			for _, part := range []string{c.file, f.Dir(), "join again"} {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%q does not say %q", err, part)
				}
			}
		})
	}
	empty, err := OpenFolder(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := empty.Load(); !errors.Is(err, ErrNoIdentity) {
		t.Errorf("an empty folder: %v", err)
	}
	if err := empty.Save(Identity{}); err == nil {
		t.Error("nothing was saved as an identity")
	}
	if _, err := empty.Load(); !errors.Is(err, ErrNoIdentity) {
		t.Errorf("after a refused save: %v", err)
	}
}

func TestFolderRefusesOpenFiles(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("modes do not show access here")
	}
	for _, name := range []string{keyFile, certFile, trustFile, sealingFile} {
		f, _ := saved(t)
		path := filepath.Join(f.Dir(), name)
		if err := os.Chmod(path, 0o640); err != nil {
			t.Fatal(err)
		}
		if _, err := f.Load(); !errors.Is(err, ErrOpenToOthers) || !strings.Contains(err.Error(), "chmod 600 "+path) {
			t.Errorf("%s: %v", name, err)
		}
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenFolder(dir); !errors.Is(err, ErrOpenToOthers) || !strings.Contains(err.Error(), "chmod 700") {
		t.Errorf("a folder open to all: %v", err)
	}
}

// A crash at any step of Save leaves the former identity or the new one.
func TestFolderSurvivesACrashInSave(t *testing.T) {
	ca := testCA(t)
	former, next := testIdentity(t, ca), testIdentity(t, ca)
	next.Sealing = former.Sealing
	whole, err := OpenFolder(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := whole.Save(next); err != nil {
		t.Fatal(err)
	}
	steps := []struct{ from, to string }{{sealingFile, sealingFile}, {trustFile, trustFile}, {keyFile, nextKeyFile}, {certFile, certFile}}
	for n := range len(steps) + 1 {
		f, err := OpenFolder(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Save(former); err != nil {
			t.Fatal(err)
		}
		for _, s := range steps[:n] {
			b, err := os.ReadFile(filepath.Join(whole.Dir(), s.from))
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(f.Dir(), s.to), b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want := former
		if n == len(steps) {
			want = next
		}
		for range 2 { // what Load mends stays mended
			if got, err := f.Load(); err != nil || !same(got, want) {
				t.Errorf("after %d steps: %v, %v", n, got, err)
			}
		}
		// The next Save ends well whatever lies there.
		if err := f.Save(next); err != nil {
			t.Errorf("after %d steps: %v", n, err)
		}
		if got, err := f.Load(); err != nil || !same(got, next) {
			t.Errorf("saved after %d steps: %v, %v", n, got, err)
		}
		if _, err := os.Stat(filepath.Join(f.Dir(), nextKeyFile)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("after %d steps a key is left over: %v", n, err)
		}
	}
}

func TestTLSCertificateShowsItsAuthority(t *testing.T) {
	ca := testCA(t)
	id := testIdentity(t, ca)
	id.CAs = [][]byte{testCA(t).Cert.Raw, ca.Cert.Raw}
	shown := id.TLSCertificate()
	if len(shown.Certificate) != 2 || !slices.Equal(shown.Certificate[1], ca.Cert.Raw) || shown.Leaf == nil {
		t.Errorf("%d certificates", len(shown.Certificate))
	}
	if got := (Identity{}).TLSCertificate(); got.PrivateKey != nil || got.Certificate != nil {
		t.Error("nothing shows something")
	}
}

// Whoever asks for a certificate asks with the same key after a crash, and the
// identity in use stays until the new one is saved.
func TestPendingKey(t *testing.T) {
	f, id := saved(t)
	key, err := f.PendingKey()
	if err != nil || key.Digest() == id.Key.Digest() {
		t.Fatalf("%v, %v", key, err)
	}
	if got, err := f.Load(); err != nil || !same(got, id) {
		t.Fatalf("while a key is pending: %v, %v", got, err)
	}
	again, err := f.PendingKey()
	if err != nil || again.Digest() != key.Digest() {
		t.Fatalf("%v, %v", again, err)
	}
	ca := testCA(t)
	id.Key, id.CAs = key, [][]byte{ca.Cert.Raw}
	if id.Cert, err = ca.Sign(key.Public(), testCluster, testNode, testNow(), time.Hour); err != nil {
		t.Fatal(err)
	}
	if err := f.Save(id); err != nil {
		t.Fatal(err)
	}
	if got, err := f.Load(); err != nil || !same(got, id) {
		t.Fatalf("%v, %v", got, err)
	}
	if next, err := f.PendingKey(); err != nil || next.Digest() == key.Digest() {
		t.Errorf("a key that is in use is pending: %v", err)
	}
}
