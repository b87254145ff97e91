package e2e_test

import (
	"bytes"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/mccd/mccd/test/faultorigin"
)

// program returns the path of a client program that Debian packages.
func program(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not installed", name)
	}
	return path
}

// run runs a client program in dir; it must succeed.
func (b *bed) run(dir string, argv ...string) {
	b.Helper()
	cmd := exec.CommandContext(b.ctx, argv[0], argv[1:]...)
	cmd.Dir = dir
	// Neither a proxy nor a user's own settings.
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "LC_ALL=C"}
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("%v: %v\n%s", argv, err, out)
	}
}

func same(t *testing.T, file string, want []byte) {
	t.Helper()
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s: %d bytes, not the %d right ones", filepath.Base(file), len(got), len(want))
	}
}

// TestClientPrograms: programs that people have get the right bytes from a
// cold node.
func TestClientPrograms(t *testing.T) {
	// The official health test of a cache (docs/clients.md section 1).
	const path, size = "/mscomtest/wuidt.gif", 969710
	const bigPath, bigSize = "/filestreamingservice/files/big", 40*mib + 17
	start := func(t *testing.T) (*bed, string, string) {
		b := newBed(t, setting{})
		b.origin.Add(
			faultorigin.Object{Path: path, Size: size, Header: http.Header{"Content-Type": {"image/gif"}}},
			faultorigin.Object{Path: bigPath, Size: bigSize})
		return b, b.Nodes[0].URL(path, cdn), b.Nodes[0].URL(bigPath, cdn)
	}
	gif, big := make([]byte, size), make([]byte, bigSize)
	faultorigin.Fill(gif, path, faultorigin.DefaultVersion, 0)
	faultorigin.Fill(big, bigPath, faultorigin.DefaultVersion, 0)

	t.Run("wget", func(t *testing.T) {
		wget := program(t, "wget")
		b, small, _ := start(t)
		dir := t.TempDir()
		b.run(dir, wget, "-q", "-O", "wuidt.gif", small)
		same(t, filepath.Join(dir, "wuidt.gif"), gif)
	})
	t.Run("curl -r", func(t *testing.T) {
		curl := program(t, "curl")
		b, small, _ := start(t)
		dir := t.TempDir()
		for span, want := range map[string][]byte{
			"0-1": gif[:2], "100-65700": gif[100:65701], "900000-": gif[900000:], "-1000": gif[size-1000:],
		} {
			b.run(dir, curl, "-sS", "-f", "-r", span, "-o", "part", small)
			same(t, filepath.Join(dir, "part"), want)
		}
	})
	t.Run("curl -C -", func(t *testing.T) {
		curl := program(t, "curl")
		b, _, large := start(t)
		dir := t.TempDir()
		const had = 11*mib + 5
		if err := os.WriteFile(filepath.Join(dir, "big"), big[:had], 0o600); err != nil {
			t.Fatal(err)
		}
		b.run(dir, curl, "-sS", "-f", "-C", "-", "-o", "big", large)
		same(t, filepath.Join(dir, "big"), big)
		// What was not asked for is fetched at most up to the piece's begin.
		if sent := b.origin.Ledger().Bytes(bigPath); sent > bigSize-had+mib {
			t.Errorf("the origin sent %d bytes for a resume of %d", sent, bigSize-had)
		}
	})
	t.Run("aria2c", func(t *testing.T) {
		aria := program(t, "aria2c")
		b, _, large := start(t)
		dir := t.TempDir()
		b.run(dir, aria, "-q", "--no-conf", "-x8", "-s8", "-k1M", "--file-allocation=none", "-o", "big", large)
		same(t, filepath.Join(dir, "big"), big)
		if m := b.origin.Ledger().MaxTimes(bigPath); m != 1 {
			t.Errorf("a byte was fetched %d times", m)
		}
	})
}
