package cluster

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/mccd/mccd/cluster/identity"
	"github.com/mccd/mccd/cluster/servercert"
	"github.com/mccd/mccd/cluster/state"
)

// TLSKeyPair is the cluster's certificate for https clients, unsealed.
type TLSKeyPair struct {
	Chain servercert.Chain
	Key   crypto.Signer
}

// TLSMark changes whenever what TLSKeyPair returns may: it is compared, and
// tells nothing else.
func (c *Cluster) TLSMark() string {
	m := c.current.Load()
	served, _ := tlsRecords(m.state())
	if served == nil {
		return ""
	}
	return m.id.Load().Sealing.ID() + string(served.SealedKey) + string(served.CertPEM)
}

// TLSKeyPair returns the certificate of the cluster as far as this node knows
// it; nil where there is none. An error tells that this node cannot read it,
// as in the middle of a rotation.
func (c *Cluster) TLSKeyPair() (*TLSKeyPair, error) {
	m := c.current.Load()
	served, _ := tlsRecords(m.state())
	if served == nil {
		return nil, nil //nolint:nilnil // none is no fault
	}
	chain, err := servercert.ParseChain(served.CertPEM)
	if err != nil {
		return nil, err
	}
	key, err := m.openTLS(served)
	if err != nil {
		return nil, err
	}
	return &TLSKeyPair{chain, key}, chain.Check(key.Public())
}

// TicketKeys returns what seals the sessions of https clients at now: all nodes
// of the cluster have the same, and change them together. None where this node
// is in no cluster.
func (c *Cluster) TicketKeys(now time.Time) [][32]byte {
	sealing := c.current.Load().id.Load().Sealing
	if sealing.IsZero() {
		return nil
	}
	keys, err := servercert.TicketKeys(sealing[:], now)
	if err != nil {
		return nil
	}
	return keys
}

// tlsRecords returns the two records of st about https, nil where there is
// none.
func tlsRecords(st *state.State) (served, requested *state.TLSKey) {
	for i := range st.TLSKeys {
		switch k := &st.TLSKeys[i]; k.Name {
		case servedTLS:
			served = k
		case requestedTLS:
			requested = k
		}
	}
	return served, requested
}

// openTLS unseals the key of a record.
func (m *membership) openTLS(k *state.TLSKey) (crypto.Signer, error) {
	text, err := m.id.Load().Sealing.Open(tlsKeyPurpose+k.Name, k.SealedKey)
	if err != nil {
		return nil, fmt.Errorf("unseal the key of the certificate for https: %w", err)
	}
	return servercert.ParseKey(text)
}

// keepTLS has a record written: text is a chain or a request.
func (m *membership) keepTLS(ctx context.Context, name string, text []byte, key crypto.Signer) error {
	plain, err := servercert.MarshalKey(key)
	if err != nil {
		return err
	}
	seal := func(sealing identity.SealingKey) state.SetTLSKey {
		return state.SetTLSKey{Key: state.TLSKey{Name: name, CertPEM: text, SealedKey: sealing.Seal(tlsKeyPurpose+name, plain)}}
	}
	_, err = m.submit(ctx, seal(m.id.Load().Sealing))
	if !errors.Is(err, state.ErrConflict) {
		return err
	}
	st, err := m.read(ctx) // the sealing key was rotated meanwhile
	if err != nil {
		return err
	}
	sealing, err := m.sealingNow(ctx, st.SealingKeyID)
	if err != nil {
		return err
	}
	_, err = m.submit(ctx, seal(sealing))
	return err
}

// toImport reads a chain and finds its key: the one given, else one that the
// cluster has.
func (m *membership) toImport(ctx context.Context, certPEM, keyPEM []byte) (servercert.Chain, crypto.Signer, error) {
	chain, err := servercert.ParseChain(certPEM)
	if err != nil {
		return nil, nil, err
	}
	if len(keyPEM) > 0 {
		key, err := servercert.ParseKey(keyPEM)
		if err == nil {
			err = chain.Check(key.Public())
		}
		return chain, key, err
	}
	st, err := m.read(ctx)
	if err != nil {
		return nil, nil, err
	}
	served, requested := tlsRecords(st)
	for _, record := range []*state.TLSKey{requested, served} {
		if record == nil {
			continue
		}
		key, err := m.openTLS(record)
		if err != nil {
			return nil, nil, err
		}
		if !chain.Matches(key.Public()) {
			continue
		}
		if record == requested {
			if err := checkRequested(record.CertPEM, chain); err != nil {
				return nil, nil, err
			}
		}
		return chain, key, chain.Check(key.Public())
	}
	if requested == nil {
		return nil, nil, fmt.Errorf("%w: the cluster has no key for it; give its private key too (--key), or begin with mccd tls csr", servercert.ErrChain)
	}
	return nil, nil, fmt.Errorf("%w: it is not of the key that mccd tls csr made last (%s); was it made for an earlier request? Else give its private key too (--key)",
		servercert.ErrChain, asked(requested.CertPEM))
}

// checkRequested refuses a certificate without a name that was asked for.
func checkRequested(csr []byte, chain servercert.Chain) error {
	names, _, err := servercert.ParseRequest(csr)
	if err != nil {
		return err
	}
	if missing := chain.Covers(names); len(missing) > 0 {
		return fmt.Errorf("%w: it is good for %s, and not for %s, which was asked for", servercert.ErrChain,
			strings.Join(chain.Names(), ", "), strings.Join(missing, ", "))
	}
	return nil
}

// asked names a request.
func asked(csr []byte) string {
	names, _, err := servercert.ParseRequest(csr)
	if err != nil {
		return "unreadable"
	}
	return strings.Join(names, ", ")
}

// checkClientTLS refuses what nodes could not serve.
func checkClientTLS(k state.TLSKey) error {
	var err error
	switch k.Name {
	case servedTLS:
		_, err = servercert.ParseChain(k.CertPEM)
	case requestedTLS:
		_, _, err = servercert.ParseRequest(k.CertPEM)
	default:
		err = errors.New("it is of no use")
	}
	if err != nil {
		return fmt.Errorf("%w: certificate %.80q: %w", state.ErrInvalid, k.Name, err)
	}
	return nil
}
