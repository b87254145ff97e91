package identity

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"
)

const (
	testCluster = "0123456789abcdef0123456789abcdef"
	testNode    = "fedcba9876543210fedcba9876543210"
)

// testNow is when the tests take place; nothing here reads a clock.
func testNow() time.Time { return time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC) }

func testCA(t testing.TB) CA {
	t.Helper()
	ca, err := NewCA(testCluster, testNow())
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

func testKey(t testing.TB) NodeKey {
	t.Helper()
	key, err := NewNodeKey()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func testSealing(t testing.TB) SealingKey {
	t.Helper()
	k, err := NewSealingKey()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestNewCAIsBackDatedAndLastsTwentyYears(t *testing.T) {
	ca := testCA(t)
	if want := testNow().Add(-24 * time.Hour); !ca.Cert.NotBefore.Equal(want) {
		t.Errorf("valid from %v, want %v", ca.Cert.NotBefore, want)
	}
	if want := testNow().Add(-24*time.Hour).AddDate(20, 0, 0); !ca.Cert.NotAfter.Equal(want) {
		t.Errorf("valid to %v, want %v", ca.Cert.NotAfter, want)
	}
	if got, want := ca.Cert.Subject.CommonName, "mccd cluster "+testCluster; got != want {
		t.Errorf("named %q, want %q", got, want)
	}
	if other := testCA(t); bytes.Equal(other.Cert.Raw, ca.Cert.Raw) || other.Key.Equal(ca.Key) {
		t.Error("two authorities are alike")
	}
	if d := Digest(ca.Cert.Raw); len(d) != 52 || d != strings.ToLower(d) {
		t.Errorf("digest %q is not 52 lower-case characters", d)
	}
	if _, err := NewCA("Not An Id", testNow()); err == nil {
		t.Error("an id with capitals and spaces was taken")
	}
}

// Every node of a cluster of containers derives the authority by itself, maybe
// with different releases: not a bit may ever change.
func TestDeriveCAIsTheSameForEver(t *testing.T) {
	const secret = "correct horse battery staple"
	ca, cluster, join, err := DeriveCA([]byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	for _, same := range []string{secret, secret + "\n", "  " + secret + "\r\n"} {
		again, cluster2, join2, err := DeriveCA([]byte(same))
		if err != nil || !bytes.Equal(again.Cert.Raw, ca.Cert.Raw) || !again.Key.Equal(ca.Key) || cluster2 != cluster || join2 != join {
			t.Errorf("%q derives something else (%v)", same, err)
		}
	}
	const wantDigest, wantCluster = "udu5unofvf5wqptghjlmsvyim5y525lcbi2yz56op4jmaxzkpnea", "65225b4e7471ce0e5a2df9c48555e80e"
	if got := Digest(ca.Cert.Raw); got != wantDigest {
		t.Errorf("authority %s, want %s", got, wantDigest)
	}
	if cluster != wantCluster {
		t.Errorf("cluster %s, want %s", cluster, wantCluster)
	}
	const wantHash = "5b9db5eddf258b381e294f14a9181f0346873c3a8a56fc088fce217c0a55d7d3"
	if got := SecretToken(Digest(ca.Cert.Raw), join).Hash(); got != wantHash {
		t.Errorf("token %s, want %s", got, wantHash)
	}
	other, cluster2, join2, err := DeriveCA([]byte(secret + "!"))
	if err != nil || other.Key.Equal(ca.Key) || cluster2 == cluster || join2 == join {
		t.Errorf("another secret derives something of the same (%v)", err)
	}
}

func TestDeriveCARefusesShortSecrets(t *testing.T) {
	for _, secret := range []string{"", "123456789012345", "               1234               "} {
		if _, _, _, err := DeriveCA([]byte(secret)); !errors.Is(err, ErrShortSecret) {
			t.Errorf("%q: %v", secret, err)
		}
	}
	if _, _, _, err := DeriveCA([]byte("1234567890123456")); err != nil {
		t.Errorf("16 bytes: %v", err)
	}
}

func TestSealedAuthority(t *testing.T) {
	ca, sealing := testCA(t), testSealing(t)
	sealed := ca.SealKey(sealing)
	if bytes.Contains(sealed, ca.Key.Seed()) {
		t.Fatal("the key is readable")
	}
	opened, err := OpenCA(ca.Cert.Raw, sealed, sealing)
	if err != nil || !opened.Key.Equal(ca.Key) {
		t.Fatalf("opened %v, %v", opened, err)
	}
	if _, err := OpenCA(ca.Cert.Raw, sealed, testSealing(t)); !errors.Is(err, ErrOtherKey) {
		t.Errorf("with another key: %v", err)
	}
	if _, err := OpenCA(testCA(t).Cert.Raw, sealed, sealing); err == nil {
		t.Error("the key was taken for another authority's")
	}
	if _, err := OpenCA(ca.Cert.Raw, sealing.Seal("gossip keyring", ca.Key.Seed()), sealing); !errors.Is(err, ErrSealed) {
		t.Errorf("sealed for another purpose: %v", err)
	}
}

func TestParseCARefusesWhatIsNone(t *testing.T) {
	ca := testCA(t)
	leaf, err := ca.Sign(testKey(t).Public(), testCluster, testNode, testNow(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	for name, der := range map[string][]byte{"a node's": leaf, "empty": nil, "rubbish": []byte("rubbish"), "cut off": ca.Cert.Raw[:100]} {
		if _, err := ParseCA(der, nil); err == nil {
			t.Errorf("%s: taken for an authority", name)
		}
	}
	if _, err := ParseCA(ca.Cert.Raw, testCA(t).Key); err == nil {
		t.Error("another authority's key was taken")
	}
	if _, err := ParseCA(ca.Cert.Raw, ca.Key[:10]); err == nil {
		t.Error("a cut-off key was taken")
	}
}
