package identity

import (
	"bytes"
	"encoding/hex"
	"errors"
	"testing"
)

func TestSealAndOpen(t *testing.T) {
	k := testSealing(t)
	for _, plain := range [][]byte{nil, []byte("x"), bytes.Repeat([]byte("secret "), 1000)} {
		sealed := k.Seal("purpose", plain)
		got, err := k.Open("purpose", sealed)
		if err != nil || !bytes.Equal(got, plain) {
			t.Fatalf("%d bytes: %v", len(plain), err)
		}
		if again := k.Seal("purpose", plain); bytes.Equal(again, sealed) {
			t.Error("sealed twice alike")
		}
		if _, err := k.Open("another", sealed); !errors.Is(err, ErrSealed) {
			t.Errorf("for another purpose: %v", err)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	k := testSealing(t)
	sealed := k.Seal("p", []byte("secret"))
	if _, err := testSealing(t).Open("p", sealed); !errors.Is(err, ErrOtherKey) {
		t.Errorf("with another key: %v", err)
	}
	for i := range sealed {
		bad := bytes.Clone(sealed)
		bad[i] ^= 0x80
		if _, err := k.Open("p", bad); err == nil {
			t.Errorf("byte %d flipped: opened", i)
		}
		if _, err := k.Open("p", sealed[:i]); !errors.Is(err, ErrSealed) {
			t.Errorf("cut to %d: %v", i, err)
		}
	}
	newer := bytes.Clone(sealed)
	newer[0] = sealVersion + 1
	if _, err := k.Open("p", newer); !errors.Is(err, ErrNewer) {
		t.Errorf("a newer format: %v", err)
	}
}

func TestSealingKeyID(t *testing.T) {
	k := testSealing(t)
	if len(k.ID()) != 16 || k.ID() == testSealing(t).ID() || k.IsZero() || !(SealingKey{}).IsZero() {
		t.Errorf("id %q", k.ID())
	}
}

func TestKeyringRotates(t *testing.T) {
	settled, err := NewKeyring()
	if err != nil {
		t.Fatal(err)
	}
	introduced, err := settled.Introduce()
	if err != nil {
		t.Fatal(err)
	}
	old, next := settled.Keys[0], introduced.Keys[1]
	if len(introduced.Keys) != 2 || !bytes.Equal(introduced.Keys[0], old) || bytes.Equal(old, next) || len(next) != 32 {
		t.Fatal("introduced: the old key is not the primary")
	}
	switched := introduced.Switch()
	if !switched.Equal(Keyring{Keys: [][]byte{next, old}}) {
		t.Error("switched: the new key is not the primary, the old one behind it")
	}
	if done := switched.Settle(); !done.Equal(Keyring{Keys: [][]byte{next}}) {
		t.Error("settled: not the new key alone")
	}
	if !introduced.Equal(Keyring{Keys: [][]byte{old, next}}) || len(settled.Keys) != 1 {
		t.Error("a former keyring was changed")
	}
	if !settled.Switch().Equal(settled) || len((Keyring{}).Settle().Keys) != 0 {
		t.Error("a keyring without a second key rotated")
	}
	for len(settled.Keys) < maxKeys {
		if settled, err = settled.Introduce(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := settled.Introduce(); err == nil {
		t.Error("a full keyring took another key")
	}
}

func TestKeyringMarshal(t *testing.T) {
	r, err := NewKeyring()
	if err != nil {
		t.Fatal(err)
	}
	if r, err = r.Introduce(); err != nil {
		t.Fatal(err)
	}
	b := r.Marshal()
	got, err := UnmarshalKeyring(b)
	if err != nil || !got.Equal(r) {
		t.Fatalf("%v, %v", got, err)
	}
	for i := range b {
		if _, err := UnmarshalKeyring(b[:i]); !errors.Is(err, ErrSealed) {
			t.Errorf("cut to %d: %v", i, err)
		}
	}
	b[0]++
	if _, err := UnmarshalKeyring(b); !errors.Is(err, ErrNewer) {
		t.Errorf("a newer format: %v", err)
	}
}

// The state refuses a secret that another key sealed, by these bytes.
func TestHeadNamesTheKey(t *testing.T) {
	k := testSealing(t)
	sealed := k.Seal("x", nil)
	if sealed[0] != 1 || hex.EncodeToString(sealed[1:9]) != k.ID() || len(sealed) != 1+8+12+16 {
		t.Errorf("% x is sealed by %s", sealed, k.ID())
	}
}
