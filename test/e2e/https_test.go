package e2e_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mccd/mccd/cluster/admin"
	"github.com/mccd/mccd/test/faultorigin"
	"github.com/mccd/mccd/test/process"
)

// cacheName is what clients call the nodes.
const cacheName = "cache.example.com"

// httpsBed is three nodes that serve one certificate of a test's authority, and
// an origin that speaks TLS.
type httpsBed struct {
	*bed
	authority *process.Authority
	root      string // its file
	cdn       *faultorigin.Server
}

// tlsHost is served by an origin under TLS.
const tlsHost = "tls.dl.delivery.mp.microsoft.com"

func newHTTPSBed(t *testing.T) *httpsBed {
	t.Helper()
	authority, err := process.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	root, err := authority.WriteRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	listener, err := process.ListenOrigin("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	origin, err := faultorigin.Listen(faultorigin.Config{Listener: listener, TLS: true, Names: []string{tlsHost}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(origin.Close)
	trusted := filepath.Join(t.TempDir(), "origin.pem")
	if err := os.WriteFile(trusted, origin.CertificatePEM(), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SSL_CERT_FILE", trusted) // of the nodes
	t.Setenv("SSL_CERT_DIR", t.TempDir())
	b := newBed(t, setting{nodes: 3, origins: []process.Origin{{
		Name: "test-tls", Hosts: []string{tlsHost}, Profile: "do", Connect: origin.Addr(), AllowPrivate: true,
	}}})
	return &httpsBed{bed: b, authority: authority, root: root, cdn: origin}
}

// certify has node i's command ask for a certificate and import it.
func (b *httpsBed) certify(i int, kind string, end time.Time) admin.TLSStatus {
	b.Helper()
	csr := b.command(0, b.Nodes[i], "tls", "csr", "--name", cacheName, "--key", kind)
	chain, err := b.authority.Sign([]byte(csr), end)
	if err != nil {
		b.Fatal(err)
	}
	file := filepath.Join(b.TempDir(), "chain.pem")
	if err := os.WriteFile(file, chain, 0o644); err != nil {
		b.Fatal(err)
	}
	var s admin.TLSStatus
	if err := json.Unmarshal([]byte(b.command(0, b.Nodes[i], "tls", "import", file, "-o", "json")), &s); err != nil {
		b.Fatal(err)
	}
	return s
}

// client asks nodes by the name of the certificate, each time by a new
// connection; resume has it keep sessions.
func (b *httpsBed) client(i int, resume bool) *http.Client {
	cfg := &tls.Config{RootCAs: b.authority.Pool()}
	if resume {
		cfg.ClientSessionCache = tls.NewLRUClientSessionCache(16)
	}
	var turn atomic.Int64
	return &http.Client{Transport: &http.Transport{
		TLSClientConfig: cfg, DisableKeepAlives: true, DisableCompression: true,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			n := b.Nodes[(i+int(turn.Add(1)))%len(b.Nodes)]
			return new(net.Dialer).DialContext(ctx, network, n.HTTPS)
		},
	}}
}

func (b *httpsBed) url(path string) string {
	return "https://" + cacheName + path + "?cacheHostOrigin=" + tlsHost
}

// TestHTTPS: one certificate for the name, verified at each node by the
// programs that people have; bytes come from the origin by https; a renewal
// under load fails nobody.
func TestHTTPS(t *testing.T) {
	b := newHTTPSBed(t)
	const path, size = "/filestreamingservice/files/tls", 3*mib + 17
	b.cdn.Add(faultorigin.Object{Path: path, Size: size})
	want := make([]byte, size)
	faultorigin.Fill(want, path, faultorigin.DefaultVersion, 0)
	s := b.certify(0, "rsa", time.Now().Add(60*24*time.Hour))
	if s.Certificate == nil || len(s.Nodes) != 3 {
		t.Fatalf("%+v", s)
	}
	for _, n := range s.Nodes {
		if n.Fingerprint != s.Certificate.Fingerprint || n.Error != "" || n.Source != "cluster" {
			t.Errorf("%+v", n)
		}
	}
	t.Run("curl", func(t *testing.T) {
		curl := program(t, "curl")
		for i, n := range b.Nodes {
			dir := t.TempDir()
			host, port, _ := net.SplitHostPort(n.HTTPS)
			url := strings.Replace(b.url(path), cacheName, cacheName+":"+port, 1)
			b.run(dir, curl, "-sS", "-f", "--cacert", b.root, "--resolve", cacheName+":"+port+":"+host, "-o", "got", url)
			same(t, filepath.Join(dir, "got"), want)
			if i == 0 && b.cdn.Ledger().Bytes(path) != size {
				t.Errorf("%d bytes came from the origin by https", b.cdn.Ledger().Bytes(path))
			}
		}
		if sent := b.cdn.Ledger().Bytes(path); sent != size {
			t.Errorf("the origin sent %d bytes for three nodes", sent)
		}
	})
	t.Run("openssl", func(t *testing.T) {
		openssl := program(t, "openssl")
		for _, n := range b.Nodes {
			cmd := exec.CommandContext(b.ctx, openssl, "s_client", "-connect", n.HTTPS, "-servername", cacheName,
				"-verify_hostname", cacheName, "-verify_return_error", "-CAfile", b.root, "-alpn", "h2,http/1.1")
			out, err := cmd.CombinedOutput()
			if err != nil || !bytes.Contains(out, []byte("Verify return code: 0 (ok)")) || !bytes.Contains(out, []byte("ALPN protocol: http/1.1")) {
				t.Errorf("%s: %v\n%s", n.Name, err, out)
			}
		}
	})
	t.Run("renewal", func(t *testing.T) { b.renewUnderLoad(t, path, want) })
	t.Run("secrets", b.noKeysInSight)
}

// renewUnderLoad renews four times, with every kind of key, while 20 clients
// download by new connections all the time.
func (b *httpsBed) renewUnderLoad(t *testing.T, path string, want []byte) {
	ctx, stop := context.WithCancel(b.ctx)
	defer stop()
	var done, resumed atomic.Int64
	var mu sync.Mutex
	var failed []error
	seen := map[string]bool{}
	var wg sync.WaitGroup
	for i := range 20 {
		client := b.client(i, i%2 == 0)
		wg.Go(func() {
			for ctx.Err() == nil {
				serial, did, err := download(b.ctx, client, b.url(path), want)
				mu.Lock()
				if err != nil {
					failed = append(failed, err)
				}
				seen[serial] = true
				mu.Unlock()
				done.Add(1)
				if did {
					resumed.Add(1)
				}
			}
		})
	}
	await := func(more int64) {
		from := done.Load()
		if err := process.Poll(b.ctx, func(context.Context) error {
			if n := done.Load() - from; n < more {
				return fmt.Errorf("%d downloads", n)
			}
			return nil
		}); err != nil {
			t.Error(err)
		}
	}
	for i, kind := range []string{"ec", "rsa", "ed25519", "ec"} {
		await(30)
		b.certify(i%3, kind, time.Now().Add(90*24*time.Hour))
	}
	await(30)
	stop()
	wg.Wait()
	t.Logf("%d downloads through 4 renewals, %d by resumed sessions, %d certificates seen, %d failed", done.Load(), resumed.Load(), len(seen), len(failed))
	if len(failed) > 0 {
		t.Errorf("the first: %v", failed[0])
	}
	if len(seen) < 5 || resumed.Load() == 0 {
		t.Error("too few certificates seen, or no session resumed")
	}
}

// download reads all of url, and returns what tells the certificate apart.
func download(ctx context.Context, client *http.Client, url string, want []byte) (serial string, resumed bool, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", false, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return "", false, err
	}
	defer func() { _ = resp.Body.Close() }()
	got, err := io.ReadAll(resp.Body)
	switch {
	case err != nil:
	case resp.StatusCode != http.StatusOK:
		err = errors.New(resp.Status)
	case !bytes.Equal(got, want):
		err = fmt.Errorf("%d bytes, not the %d right ones", len(got), len(want))
	}
	return resp.TLS.PeerCertificates[0].SerialNumber.String(), resp.TLS.DidResume, err
}

// noKeysInSight: no file of a node, nor a log, holds a private key in the clear
// but the node's own.
func (b *httpsBed) noKeysInSight(t *testing.T) {
	for _, n := range b.Nodes {
		err := filepath.WalkDir(n.Dir, func(path string, d os.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() || strings.HasPrefix(path, n.Drive) {
				return nil //nolint:nilerr // it has gone meanwhile
			}
			text, err := os.ReadFile(path)
			if err == nil && bytes.Contains(text, []byte("PRIVATE KEY")) && filepath.Base(path) != "node.key" {
				t.Errorf("%s holds a private key", path)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
}
