package node

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mccd/mccd/cluster"
	"github.com/mccd/mccd/cluster/servercert"
)

// fakeCertified is a cluster with a certificate, or without.
type fakeCertified struct {
	mark string
	pair *cluster.TLSKeyPair
	err  error
}

func (f *fakeCertified) TLSMark() string                          { return f.mark }
func (f *fakeCertified) TLSKeyPair() (*cluster.TLSKeyPair, error) { return f.pair, f.err }
func (f *fakeCertified) TicketKeys(now time.Time) [][32]byte {
	return [][32]byte{{byte(now.Unix() / 86400)}}
}

// pairUntil makes a certificate that ends then.
func pairUntil(t *testing.T, end time.Time) *cluster.TLSKeyPair {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"cache.example.com"}, NotBefore: end.Add(-90 * 24 * time.Hour), NotAfter: end,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &cluster.TLSKeyPair{Chain: servercert.Chain{leaf}, Key: key}
}

// httpsOf returns a keeper without a goroutine, and its log.
func httpsOf(t *testing.T, cfg Config, c certified, l *lateListener) (*https, *bytes.Buffer, *prometheus.Registry) {
	t.Helper()
	log, reg := &bytes.Buffer{}, prometheus.NewRegistry()
	if l != nil {
		t.Cleanup(func() { _ = l.Close() })
	}
	return newHTTPS(cfg, c, l, slog.New(slog.NewTextHandler(log, nil)), reg), log, reg
}

// TestHTTPSOfTheCluster: the port is taken before there is a certificate; a new
// one takes the place of the former, one that cannot be unsealed does not.
func TestHTTPSOfTheCluster(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	c := &fakeCertified{}
	l := newLateListener("127.0.0.1:0")
	h, log, reg := httpsOf(t, Config{}, c, l)
	h.look(now)
	if h.credentials.Load() != nil || !l.bound() || h.served.Load().Source != "" || len(h.warnings(now)) > 0 {
		t.Fatalf("without a certificate: %+v, %v", h.served.Load(), h.warnings(now))
	}
	c.mark, c.pair = "1", pairUntil(t, now.Add(40*24*time.Hour))
	h.look(now)
	first := h.credentials.Load()
	if s := h.served.Load(); first == nil || !l.bound() || s.Addr != l.Addr().String() || s.Source != "cluster" || s.Fingerprint != c.pair.Chain.Fingerprint() || s.Error != "" {
		t.Fatalf("%+v", h.served.Load())
	}
	h.look(now.Add(time.Hour))
	if h.credentials.Load() != first {
		t.Error("nothing changed, and connections do not share their configuration")
	}
	h.look(now.Add(25 * time.Hour))
	if next := h.credentials.Load(); next == first || next.TicketKeys[0] == first.TicketKeys[0] {
		t.Error("a day later sessions are sealed by the same key")
	}
	c.mark, c.err = "2", errors.New("unseal: sealed under another key")
	h.look(now)
	if s := h.served.Load(); s.Fingerprint != c.pair.Chain.Fingerprint() || !strings.Contains(s.Error, "sealed under another") || len(h.warnings(now)) != 1 {
		t.Errorf("%+v", s)
	}
	c.err, c.pair = nil, pairUntil(t, now.Add(50*24*time.Hour))
	h.look(now)
	if s := h.served.Load(); s.Error != "" || s.Fingerprint != c.pair.Chain.Fingerprint() {
		t.Errorf("%+v", s)
	}
	families, err := reg.Gather()
	if err != nil || len(families) != 1 || families[0].GetMetric()[0].GetGauge().GetValue() != float64(now.Add(50*24*time.Hour).Unix()) {
		t.Errorf("%v, %v", families, err)
	}
	if text := log.String(); strings.Count(text, "serves https with a certificate") != 2 || strings.Count(text, "sealed under another") != 1 {
		t.Error(text)
	}
}

// TestHTTPSWarns of the end at 30 and 7 days, once each, and goes on after it.
func TestHTTPSWarns(t *testing.T) {
	end := time.Unix(1_800_000_000, 0)
	h, log, _ := httpsOf(t, Config{}, &fakeCertified{mark: "1", pair: pairUntil(t, end)}, nil)
	for _, at := range []struct {
		days, lines, warnings int
		says                  string
	}{{31, 0, 0, ""}, {29, 1, 1, "level=WARN"}, {28, 1, 1, ""}, {6, 2, 1, "level=ERROR"}, {1, 2, 1, ""}, {-1, 3, 1, "has expired"}} {
		now := end.Add(-time.Duration(at.days) * 24 * time.Hour)
		h.look(now)
		h.look(now)
		if n := strings.Count(log.String(), "the certificate for https comes"); n != at.lines || !strings.Contains(log.String(), at.says) {
			t.Errorf("%d days before: %d lines\n%s", at.days, n, log)
		}
		if w := h.warnings(now); len(w) != at.warnings {
			t.Errorf("%d days before: %q", at.days, w)
		}
	}
	if h.credentials.Load() == nil {
		t.Error("it is not served any more")
	}
}

// TestHTTPSOfFiles: they are read again when they change; a pair that does not
// match leaves in place what was there.
func TestHTTPSOfFiles(t *testing.T) {
	now := time.Now()
	dir := t.TempDir()
	cfg := Config{TLSCertFile: filepath.Join(dir, "cert.pem"), TLSKeyFile: filepath.Join(dir, "key.pem")}
	h, log, _ := httpsOf(t, cfg, &fakeCertified{mark: "1", pair: pairUntil(t, now.Add(time.Hour))}, nil)
	look := func() {
		now = now.Add(filesInterval)
		h.look(now)
	}
	write := func(p *cluster.TLSKeyPair, cert, key bool) {
		text, err := servercert.MarshalKey(p.Key)
		if err == nil && key {
			err = os.WriteFile(cfg.TLSKeyFile, text, 0o600)
		}
		if err == nil && cert {
			err = os.WriteFile(cfg.TLSCertFile, p.Chain.PEM(), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	look()
	if h.credentials.Load() != nil || !strings.Contains(h.served.Load().Error, "cert.pem") {
		t.Fatalf("without files: %+v", h.served.Load())
	}
	one, two := pairUntil(t, now.Add(40*24*time.Hour)), pairUntil(t, now.Add(50*24*time.Hour))
	write(one, true, true)
	look()
	if s := h.served.Load(); s.Source != "files" || s.Fingerprint != one.Chain.Fingerprint() || s.Error != "" {
		t.Fatalf("%+v", s)
	}
	write(two, true, false)
	look()
	look()
	if s := h.served.Load(); s.Fingerprint != one.Chain.Fingerprint() || !strings.Contains(s.Error, "not of this private key") {
		t.Errorf("half of a renewal: %+v", s)
	}
	write(two, false, true)
	look()
	if s := h.served.Load(); s.Fingerprint != two.Chain.Fingerprint() || s.Error != "" {
		t.Errorf("%+v", s)
	}
	if text := log.String(); strings.Contains(text, "PRIVATE") || strings.Count(text, "not of this private key") != 1 || strings.Contains(text, "other users") {
		t.Error(text)
	}
	if runtime.GOOS == "windows" {
		return // the mode tells nothing there
	}
	if err := os.Chmod(cfg.TLSKeyFile, 0o640); err != nil {
		t.Fatal(err)
	}
	write(pairUntil(t, now.Add(60*24*time.Hour)), true, true)
	look()
	look()
	if text := log.String(); strings.Count(text, "may be read by other users: run chmod 600") != 1 {
		t.Error(text)
	}
}

// TestLateListener: who waits at it gets the connection that comes once it is
// bound; a port that is taken is said, and tried again.
func TestLateListener(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := newLateListener(taken.Addr().String())
	accepted := make(chan error, 2)
	go func() {
		for range 2 {
			c, err := l.Accept()
			if err == nil {
				_ = c.Close()
			}
			accepted <- err
		}
	}()
	now := time.Now()
	if err := l.bind(now); err == nil || l.bound() || l.Addr().String() != taken.Addr().String() {
		t.Fatalf("bound to a port that is taken: %v", err)
	}
	_ = taken.Close()
	if err := l.bind(now.Add(time.Second)); err == nil {
		t.Error("it does not wait before it tries again")
	}
	if err := l.bind(now.Add(bindAgain)); err != nil || !l.bound() {
		t.Fatal(err)
	}
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
	if err := <-accepted; err != nil {
		t.Error(err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if err := <-accepted; !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
	if err := l.bind(now.Add(time.Hour)); err != nil || l.bound() {
		t.Error("bound after its end")
	}
	early := newLateListener("127.0.0.1:0")
	_ = early.Close()
	if _, err := early.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
}
