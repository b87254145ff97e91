package identity

import (
	"bytes"
	"crypto/x509"
	"net/url"
	"strings"
	"testing"
)

func FuzzParseToken(f *testing.F) {
	text := testToken(f).Reveal()
	f.Add(text)
	f.Add(strings.ToUpper(text))
	f.Add("MCCD1-")
	f.Add(text[:40])
	f.Fuzz(func(t *testing.T, s string) {
		token, err := ParseToken(s)
		if err != nil {
			if token != (Token{}) {
				t.Error("an error and a token")
			}
			return
		}
		if !strings.EqualFold(token.Reveal(), strings.TrimSpace(s)) {
			t.Errorf("%q reads as another token", s)
		}
	})
}

func FuzzOpen(f *testing.F) {
	k := SealingKey{1, 2, 3}
	f.Add(k.Seal("p", []byte("secret")))
	f.Add([]byte{sealVersion})
	f.Add(append([]byte{sealVersion}, k.id()...))
	seen := k.Seal("p", []byte("secret"))
	f.Add(seen)
	f.Fuzz(func(t *testing.T, sealed []byte) {
		if plain, err := k.Open("p", sealed); err == nil && !bytes.Equal(plain, []byte("secret")) {
			t.Errorf("opened what was never sealed: %q", plain)
		}
	})
}

func FuzzUnmarshalKeyring(f *testing.F) {
	ring, err := NewKeyring()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(ring.Marshal())
	f.Add([]byte{1, 8})
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := UnmarshalKeyring(b); err == nil && !bytes.Equal(r.Marshal(), b) {
			t.Error("another encoding of the same keyring")
		}
	})
}

func FuzzNodeOf(f *testing.F) {
	f.Add("mccd", testCluster, "/node/"+testNode, "", "")
	f.Add("mccd", testCluster, "/node/%2e", "q", "f")
	f.Fuzz(func(t *testing.T, scheme, host, path, query, fragment string) {
		u := &url.URL{Scheme: scheme, Host: host, Path: path, RawQuery: query, Fragment: fragment}
		cluster, node, err := NodeOf(&x509.Certificate{URIs: []*url.URL{u}})
		if err == nil && u.String() != "mccd://"+cluster+"/node/"+node {
			t.Errorf("%q reads as node %q of %q", u, node, cluster)
		}
	})
}

// FuzzCertificate feeds whatever parses as a certificate to all that reads one.
func FuzzCertificate(f *testing.F) {
	ca := testCA(f)
	f.Add(ca.Cert.Raw)
	f.Add(signed(f, ca, testCluster, testNode, testNow(), 1<<40).Raw)
	f.Fuzz(func(t *testing.T, der []byte) {
		_, _ = ParseCA(der, nil)
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return
		}
		_ = KeyDigest(cert)
		if node, _, err := CheckPeer(cert, [][]byte{ca.Cert.Raw}, testCluster, testNow()); err == nil && node != testNode {
			t.Errorf("node %q was never signed", node)
		}
	})
}
