package cluster

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/mccd/mccd/cluster/servercert"
	"github.com/mccd/mccd/cluster/state"
	clusterv1 "github.com/mccd/mccd/proto/mccd/cluster/v1"
)

// The two records of package state about the certificate for https clients:
// the one that is served, and a key whose certificate is being asked for, with
// the request in place of a chain. It stays when its certificate has come.
const (
	servedTLS    = "clients"
	requestedTLS = "clients, requested"
)

// servedWait bounds how long ImportTLS waits for living nodes.
const servedWait = 5 * time.Second

// CreateTLSKey makes a key for the certificate by which all nodes serve https,
// keeps it sealed in the state, and returns the request to an authority (PEM).
// What is served stays as it is; a key that was requested before is forgotten.
func (c *Cluster) CreateTLSKey(ctx context.Context, spec state.TLSKeySpec) ([]byte, error) {
	key, err := servercert.NewKey(spec.Kind)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", state.ErrInvalid, err)
	}
	csr, err := servercert.Request(key, spec.Names)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", state.ErrInvalid, err)
	}
	if err := c.current.Load().keepTLS(ctx, requestedTLS, csr, key); err != nil {
		return nil, fmt.Errorf("create key for https: %w", err)
	}
	return csr, nil
}

// ImportTLS makes a chain (PEM) the one that all nodes serve, with the key
// (PEM) given, or, where that is empty, the one of CreateTLSKey that it is of.
// It returns once every living member serves it, 5 s at most.
func (c *Cluster) ImportTLS(ctx context.Context, certPEM, keyPEM []byte) (state.TLSStatus, error) {
	m := c.current.Load()
	chain, key, err := m.toImport(ctx, certPEM, keyPEM)
	if err == nil {
		err = chain.CheckTime(c.cfg.Now())
	}
	if errors.Is(err, servercert.ErrChain) || errors.Is(err, servercert.ErrKey) {
		err = fmt.Errorf("%w: %w", state.ErrInvalid, err)
	}
	if err == nil {
		err = m.keepTLS(ctx, servedTLS, chain.PEM(), key)
	}
	if err != nil {
		return state.TLSStatus{}, fmt.Errorf("import certificate: %w", err)
	}
	c.log.Info("took a certificate for https clients", "names", strings.Join(chain.Names(), " "),
		"sha256", chain.Fingerprint(), "expires", chain[0].NotAfter)
	wait, cancel := context.WithTimeout(ctx, servedWait)
	defer cancel()
	for {
		s, err := c.TLSStatus(ctx)
		if err != nil || allServe(s.Nodes, chain.Fingerprint()) || wait.Err() != nil {
			return s, err
		}
		pause(wait, 50*time.Millisecond)
	}
}

// allServe reports whether each node that answers, and serves the cluster's
// certificate at all, serves that of the fingerprint.
func allServe(nodes []state.TLSNode, fingerprint string) bool {
	for _, n := range nodes {
		if !n.Silent && n.Served.Addr != "" && n.Served.Source != tlsFromFiles && n.Served.Fingerprint != fingerprint {
			return false
		}
	}
	return true
}

// tlsFromFiles is the state.ServedTLS.Source of a node that serves its own.
const tlsFromFiles = "files"

// TLSStatus tells how the members serve https: of each that lives, as it says
// itself.
func (c *Cluster) TLSStatus(ctx context.Context) (state.TLSStatus, error) {
	m := c.current.Load()
	st := m.state()
	var s state.TLSStatus
	served, requested := tlsRecords(st)
	if served != nil {
		chain, err := servercert.ParseChain(served.CertPEM)
		if err != nil {
			return s, fmt.Errorf("certificate for https: %w", err)
		}
		s.Certificate = &state.TLSCertificate{
			Names: chain.Names(), Issuer: chain.Issuer(), Key: servercert.KindOf(chain[0].PublicKey),
			Fingerprint: chain.Fingerprint(), NotBefore: chain[0].NotBefore, NotAfter: chain[0].NotAfter,
		}
		if requested != nil && requestMatches(requested.CertPEM, chain) {
			requested = nil
		}
	}
	if requested != nil {
		names, pub, err := servercert.ParseRequest(requested.CertPEM)
		if err != nil {
			return s, err
		}
		s.Requested = &state.TLSRequested{Names: names, Key: servercert.KindOf(pub), CSR: requested.CertPEM}
	}
	members := st.Members()
	if len(members) == 0 {
		members = []state.Node{{ID: c.id, Name: c.cfg.Name}}
	}
	s.Nodes = make([]state.TLSNode, len(members))
	var wg sync.WaitGroup
	for i, n := range members {
		wg.Go(func() { s.Nodes[i] = m.servedBy(ctx, n) })
	}
	wg.Wait()
	return s, nil
}

func requestMatches(csr []byte, chain servercert.Chain) bool {
	_, pub, err := servercert.ParseRequest(csr)
	return err == nil && chain.Matches(pub)
}

// servedBy asks a member what it serves https with.
func (m *membership) servedBy(ctx context.Context, n state.Node) state.TLSNode {
	out := state.TLSNode{ID: n.ID, Name: n.Name}
	if n.ID == m.c.id {
		out.Served = m.c.cfg.ServedTLS()
		return out
	}
	out.Silent = true
	if !m.alive(n.ID) {
		return out
	}
	ctx, cancel := context.WithTimeout(ctx, askTLSTimeout)
	defer cancel()
	client, err := m.node(n.ID)
	if err != nil {
		return out
	}
	answer, err := client.ServedTLS(ctx, &clusterv1.ServedTLSRequest{})
	if err != nil {
		return out
	}
	out.Silent = false
	out.Served = state.ServedTLS{Addr: answer.GetAddr(), Source: answer.GetSource(), Fingerprint: answer.GetFingerprint(), Error: answer.GetError()}
	if at := answer.GetNotAfterUnix(); at != 0 {
		out.Served.NotAfter = time.Unix(at, 0).UTC()
	}
	return out
}

// askTLSTimeout bounds a question to one node.
const askTLSTimeout = 2 * time.Second

// ServedTLS tells what this node serves https clients with.
func (s *service) ServedTLS(context.Context, *clusterv1.ServedTLSRequest) (*clusterv1.ServedTLSResponse, error) {
	own := s.c.cfg.ServedTLS()
	answer := &clusterv1.ServedTLSResponse{Addr: own.Addr, Source: own.Source, Fingerprint: own.Fingerprint, Error: own.Error}
	if !own.NotAfter.IsZero() {
		answer.NotAfterUnix = own.NotAfter.Unix()
	}
	return answer, nil
}
