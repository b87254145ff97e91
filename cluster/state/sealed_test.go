package state

import (
	"encoding/hex"
	"testing"
)

// The ids of two sealing keys.
const (
	key1 = "0101010101010101"
	key2 = "0202020202020202"
)

// sealed looks like a secret that the key of this id sealed.
func sealed(keyID string) []byte {
	id, err := hex.DecodeString(keyID)
	if err != nil {
		panic(err)
	}
	return append(append([]byte{sealVersion}, id...), make([]byte, sealOverhead)...)
}

// trust is of these authorities.
func trust(keyID string, cas ...string) Trust {
	t := Trust{SealedKey: sealed(keyID)}
	for _, ca := range cas {
		t.CAs = append(t.CAs, []byte(ca))
	}
	return t
}

func TestSealedBy(t *testing.T) {
	short, newer := sealed(key1), sealed(key1)
	short, newer[0] = short[:len(short)-1], sealVersion+1
	for name, b := range map[string][]byte{"nothing": nil, "short": short, "newer": newer, "text": []byte("secret")} {
		if got, ok := SealedBy(b); ok {
			t.Errorf("%s is sealed by %q", name, got)
		}
	}
	if got, ok := SealedBy(sealed(key2)); !ok || got != key2 {
		t.Errorf("got %q, %v", got, ok)
	}
}

// usableTokens counts the tokens that admit somebody.
func (b *book) usableTokens() (n int) {
	for _, token := range b.s.Tokens {
		if usable(token, b.now) == nil {
			n++
		}
	}
	return n
}

func TestTrust(t *testing.T) {
	b := founded(t)
	first := TrustDigest(b.s.Trust)
	more := trust(key1, "first", "second")
	b.refused(SetTrust{Trust: more}, ErrConflict)
	b.refused(SetTrust{Expect: first}, ErrInvalid)
	b.refused(SetTrust{Expect: first, Trust: Trust{CAs: more.CAs, SealedKey: []byte("k")}}, ErrInvalid)
	b.refused(SetTrust{Expect: first, Trust: trust(key2, "second")}, ErrConflict)
	// One more is trusted, and the same one signs.
	b.must(SetTrust{Expect: first, Trust: more})
	if got := b.usableTokens(); got != 2 {
		t.Errorf("%d tokens, want 2", got)
	}
	// Another one signs: also a token that was made just before is of no use.
	b.must(CreateToken{Token: token(3, -1)})
	b.must(SetTrust{Expect: first, Trust: trust(key1, "second", "first")})
	if got := b.usableTokens(); got != 0 {
		t.Errorf("%d tokens outlive the authority that they pin", got)
	}
	b.refused(Admit{TokenHash: hash(3), Node: node(2)}, ErrTokenRevoked)
}

func TestKeyring(t *testing.T) {
	b := founded(t)
	b.refused(SetKeyring{Expect: 1, Keyring: Keyring{Sealed: sealed(key2)}}, ErrConflict)
	b.refused(SetKeyring{Expect: 1, Keyring: Keyring{Sealed: []byte("g")}}, ErrInvalid)
	b.must(SetKeyring{Expect: 1, Keyring: Keyring{Sealed: sealed(key1), Phase: Introduced}})
	if b.s.Gossip.Version != 2 || b.s.Gossip.ChangedUnix != b.now {
		t.Errorf("keyring %+v", b.s.Gossip)
	}
	b.refused(SetKeyring{Expect: 1, Keyring: Keyring{Sealed: sealed(key1)}}, ErrConflict)
}

// resealed is what a rotation of the sealing key submits.
func (b *book) resealed() Reseal {
	c := Reseal{Expect: b.s.SealingKeyID, SealingKeyID: key2, Trust: b.s.Trust, Gossip: b.s.Gossip}
	c.Trust.SealedKey, c.Gossip.Sealed = sealed(key2), sealed(key2)
	for _, k := range b.s.TLSKeys {
		k.SealedKey = sealed(key2)
		c.TLSKeys = append(c.TLSKeys, k)
	}
	return c
}

// withKeys has two certificates for clients, a gossip rotation and a second
// member.
func withKeys(t *testing.T) *book {
	b := founded(t)
	b.must(SetTLSKey{TLSKey{Name: "b", SealedKey: sealed(key1)}})
	b.must(SetTLSKey{TLSKey{Name: "a", SealedKey: sealed(key1)}})
	b.must(SetTLSKey{TLSKey{Name: "b", CertPEM: []byte("pem"), SealedKey: sealed(key1)}})
	if len(b.s.TLSKeys) != 2 || b.s.TLSKeys[0].Name != "a" {
		t.Errorf("keys %+v", b.s.TLSKeys)
	}
	b.must(SetKeyring{Expect: 1, Keyring: Keyring{Sealed: sealed(key1)}})
	b.must(Admit{TokenHash: hash(1), Node: node(2)})
	b.must(Activate{ID: id(2)})
	return b
}

// what must not be in a Reseal, nor in that of an Expel.
func (b *book) spoilt(good func() Reseal) map[string]Reseal {
	cases := make(map[string]Reseal)
	add := func(name string, spoil func(*Reseal)) {
		c := good()
		spoil(&c)
		cases[name] = c
	}
	add("another former key", func(c *Reseal) { c.Expect = key2 })
	add("an older keyring", func(c *Reseal) { c.Gossip.Version = 1 })
	add("an authority's key under the former key", func(c *Reseal) { c.Trust.SealedKey = sealed(key1) })
	add("a keyring under the former key", func(c *Reseal) { c.Gossip.Sealed = sealed(key1) })
	add("a client's key under the former key", func(c *Reseal) { c.TLSKeys[0].SealedKey = sealed(key1) })
	add("a certificate that was replaced", func(c *Reseal) { c.TLSKeys[1].CertPEM = []byte("former") })
	add("a certificate less", func(c *Reseal) { c.TLSKeys = c.TLSKeys[:1] })
	add("a certificate twice", func(c *Reseal) { c.TLSKeys[0] = c.TLSKeys[1] })
	return cases
}

func TestReseal(t *testing.T) {
	b := withKeys(t)
	for name, c := range b.spoilt(b.resealed) {
		t.Log(name)
		b.refused(c, ErrConflict)
	}
	// An authority was replaced meanwhile: it must not come back.
	c := b.resealed()
	b.must(SetTrust{Expect: TrustDigest(b.s.Trust), Trust: trust(key1, "second")})
	b.refused(c, ErrConflict)
	c = b.resealed()
	c.SealingKeyID = key1
	b.refused(c, ErrInvalid)
	c.SealingKeyID = "s2"
	b.refused(c, ErrInvalid)
	c = b.resealed()
	b.must(c)
	b.refused(c, ErrConflict)
	// What was made under the former key comes too late.
	b.refused(SetKeyring{Expect: b.s.Gossip.Version, Keyring: Keyring{Sealed: sealed(key1)}}, ErrConflict)
	b.refused(SetTrust{Expect: TrustDigest(b.s.Trust), Trust: trust(key1, "third")}, ErrConflict)
	b.refused(SetTLSKey{TLSKey{Name: "a", SealedKey: sealed(key1)}}, ErrConflict)
	b.refused(SetTLSKey{TLSKey{Name: "a"}}, ErrInvalid)
}

func TestExpel(t *testing.T) {
	b := withKeys(t)
	good := func() Reseal {
		c := b.resealed()
		c.Trust = trust(key2, "second")
		return c
	}
	ca := TrustDigest(b.s.Trust)
	for name, c := range b.spoilt(good) {
		t.Log(name)
		b.refused(Expel{ID: id(2), CA: ca, Reseal: c}, ErrConflict)
	}
	b.refused(Expel{ID: id(2), Reseal: good()}, ErrConflict)
	b.refused(Expel{ID: id(9), CA: ca, Reseal: good()}, ErrNodeUnknown)
	kept := good()
	kept.Trust.CAs = append(kept.Trust.CAs, b.s.Trust.CAs...)
	b.refused(Expel{ID: id(2), CA: ca, Reseal: kept}, ErrInvalid)
	b.refused(Expel{ID: id(2), CA: ca, Reseal: b.resealed()}, ErrInvalid)
	if b.state(2) != Active || b.usableTokens() == 0 || b.s.SealingKeyID != key1 {
		t.Fatalf("a refused one changed something: %+v", b.s)
	}

	r := b.must(Expel{ID: id(2), CA: ca, Reseal: good()})
	if r.Node.ID != id(2) || r.Node.State != Left || !r.Node.Removed || len(b.s.Members()) != 1 || b.s.Placement != b.index {
		t.Errorf("the node: %+v, placement %d", r.Node, b.s.Placement)
	}
	if b.s.SealingKeyID != key2 || string(b.s.Trust.CAs[0]) != "second" || len(b.s.Trust.CAs) != 1 || b.usableTokens() != 0 {
		t.Errorf("what it knew is of use: %+v", b.s)
	}
	for _, blob := range [][]byte{b.s.Trust.SealedKey, b.s.Gossip.Sealed, b.s.TLSKeys[0].SealedKey, b.s.TLSKeys[1].SealedKey} {
		if by, _ := SealedBy(blob); by != key2 {
			t.Errorf("sealed by %s", by)
		}
	}
}

// One that left before is found out later; the last one stays.
func TestExpelWhoLeft(t *testing.T) {
	b := withKeys(t)
	b.must(RemoveNode{ID: id(2)})
	c := Expel{ID: id(1), CA: TrustDigest(b.s.Trust), Reseal: b.resealed()}
	c.Reseal.Trust = trust(key2, "second")
	b.refused(c, ErrInvalid)
	c.ID = id(2)
	if r := b.must(c); !r.Node.Removed || r.Node.State != Left {
		t.Errorf("got %+v", r.Node)
	}
}
