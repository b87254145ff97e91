package testcluster_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mccd/mccd/cluster/state"
	"github.com/mccd/mccd/cmd/mccd/node"
	"github.com/mccd/mccd/test/loopback"
	"github.com/mccd/mccd/test/process"
	"github.com/mccd/mccd/test/testcluster"
)

const cacheName = "cache.example.com"

// newHTTPS returns three nodes that serve https as soon as they have a
// certificate, and an authority.
func newHTTPS(t *testing.T) (*testcluster.Cluster, *process.Authority) {
	t.Helper()
	authority, err := process.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	return testcluster.New(t, testcluster.Config{Edit: func(_ int, cfg *node.Config) { cfg.HTTPSListen = loopback.Any(t) }}), authority
}

// renew has a certificate made at one node and imported at another.
func renew(t *testing.T, c *testcluster.Cluster, a *process.Authority, kind string, end time.Time) state.TLSStatus {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	csr := request(ctx, t, c.Nodes[0], kind, cacheName, "*.example.com")
	chain, err := a.Sign(csr, end)
	if err != nil {
		t.Fatal(err)
	}
	var s state.TLSStatus
	err = testcluster.Steady(ctx, func() (err error) { s, err = c.Nodes[1].Cluster().ImportTLS(ctx, chain, nil); return err })
	if err != nil {
		t.Fatal(err)
	}
	// A node that stands still is silent for a moment, and serves it later.
	if err := process.Poll(ctx, func(ctx context.Context) error {
		if !slices.ContainsFunc(s.Nodes, func(n state.TLSNode) bool { return n.Silent || n.Served.Fingerprint != s.Certificate.Fingerprint }) {
			return nil
		}
		now, err := c.Nodes[1].Cluster().TLSStatus(ctx)
		if err == nil {
			s, err = now, errors.New("a node does not serve it yet")
		}
		return err
	}); err != nil {
		t.Fatalf("%v: %+v", err, s)
	}
	return s
}

// request has a key made at n, and returns the request for its certificate.
func request(ctx context.Context, t *testing.T, n *testcluster.Node, kind string, names ...string) (csr []byte) {
	t.Helper()
	if err := testcluster.Steady(ctx, func() (err error) {
		csr, err = n.Cluster().CreateTLSKey(ctx, state.TLSKeySpec{Names: names, Kind: kind})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return csr
}

// shake connects to a node, and returns what it serves.
func shake(t *testing.T, addr string, cfg *tls.Config) *tls.Conn {
	t.Helper()
	c, err := tls.Dial("tcp", addr, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// TestOneCertificateForAll: each kind of key, made at one node and imported at
// another, is served by all; connections that are there go on.
func TestOneCertificateForAll(t *testing.T) {
	c, a := newHTTPS(t)
	client := &tls.Config{RootCAs: a.Pool(), ServerName: cacheName}
	var before []*tls.Conn
	for _, kind := range []string{"rsa", "ec", "ed25519"} {
		s := renew(t, c, a, kind, time.Now().Add(90*24*time.Hour))
		if s.Certificate == nil || s.Requested != nil || len(s.Nodes) != 3 {
			t.Fatalf("%s: %+v", kind, s)
		}
		for i, n := range c.Nodes {
			conn := shake(t, n.HTTPSAddr(), client)
			state := conn.ConnectionState()
			if len(state.VerifiedChains) != 1 || len(state.VerifiedChains[0]) != 3 {
				t.Errorf("%s: n%d: chains %d", kind, i+1, len(state.VerifiedChains))
			}
			algorithm := map[string]x509.PublicKeyAlgorithm{"rsa": x509.RSA, "ec": x509.ECDSA, "ed25519": x509.Ed25519}[kind]
			if got := state.PeerCertificates[0].PublicKeyAlgorithm; got != algorithm {
				t.Errorf("%s: n%d serves %s", kind, i+1, got)
			}
			if s.Nodes[i].Silent || s.Nodes[i].Served.Fingerprint != s.Certificate.Fingerprint || s.Nodes[i].Served.Error != "" {
				t.Errorf("%s: %+v", kind, s.Nodes[i])
			}
			before = append(before, conn)
		}
	}
	for i, conn := range before {
		if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Errorf("connection %d: %v", i, err)
		}
		if n, err := conn.Read(make([]byte, 100)); n == 0 {
			t.Errorf("connection %d: %v", i, err)
		}
	}
	// A node that restarts, and one that joins, serve it too.
	c.Nodes[2].Stop()
	c.Nodes[2].Restart()
	shake(t, c.Nodes[2].HTTPSAddr(), client)
	fourth := c.Alone()
	c.Join(fourth)
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	if err := process.Poll(ctx, func(context.Context) error {
		if fourth.HTTPSAddr() == "" {
			return errors.New("it has no port yet")
		}
		conn, err := tls.Dial("tcp", fourth.HTTPSAddr(), client) // fails until it has the certificate
		if err != nil {
			return err
		}
		return conn.Close()
	}); err != nil {
		t.Fatal(err)
	}
	shake(t, fourth.HTTPSAddr(), client)
}

// TestSessionsGoOnAtOtherNodes: one begun at one node resumes at another.
func TestSessionsGoOnAtOtherNodes(t *testing.T) {
	c, a := newHTTPS(t)
	renew(t, c, a, "ec", time.Now().Add(90*24*time.Hour))
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		cfg := &tls.Config{RootCAs: a.Pool(), ServerName: cacheName, MaxVersion: version, ClientSessionCache: tls.NewLRUClientSessionCache(8)}
		for i, n := range c.Nodes {
			client := &http.Client{Transport: &http.Transport{TLSClientConfig: cfg, DisableKeepAlives: true}}
			resp, err := client.Get("https://" + n.HTTPSAddr() + "/")
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
			if resumed := resp.TLS.DidResume; resumed != (i > 0) {
				t.Errorf("version %x: n%d resumed: %v", version, i+1, resumed)
			}
		}
	}
}

// TestImportRefuses: with a text that says what to do, and what is served stays.
func TestImportRefuses(t *testing.T) {
	c, a := newHTTPS(t)
	served := renew(t, c, a, "ec", time.Now().Add(90*24*time.Hour)).Certificate.Fingerprint
	foreign, err := process.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	ctx := timeout(t)
	csr := request(ctx, t, c.Nodes[0], "ec", cacheName)
	good, _ := a.Sign(csr, time.Now().Add(time.Hour))
	expired, _ := a.Sign(csr, time.Now().Add(-time.Minute))
	other, key, _ := foreign.Issue(time.Now().Add(time.Hour), cacheName)
	_, otherKey, _ := foreign.Issue(time.Now().Add(time.Hour), cacheName)
	split := strings.SplitAfterN(string(good), "-----END CERTIFICATE-----\n", 2)
	otherSplit := strings.SplitAfterN(string(other), "-----END CERTIFICATE-----\n", 2)
	for name, bad := range map[string]struct {
		chain, key []byte
		says       string
	}{
		"nothing":         {[]byte("x"), nil, "BEGIN CERTIFICATE"},
		"expired":         {expired, nil, "expired on"},
		"another key":     {other, nil, "mccd tls csr"},
		"wrong key given": {other, otherKey, "not of this private key"},
		"no key":          {other, []byte("hello"), "private key"},
		"wrong order":     {[]byte(split[1] + split[0]), nil, "begin with the server's own"},
		"wrong signer":    {[]byte(split[0] + otherSplit[1]), nil, "is not signed by number 2"},
	} {
		err := testcluster.Steady(ctx, func() error {
			_, err := c.Nodes[2].Cluster().ImportTLS(ctx, bad.chain, bad.key)
			return err
		})
		if err == nil || !strings.Contains(err.Error(), bad.says) || strings.Contains(err.Error(), "PRIVATE KEY") {
			t.Errorf("%s: %v", name, err)
		}
	}
	s, err := c.Nodes[0].Cluster().TLSStatus(t.Context())
	if err != nil || s.Certificate.Fingerprint != served || s.Requested == nil {
		t.Errorf("%+v, %v", s, err)
	}
	err = testcluster.Steady(ctx, func() (err error) { s, err = c.Nodes[2].Cluster().ImportTLS(ctx, other, key); return err })
	if err != nil || s.Certificate.Fingerprint == served {
		t.Errorf("a key of one's own: %+v, %v", s, err)
	}
}

// TestCertificateOutlivesRotation: under another sealing key the certificate is
// served as before, also after a restart.
func TestCertificateOutlivesRotation(t *testing.T) {
	c, a := newHTTPS(t)
	want := renew(t, c, a, "ec", time.Now().Add(90*24*time.Hour)).Certificate.Fingerprint
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	if err := testcluster.Steady(ctx, func() error { return c.Nodes[1].Cluster().Rotate(ctx, "sealing") }); err != nil {
		t.Fatal(err)
	}
	c.Nodes[2].Stop()
	c.Nodes[2].Restart()
	if err := process.Poll(ctx, func(ctx context.Context) error {
		s, err := c.Nodes[0].Cluster().TLSStatus(ctx)
		if err != nil {
			return err
		}
		for _, n := range s.Nodes {
			if n.Silent || n.Served.Error != "" || n.Served.Fingerprint != want {
				return fmt.Errorf("%+v", n)
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for _, n := range c.Nodes {
		shake(t, n.HTTPSAddr(), &tls.Config{RootCAs: a.Pool(), ServerName: cacheName})
	}
	// What was sealed anew can be replaced.
	renew(t, c, a, "ec", time.Now().Add(100*24*time.Hour))
}
