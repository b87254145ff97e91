package wire

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"log/slog"
	"math/big"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// authority signs the certificates of one test cluster.
type authority struct {
	cert *x509.Certificate
	key  ed25519.PrivateKey
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	pub, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test cluster"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	return &authority{cert: parsed(t, template, template, pub, key), key: key}
}

// shown is a certificate for the node, valid from and to the moments.
func (a *authority) shown(t testing.TB, node string, from, to time.Time) *tls.Certificate {
	t.Helper()
	pub, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	leaf := parsed(t, &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: node}, NotBefore: from, NotAfter: to, BasicConstraintsValid: true,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}, a.cert, pub, a.key)
	return &tls.Certificate{Certificate: [][]byte{leaf.Raw, a.cert.Raw}, PrivateKey: key, Leaf: leaf}
}

func parsed(t testing.TB, template, parent *x509.Certificate, pub, key any) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, pub, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// policy is a Policy whose answers a test changes.
type policy struct {
	mu      sync.Mutex
	trusted *authority
	cert    *tls.Certificate
	roles   map[string]Role // other than RoleNode
	// before is called by Identify, without the lock.
	before func()
}

func (p *policy) Certificate() *tls.Certificate {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cert
}

func (p *policy) show(cert *tls.Certificate) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cert = cert
}

func (p *policy) trust(a *authority) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.trusted = a
}

func (p *policy) set(node string, role Role) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.roles[node] = role
}

func (p *policy) Identify(certs []*x509.Certificate) (Peer, error) {
	p.mu.Lock()
	before, trusted := p.before, p.trusted
	p.mu.Unlock()
	if before != nil {
		before()
	}
	if len(certs) == 0 {
		return Peer{}, nil
	}
	if err := certs[0].CheckSignatureFrom(trusted.cert); err != nil {
		return Peer{}, errors.New("of a foreign authority")
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	peer := Peer{NodeID: certs[0].Subject.CommonName, Role: RoleNode}
	if time.Now().After(certs[0].NotAfter) {
		peer.Role = RoleExpired
	}
	if role, ok := p.roles[peer.NodeID]; ok {
		peer.Role = role
	}
	return peer, nil
}

// node is a Port under test.
type node struct {
	*Port
	policy *policy
	reg    *prometheus.Registry
	log    *logBuffer
	stop   func()
}

// start runs a port whose node has the id and a certificate of the authority.
func start(t testing.TB, a *authority, id string, edit ...func(*Config)) *node {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n := &node{
		policy: &policy{trusted: a, roles: make(map[string]Role), cert: a.shown(t, id, time.Now().Add(-time.Hour), time.Now().Add(time.Hour))},
		reg:    prometheus.NewRegistry(), log: new(logBuffer),
	}
	cfg := Config{Listener: l, Policy: n.policy, Logger: slog.New(slog.NewTextHandler(n.log, nil)), Registerer: n.reg}
	for _, f := range edit {
		f(&cfg)
	}
	if n.Port, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx) }()
	n.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
		_ = n.Close()
	})
	t.Cleanup(n.stop)
	return n
}

func (n *node) addr() string { return n.Addr().String() }

// refused waits until the port has turned somebody away for the reason, as
// often as wanted.
func (n *node) refused(t testing.TB, reason string, want float64) {
	t.Helper()
	await(t, func() bool { return testutil.ToFloat64(n.metrics.refused.WithLabelValues(reason)) >= want },
		"nobody was refused for "+reason)
}

// await polls a condition that some goroutine brings about.
func await(t testing.TB, ok func() bool, otherwise string) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for tick := time.NewTicker(2 * time.Millisecond); !ok(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatal(otherwise)
		}
	}
}

func within(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// logBuffer keeps a log for several goroutines.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// echo serves gRPC's listener by sending back what comes.
func echo(t testing.TB, n *node) {
	t.Helper()
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := n.GRPC().Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				buf := make([]byte, 300<<10)
				for {
					k, err := c.Read(buf)
					if err != nil {
						return
					}
					if _, err := c.Write(buf[:k]); err != nil {
						return
					}
				}
			})
		}
	})
	t.Cleanup(func() {
		n.stop()
		wg.Wait()
	})
}
