package identity

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net/url"
	"testing"
	"time"
)

func signed(t testing.TB, ca CA, cluster, node string, at time.Time, life time.Duration) *x509.Certificate {
	t.Helper()
	der, err := ca.Sign(testKey(t).Public(), cluster, node, at, life)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func TestCheckPeer(t *testing.T) {
	ca, former := testCA(t), testCA(t)
	cas := [][]byte{ca.Cert.Raw, former.Cert.Raw}
	now := testNow()
	const life = 90 * 24 * time.Hour
	cert := signed(t, ca, testCluster, testNode, now, life)
	for _, c := range []struct {
		name    string
		leaf    *x509.Certificate
		cas     [][]byte
		at      time.Time
		expired bool
		want    error
	}{
		{name: "now", leaf: cert, cas: cas, at: now},
		{name: "a clock 23 hours behind", leaf: cert, cas: cas, at: now.Add(-23 * time.Hour)},
		{name: "a clock two days behind", leaf: cert, cas: cas, at: now.Add(-48 * time.Hour), want: ErrClock},
		{name: "a clock a year behind", leaf: cert, cas: cas, at: now.AddDate(-1, 0, 0), want: ErrClock},
		{name: "just before its end", leaf: cert, cas: cas, at: now.Add(life - time.Second)},
		{name: "after its end", leaf: cert, cas: cas, at: now.Add(life + time.Second), expired: true},
		{name: "long after the authority's end", leaf: cert, cas: cas, at: now.AddDate(40, 0, 0), expired: true},
		{name: "of the former authority, trusted still", leaf: signed(t, former, testCluster, testNode, now, life), cas: cas, at: now},
		{name: "of the former authority, trusted no more", leaf: signed(t, former, testCluster, testNode, now, life), cas: cas[:1], at: now, want: ErrForeign},
		{name: "of a foreign authority with the same name", leaf: signed(t, testCA(t), testCluster, testNode, now, life), cas: cas, at: now, want: ErrForeign},
		{name: "foreign and expired", leaf: signed(t, testCA(t), testCluster, testNode, now, life), cas: cas, at: now.AddDate(1, 0, 0), want: ErrForeign},
		{name: "of another cluster", leaf: signed(t, ca, testNode, testNode, now, life), cas: cas, at: now, want: ErrOtherCluster},
		{name: "the authority itself", leaf: ca.Cert, cas: cas, at: now, want: ErrNotNode},
		{name: "nobody trusted", leaf: cert, at: now, want: ErrForeign},
		{name: "none", cas: cas, at: now, want: ErrNotNode},
	} {
		t.Run(c.name, func(t *testing.T) {
			node, expired, err := CheckPeer(c.leaf, c.cas, testCluster, c.at)
			if !errors.Is(err, c.want) || expired != c.expired {
				t.Fatalf("expired %v, error %v; want %v, %v", expired, err, c.expired, c.want)
			}
			if (c.want == nil) != (node == testNode) {
				t.Errorf("node %q", node)
			}
		})
	}
	if _, _, err := CheckPeer(cert, [][]byte{[]byte("rubbish")}, testCluster, now); err == nil {
		t.Error("an authority that cannot be read was passed over")
	}
}

// What the authority signed, but not for a node, is none: another key, use, or
// an authority below.
func TestCheckPeerRefusesOtherCertificates(t *testing.T) {
	ca, now := testCA(t), testNow()
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	key := testKey(t)
	both := []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}
	for _, c := range []struct {
		name string
		pub  any
		edit func(*x509.Certificate)
	}{
		{"an RSA key", &rsaKey.PublicKey, func(*x509.Certificate) {}},
		{"for clients only", key.Public(), func(c *x509.Certificate) { c.ExtKeyUsage = both[:1] }},
		{"for servers only", key.Public(), func(c *x509.Certificate) { c.ExtKeyUsage = both[1:] }},
		{"an authority", key.Public(), func(c *x509.Certificate) { c.IsCA, c.KeyUsage = true, x509.KeyUsageCertSign }},
		{"a host name too", key.Public(), func(c *x509.Certificate) { c.DNSNames = []string{"localhost"} }},
		{"two nodes", key.Public(), func(c *x509.Certificate) { c.URIs = append(c.URIs, c.URIs[0]) }},
		{"nobody", key.Public(), func(c *x509.Certificate) { c.URIs = nil }},
	} {
		template := &x509.Certificate{
			SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: testNode}, URIs: []*url.URL{nodeURI(testCluster, testNode)},
			NotBefore: now, NotAfter: now.Add(time.Hour), ExtKeyUsage: both, BasicConstraintsValid: true,
		}
		c.edit(template)
		der, err := x509.CreateCertificate(rand.Reader, template, ca.Cert, c.pub, ca.Key)
		if err != nil {
			t.Fatal(err)
		}
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		if node, _, err := CheckPeer(cert, [][]byte{ca.Cert.Raw}, testCluster, now); !errors.Is(err, ErrNotNode) && !errors.Is(err, ErrForeign) {
			t.Errorf("%s: %q, %v", c.name, node, err)
		}
	}
}

func TestNodeOfTakesOneSpelling(t *testing.T) {
	good := "mccd://" + testCluster + "/node/" + testNode
	for _, c := range []struct {
		uri string
		ok  bool
	}{
		{good, true},
		{good + "/", false},
		{good + "?a=b", false},
		{good + "#a", false},
		{"mccd://a@" + testCluster + "/node/" + testNode, false},
		{"mccd://" + testCluster + ":80/node/" + testNode, false},
		{"mccd://" + testCluster + "/nodes/" + testNode, false},
		{"mccd://" + testCluster + "/node/", false},
		{"mccd://" + testCluster + "/node/%66edcba9876543210", false},
		{"mccd://" + testCluster + "/node/../x", false},
		{"mccd:///node/" + testNode, false},
		{"https://" + testCluster + "/node/" + testNode, false},
		{"mccd:opaque", false},
	} {
		u, err := url.Parse(c.uri)
		if err != nil {
			t.Fatal(err)
		}
		cluster, node, err := NodeOf(&x509.Certificate{URIs: []*url.URL{u}})
		if ok := err == nil && cluster == testCluster && node == testNode; ok != c.ok {
			t.Errorf("%s: %q, %q, %v", c.uri, cluster, node, err)
		}
	}
}

func TestSignKeepsToTheAuthoritysDates(t *testing.T) {
	ca, pub := testCA(t), testKey(t).Public()
	late := ca.Cert.NotAfter.Add(-time.Hour)
	if cert := signed(t, ca, testCluster, testNode, late, 48*time.Hour); !cert.NotAfter.Equal(ca.Cert.NotAfter) {
		t.Errorf("valid to %v, the authority to %v", cert.NotAfter, ca.Cert.NotAfter)
	}
	if cert := signed(t, ca, testCluster, testNode, testNow().Add(-12*time.Hour), time.Hour); cert.NotBefore.Before(ca.Cert.NotBefore) {
		t.Errorf("valid from %v, the authority from %v", cert.NotBefore, ca.Cert.NotBefore)
	}
	a, b := signed(t, ca, testCluster, testNode, testNow(), time.Hour), signed(t, ca, testCluster, testNode, testNow(), time.Hour)
	if a.SerialNumber.Cmp(b.SerialNumber) == 0 {
		t.Error("two certificates of one serial number")
	}
	for name, f := range map[string]func() ([]byte, error){
		"after its end":     func() ([]byte, error) { return ca.Sign(pub, testCluster, testNode, late.AddDate(1, 0, 0), time.Hour) },
		"a bad node id":     func() ([]byte, error) { return ca.Sign(pub, testCluster, "../x", testNow(), time.Hour) },
		"a bad cluster id":  func() ([]byte, error) { return ca.Sign(pub, "", testNode, testNow(), time.Hour) },
		"no key to certify": func() ([]byte, error) { return ca.Sign(nil, testCluster, testNode, testNow(), time.Hour) },
		"no life":           func() ([]byte, error) { return ca.Sign(pub, testCluster, testNode, testNow(), 0) },
		"no key to sign": func() ([]byte, error) {
			return CA{Cert: ca.Cert}.Sign(pub, testCluster, testNode, testNow(), time.Hour)
		},
		"no authority": func() ([]byte, error) { return CA{}.Sign(pub, testCluster, testNode, testNow(), time.Hour) },
	} {
		if _, err := f(); err == nil {
			t.Errorf("%s: signed", name)
		}
	}
}

func TestKeysHaveOneDigest(t *testing.T) {
	ca, key := testCA(t), testKey(t)
	der, err := ca.Sign(key.Public(), testCluster, testNode, testNow(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	if len(key.Digest()) != 64 || KeyDigest(cert) != key.Digest() {
		t.Errorf("%s and %s", key.Digest(), KeyDigest(cert))
	}
	if (NodeKey{}).Digest() != "" || (NodeKey{}).Signer() != nil || !(NodeKey{}).IsZero() {
		t.Error("the zero key is something")
	}
}
