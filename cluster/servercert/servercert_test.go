package servercert

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// issue makes a certificate; a nil parent signs itself.
func issue(t testing.TB, template, parent *x509.Certificate, pub crypto.PublicKey, by crypto.Signer) *x509.Certificate {
	t.Helper()
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	if parent == nil {
		parent = template
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, pub, by)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// newKey makes a key of a kind.
func newKey(t testing.TB, kind string) crypto.Signer {
	t.Helper()
	key, err := NewKey(kind)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// leaf returns a certificate of key signed by an authority, both in order.
func leaf(t testing.TB, key crypto.Signer, change func(*x509.Certificate)) Chain {
	t.Helper()
	authority := newKey(t, EC)
	root := issue(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: "Root"}, NotBefore: time.Unix(1000, 0), NotAfter: time.Unix(4e9, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}, nil, authority.Public(), authority)
	template := &x509.Certificate{
		NotBefore: time.Unix(2000, 0), NotAfter: time.Unix(3000, 0), DNSNames: []string{"cache.example.com", "*.example.com"},
		IPAddresses: []net.IP{net.IPv4(192, 0, 2, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if change != nil {
		change(template)
	}
	return Chain{issue(t, template, root, key.Public(), authority), root}
}

func TestRequestAndKey(t *testing.T) {
	for _, kind := range []string{RSA, EC, Ed25519} {
		key := newKey(t, kind)
		csr, err := Request(key, []string{"Cache.Example.com.", "*.example.com", "192.0.2.1", "2001:db8::1"})
		if err != nil {
			t.Fatal(err)
		}
		names, pub, err := ParseRequest(csr)
		if err != nil || !slices.Equal(names, []string{"cache.example.com", "*.example.com", "192.0.2.1", "2001:db8::1"}) || !same(pub, key.Public()) {
			t.Errorf("%s: %v, %v", kind, names, err)
		}
		text, err := MarshalKey(key)
		if err != nil {
			t.Fatal(err)
		}
		back, err := ParseKey(text)
		if err != nil || !same(back.Public(), key.Public()) {
			t.Errorf("%s: %v", kind, err)
		}
		if KindOf(key.Public()) == "unknown" {
			t.Errorf("%s has no name", kind)
		}
	}
	if _, err := NewKey("dsa"); err == nil {
		t.Error("a key of no kind")
	}
	for _, bad := range [][]string{nil, {""}, {"a b"}, {"-a.example"}, {"a..example"}, {"*.*.example"}, {"a/b"}, slices.Repeat([]string{"a"}, 101)} {
		if _, err := Request(newKey(t, EC), bad); !errors.Is(err, ErrName) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if _, _, err := ParseRequest([]byte("x")); err == nil {
		t.Error("a request that is none")
	}
}

func block(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// TestParseKey: the forms that openssl writes, also beside other blocks; what
// cannot be used is refused without telling what it is.
func TestParseKey(t *testing.T) {
	ec := newKey(t, EC).(*ecdsa.PrivateKey)
	ecDER, err := x509.MarshalECPrivateKey(ec)
	if err != nil {
		t.Fatal(err)
	}
	rsaKey := newKey(t, RSA).(*rsa.PrivateKey)
	for name, text := range map[string][]byte{
		"SEC 1":              block("EC PRIVATE KEY", ecDER),
		"PKCS #1":            block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsaKey)),
		"behind parameters":  append(block("EC PARAMETERS", []byte{6}), block("EC PRIVATE KEY", ecDER)...),
		"behind certificate": append(leaf(t, ec, nil).PEM(), block("EC PRIVATE KEY", ecDER)...),
	} {
		if _, err := ParseKey(text); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p224DER, err := x509.MarshalECPrivateKey(p224)
	if err != nil {
		t.Fatal(err)
	}
	locked := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Headers: map[string]string{"DEK-Info": "AES-256-CBC,00"}, Bytes: []byte("x")})
	for says, text := range map[string][]byte{
		"no PEM block":      []byte("secret"),
		"cannot be read":    block("PRIVATE KEY", []byte("secret")),
		"it is encrypted":   block("ENCRYPTED PRIVATE KEY", []byte("secret")),
		"decrypt it first":  locked,
		"RSA with 1024":     block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(small)),
		"EC on P-224":       block("EC PRIVATE KEY", p224DER),
		"not a usable priv": block("EC PRIVATE KEY", nil),
	} {
		if _, err := ParseKey(text); !errors.Is(err, ErrKey) || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", says, err)
		}
	}
}

func TestChain(t *testing.T) {
	key := newKey(t, EC)
	good := leaf(t, key, nil)
	got, err := ParseChain(append([]byte("text before\n"), good.PEM()...))
	if err != nil || len(got) != 2 || got.Check(key.Public()) != nil || got.CheckTime(time.Unix(2500, 0)) != nil {
		t.Fatalf("%d certificates, %v", len(got), err)
	}
	if names := got.Names(); !slices.Equal(names, []string{"cache.example.com", "*.example.com", "192.0.2.1"}) || got.Issuer() != "Root" || len(got.Fingerprint()) != 64 {
		t.Errorf("%v by %s", names, got.Issuer())
	}
	if missing := got.Covers([]string{"CACHE.example.com", "a.example.com", "192.0.2.1", "*.example.com", "b.a.example.com", "other"}); !slices.Equal(missing, []string{"b.a.example.com", "other"}) {
		t.Errorf("not covered: %v", missing)
	}
	other := leaf(t, key, nil)
	for name, bad := range map[string]struct {
		text []byte
		says string
	}{
		"nothing":      {nil, "no PEM block"},
		"garbage":      {block("CERTIFICATE", []byte("x")), "number 1"},
		"root first":   {Chain{good[1], good[0]}.PEM(), "(Root) is not signed by number 2 (cache.example.com)"},
		"other root":   {Chain{good[0], other[1]}.PEM(), "is not signed by number 2"},
		"twice":        {Chain{good[0], good[0]}.PEM(), "the same"},
		"a whole pack": {bytes.Repeat(Chain{good[1]}.PEM(), 11), "more than 10"},
	} {
		if _, err := ParseChain(bad.text); !errors.Is(err, ErrChain) || !strings.Contains(err.Error(), bad.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for says, change := range map[string]func(*x509.Certificate){
		"no subject alternative name": func(c *x509.Certificate) { c.DNSNames, c.IPAddresses, c.Subject.CommonName = nil, nil, "cache" },
		"not for servers":             func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} },
	} {
		if err := leaf(t, key, change).Check(key.Public()); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", says, err)
		}
	}
	if err := good.Check(newKey(t, EC).Public()); err == nil || !strings.Contains(err.Error(), "not of this private key") {
		t.Error(err)
	}
	for at, says := range map[int64]string{3001: "expired on", 1999: "good from"} {
		if err := good.CheckTime(time.Unix(at, 0)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("at %d: %v", at, err)
		}
	}
	short := leaf(t, key, func(c *x509.Certificate) { c.NotAfter = time.Unix(5e9, 0) })
	if err := short.CheckTime(time.Unix(45e8, 0)); err == nil || !strings.Contains(err.Error(), "number 2") {
		t.Errorf("an authority that has expired: %v", err)
	}
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	cert, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	if _, _, err := Load(cert, keyFile); err == nil {
		t.Error("no file, and no error")
	}
	key := newKey(t, Ed25519)
	text, err := MarshalKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name string, text []byte) {
		if err := os.WriteFile(name, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(cert, leaf(t, key, nil).PEM())
	if _, _, err := Load(cert, keyFile); err == nil {
		t.Error("no key, and no error")
	}
	write(keyFile, text)
	got, chain, err := Load(cert, keyFile)
	if err != nil || len(got.Certificate) != 2 || got.Leaf != chain[0] {
		t.Errorf("%v", err)
	}
	write(cert, leaf(t, newKey(t, EC), nil).PEM())
	if _, _, err := Load(cert, keyFile); !errors.Is(err, ErrChain) || !strings.Contains(err.Error(), cert) {
		t.Errorf("another key: %v", err)
	}
}

// TestTicketKeys: nodes whose clocks differ by hours open each other's
// tickets; a key of two days ago opens nothing; other secrets, other keys.
func TestTicketKeys(t *testing.T) {
	now := time.Date(2026, 11, 23, 23, 0, 0, 0, time.UTC)
	keys := func(secret string, at time.Time) [][32]byte {
		k, err := TicketKeys([]byte(secret), at)
		if err != nil || len(k) != 3 || k[0] == k[1] || k[1] == k[2] || k[0] == k[2] {
			t.Fatalf("%d keys, %v", len(k), err)
		}
		return k
	}
	own := keys("s", now)
	for _, away := range []time.Duration{-20 * time.Hour, -2 * time.Hour, 2 * time.Hour, 20 * time.Hour} {
		other := keys("s", now.Add(away))
		if !slices.Contains(other, own[0]) || !slices.Contains(own, other[0]) {
			t.Errorf("a node %v ahead opens other tickets", away)
		}
	}
	if slices.Contains(keys("s", now.Add(48*time.Hour)), own[0]) {
		t.Error("a key of two days ago is good")
	}
	if slices.Contains(keys("t", now), own[0]) {
		t.Error("two secrets have one key")
	}
}

func FuzzParse(f *testing.F) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	text, err := MarshalKey(key)
	if err != nil {
		f.Fatal(err)
	}
	csr, err := Request(key, []string{"a.example"})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(leaf(f, key, nil).PEM())
	f.Add(text)
	f.Add(csr)
	f.Fuzz(func(t *testing.T, text []byte) {
		if chain, err := ParseChain(text); err == nil {
			if _, err := ParseChain(chain.PEM()); err != nil {
				t.Errorf("what was taken is refused: %v", err)
			}
			_, _, _ = chain.Check(key.Public()), chain.Issuer(), chain.Covers([]string{"a"})
		}
		if key, err := ParseKey(text); err == nil {
			if again, err := MarshalKey(key); err != nil || again == nil {
				t.Errorf("a key that cannot be kept: %v", err)
			}
		}
		_, _, _ = ParseRequest(text)
	})
}
