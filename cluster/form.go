package cluster

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/mccd/mccd/cluster/identity"
	"github.com/mccd/mccd/cluster/state"
	clusterv1 "github.com/mccd/mccd/proto/mccd/cluster/v1"
)

// prepareForming prepares the membership of a node that has a join secret and
// no cluster yet: the secret gives all nodes the same authority, so they can
// speak before one of them founds the cluster.
func (c *Cluster) prepareForming() error {
	ca, clusterID, _, err := identity.DeriveCA(c.cfg.JoinSecret)
	if err != nil {
		return fmt.Errorf("join secret: %w", err)
	}
	if _, err := c.newIdentity(freshFolder, ca, clusterID, c.cfg.Now()); err != nil {
		return err
	}
	if err := writeAtomic(filepath.Join(c.folders.path(freshFolder), formingFile), nil); err != nil {
		return err
	}
	return c.folders.markReady(freshFolder)
}

// form waits for the cluster of the join secret: it enters the one in which
// another name is, or, as the first of the names and after every other said
// that it is in none, founds it. It returns when ctx is done.
func (m *membership) form(ctx context.Context) error {
	m.c.log.Info("waits for its cluster to be founded", "join", m.c.cfg.Join)
	for wait := 200 * time.Millisecond; ; wait = min(wait*3/2, 5*time.Second) {
		err := m.tryForm(ctx)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // it was told to end
		}
		if err != nil {
			if m.complain("form") {
				m.c.log.Info("no cluster yet", "err", err)
			}
		}
		pause(ctx, wait)
	}
}

func (m *membership) tryForm(ctx context.Context) error {
	ca, clusterID, joinSecret, err := identity.DeriveCA(m.c.cfg.JoinSecret)
	if err != nil {
		return err
	}
	if err := m.keepForming(ca); err != nil {
		return err
	}
	token := identity.SecretToken(identity.Digest(ca.Cert.Raw), joinSecret)
	var errs []error
	first := false
	for i, name := range m.c.cfg.Join {
		addr, err := withPort(name)
		if err != nil {
			return err
		}
		answer, err := m.hello(ctx, addr)
		switch {
		case err != nil:
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
		case answer.GetId() == m.c.id:
			first = first || i == 0
		case answer.GetClusterId() != "":
			m.c.spawn(func(ctx context.Context) { m.enterFormed(ctx, addr, token) })
			<-ctx.Done() // by the change, once admitted
			return nil
		}
	}
	if len(errs) > 0 || !first {
		return errors.Join(append(errs, errors.New("the first of the names founds it, once all others have answered"))...)
	}
	m.c.log.Info("founds the cluster: the first of the names, and no other is in one", "cluster", clusterID)
	m.c.spawn(func(ctx context.Context) {
		err := m.c.change(ctx, m, func(context.Context) error {
			tokens := []state.Token{{ID: token.Hash()[:8], Hash: token.Hash(), Note: "join secret", Uses: -1, CreatedUnix: m.c.cfg.Now().Unix()}}
			if err := m.c.found(ca, clusterID, tokens); err != nil {
				return err
			}
			return m.c.folders.replace(freshFolder)
		})
		if err != nil {
			m.c.log.Error("found the cluster", "err", err)
		}
	})
	<-ctx.Done()
	return nil
}

// keepForming signs this node's certificate anew by the secret's authority
// before others refuse it: it may wait for long.
func (m *membership) keepForming(ca identity.CA) error {
	id := *m.id.Load()
	leaf, err := x509.ParseCertificate(id.Cert)
	now := m.c.cfg.Now()
	if err == nil && leaf.NotAfter.Sub(now) > m.c.cfg.CertLife/3 {
		return nil
	}
	if id.Cert, err = ca.Sign(id.Key.Public(), id.ClusterID, id.NodeID, now, m.c.cfg.CertLife); err != nil {
		return err
	}
	m.filing.Lock()
	defer m.filing.Unlock()
	if err := m.folder.Save(id); err != nil {
		return err
	}
	m.setIdentity(id)
	return nil
}

// enterFormed joins the cluster of the node at addr, until it is admitted.
func (m *membership) enterFormed(ctx context.Context, addr string, token identity.Token) {
	i := newIntent([]string{addr}, token.Reveal())
	if earlier, ok, err := loadIntent(m.c.folders.path(joiningFolder)); err == nil && ok && earlier.Token == i.Token {
		i.JoinKey = earlier.JoinKey // it may have been admitted by that already
	}
	for ctx.Err() == nil {
		if err := m.c.finishJoin(ctx, i, false); err != nil {
			if m.complain("join") {
				m.c.log.Warn("join later", "err", err)
			}
			pause(ctx, announceFirst)
			continue
		}
		return
	}
}

// hello asks who is at addr.
func (m *membership) hello(ctx context.Context, addr string) (*clusterv1.AnnounceResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, announceTimeout)
	defer cancel()
	client, err := m.calls.to("", addr)
	if err != nil {
		return nil, err
	}
	return client.Announce(ctx, &clusterv1.AnnounceRequest{Address: addressToProto(m.c.id, m.own())})
}
