package cluster

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/mccd/mccd/cluster/consensus"
	"github.com/mccd/mccd/cluster/identity"
	"github.com/mccd/mccd/cluster/state"
	clusterv1 "github.com/mccd/mccd/proto/mccd/cluster/v1"
)

var (
	// errRefused tells that the cluster does not admit this node: asking again
	// is of no use.
	errRefused = errors.New("not admitted")
	// errMember refuses a join by a node that others count on.
	errMember = errors.New("this node is a member of a cluster with others: mccd leave first")
)

// joinTimeout bounds one attempt at one peer.
const joinTimeout = 10 * time.Second

// Join makes this node a member of the cluster of peers ("host" or
// "host:port" of their port between nodes; one that answers is enough), by a
// token, and returns when it has its place. The node must be alone; what it has
// cached it keeps. A refusal changes nothing. Where the outcome is not known, or
// ctx ends after the admission, the error says so, and the node goes on by
// itself, also after a crash. In that cluster already it does nothing.
func (c *Cluster) Join(ctx context.Context, peers []string, token string) error {
	parsed, err := identity.ParseToken(token)
	if err != nil {
		return fmt.Errorf("join: %w", err)
	}
	if m := c.current.Load(); !m.in(parsed) || m.removed() {
		if err := c.joinBy(ctx, peers, parsed); err != nil {
			return fmt.Errorf("join: %w", err)
		}
	}
	if err := c.placed(ctx); err != nil {
		return fmt.Errorf("join: %w", err)
	}
	return nil
}

func (c *Cluster) joinBy(ctx context.Context, peers []string, token identity.Token) error {
	at, err := located(peers)
	if err != nil {
		return err
	}
	if len(at) == 0 {
		return errors.New("no peer named: give the address of a running node, host or host:7947")
	}
	i, fresh := newIntent(at, token.Reveal()), true
	if earlier, ok, err := loadIntent(c.folders.path(joiningFolder)); err == nil && ok && earlier.Token == i.Token {
		i.JoinKey, fresh = earlier.JoinKey, false // it may have been admitted by that already
	}
	err = c.finishJoin(ctx, i, fresh)
	if errors.Is(err, state.ErrUnknownOutcome) {
		c.spawn(func(ctx context.Context) { c.goOn(ctx, i) })
	}
	return err
}

// placed waits until this node has its place in the cluster that admitted it.
func (c *Cluster) placed(ctx context.Context) error {
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for {
		m := c.current.Load()
		switch {
		case m.removed():
			return state.ErrNodeRemoved
		case !m.entering.Load():
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("this node was admitted, has no place yet, and goes on by itself; mccd status tells of it: %w", ctx.Err())
		case <-c.stopped:
			return errStopping
		case <-ticker.C:
		}
	}
}

// in reports whether this node is in the cluster that a token is for.
func (m *membership) in(token identity.Token) bool {
	for _, der := range m.trusted() {
		if identity.Digest(der) == token.CADigest {
			return m.raft != nil
		}
	}
	return false
}

// removed reports whether this node's cluster has taken it out.
func (m *membership) removed() bool {
	own, known := m.state().Node(m.c.id)
	return known && own.State == state.Left || m.refused.Load() != nil
}

// finishJoin asks for admission as i says and makes the result this node's
// membership. Nothing is left of a refusal, nor, where it is fresh, of a join
// that no node has heard of.
func (c *Cluster) finishJoin(ctx context.Context, i intent, fresh bool) error {
	select {
	case c.joinSlot <- struct{}{}:
		defer func() { <-c.joinSlot }()
	default:
		return errors.New("another join is in progress; mccd status tells of it")
	}
	m := c.current.Load()
	token, err := identity.ParseToken(i.Token)
	switch {
	case err != nil:
		return errors.Join(errRefused, err, c.folders.clear(joiningFolder))
	case m.removed(): // it may come back, with a new token
	case m.in(token):
		return c.folders.clear(joiningFolder)
	case len(m.others()) > 0:
		return fmt.Errorf("%w: %w", errRefused, errors.Join(errMember, c.folders.clear(joiningFolder)))
	}
	m.joining.Store(true) // two nodes that join each other: both are refused
	defer m.joining.Store(false)
	c.joinState.begin(i.Peers)
	if err = c.prepareJoin(ctx, i); err == nil {
		c.joinState.step("entering")
		err = c.change(ctx, m, func(context.Context) error { return c.folders.replace(joiningFolder) })
	}
	c.joinState.end(err)
	if errors.Is(err, errRefused) || fresh && errors.Is(err, errNothing) {
		c.joinState.stop()
		err = errors.Join(err, c.folders.clear(joiningFolder))
	}
	return err
}

// errNothing tells that no node has taken the request in.
var errNothing = errors.New("nothing was changed")

// prepareJoin has the folder of the join complete when it returns nil.
func (c *Cluster) prepareJoin(ctx context.Context, i intent) error {
	dir := c.folders.path(joiningFolder)
	if ready, err := exists(filepath.Join(dir, readyFile)); err != nil || ready {
		return err
	}
	token, err := identity.ParseToken(i.Token)
	if err != nil {
		return err
	}
	folder, err := identity.OpenFolder(dir)
	if err != nil {
		return err
	}
	if err := i.save(dir); err != nil {
		return err
	}
	key, err := joiningKey(folder)
	if err != nil {
		return err
	}
	var errs []error
	unknown := false
	for _, addr := range i.Peers {
		c.joinState.step("asking " + addr)
		answer, sent, err := c.ask(ctx, addr, i, token, key)
		if err == nil {
			return c.keepAdmission(folder, dir, answer.GetIdentity(), key, token)
		}
		unknown = unknown || sent
		errs = append(errs, fmt.Errorf("peer %s: %w", addr, err))
		if errors.Is(err, errRefused) {
			return errors.Join(errs...)
		}
	}
	if unknown {
		return fmt.Errorf("%w; this node goes on asking by itself: %w", state.ErrUnknownOutcome, errors.Join(errs...))
	}
	return fmt.Errorf("%w: %w", errNothing, errors.Join(errs...))
}

// joiningKey returns the key by which this node asks: that of an earlier run
// also where its admission was kept in part, since another would not be the
// same request.
func joiningKey(f *identity.Folder) (identity.NodeKey, error) {
	if kept, err := f.Load(); err == nil {
		return kept.Key, nil
	}
	return f.PendingKey()
}

// ask asks one peer for admission; sent tells that it may have admitted this
// node though there is an error.
func (c *Cluster) ask(ctx context.Context, addr string, i intent, token identity.Token, key identity.NodeKey) (_ *clusterv1.JoinResponse, sent bool, _ error) {
	ctx, cancel := context.WithTimeout(ctx, joinTimeout)
	defer cancel()
	raw, _, err := c.port.DialPinned(ctx, addr, func(der []byte) bool { return identity.Digest(der) == token.CADigest })
	if err != nil {
		return nil, false, err
	}
	handed := make(chan net.Conn, 1)
	handed <- raw
	conn, err := dial(c.port, func(context.Context) (net.Conn, error) {
		select {
		case conn := <-handed:
			return conn, nil
		default:
			return nil, errors.New("the connection broke")
		}
	})
	if err != nil {
		_ = raw.Close()
		return nil, false, err
	}
	defer func() { _ = conn.Close() }()
	signature, err := key.Signer().Sign(rand.Reader, proof(c.id, i.JoinKey, token), crypto.Hash(0))
	if err != nil {
		return nil, false, err
	}
	answer, err := clusterv1.NewClusterClient(conn).Join(ctx, &clusterv1.JoinRequest{
		Token: token.Reveal(), JoinKey: i.JoinKey, Address: addressToProto(c.id, c.current.Load().own()),
		Name: c.cfg.Name, Zone: c.cfg.Zone, Weight: uint32(c.cfg.Weight), DriveBytes: c.cfg.DriveBytes,
		PublicKey: key.Public(), Signature: signature, Release: c.cfg.Release,
		MinVersion: minVersion, MaxVersion: clusterVersion,
	})
	switch st := status.Convert(err); st.Code() {
	case codes.OK:
		return answer, true, nil
	case codes.PermissionDenied, codes.InvalidArgument, codes.AlreadyExists, codes.FailedPrecondition, codes.Unimplemented:
		return nil, false, fmt.Errorf("%w: %s", errRefused, st.Message())
	case codes.Aborted: // not now: it did nothing
		return nil, false, errors.New(st.Message())
	default:
		return nil, true, errors.New(st.Message())
	}
}

// keepAdmission writes the membership that the cluster gave; ready comes last.
func (c *Cluster) keepAdmission(folder *identity.Folder, dir string, p *clusterv1.Identity, key identity.NodeKey, token identity.Token) error {
	if len(p.GetSealingKey()) != len(identity.SealingKey{}) {
		return errors.New("the cluster's answer has no sealing key")
	}
	st, err := state.Unmarshal(p.GetState())
	if err != nil {
		return fmt.Errorf("the cluster's answer: %w", err)
	}
	if own, ok := st.Node(c.id); !ok || own.Key != key.Digest() {
		return errors.New("the cluster's answer does not know this node")
	}
	id := identity.Identity{
		ClusterID: p.GetClusterId(), NodeID: c.id, Key: key, Cert: p.GetCertificate(), CAs: p.GetCas(),
		Sealing: identity.SealingKey(p.GetSealingKey()),
	}
	if err := checkAdmission(id, st, token, c.cfg.Now()); err != nil {
		return fmt.Errorf("the cluster's answer: %w", err)
	}
	if err := folder.Save(id); err != nil {
		return err
	}
	b := openBook(dir, c.id, c.log, func(id string) bool { _, ok := st.Node(id); return ok })
	for _, a := range p.GetAddresses() {
		b.put(a.GetId(), placeFromProto(a))
	}
	b.save()
	if err := consensus.SaveState(filepath.Join(dir, stateFile), st); err != nil {
		return err
	}
	return c.folders.markReady(joiningFolder)
}

// checkAdmission holds what a cluster answered against the token: it is of one
// cluster, of the authority that was pinned, and signed by one of its own.
func checkAdmission(id identity.Identity, st *state.State, token identity.Token, now time.Time) error {
	if st.ClusterID != id.ClusterID {
		return errors.New("identity and state are of two clusters")
	}
	if !slices.ContainsFunc(id.CAs, func(der []byte) bool { return identity.Digest(der) == token.CADigest }) {
		return errors.New("it is not of the authority that the token is for")
	}
	leaf, err := x509.ParseCertificate(id.Cert)
	if err != nil {
		return err
	}
	if _, _, err := identity.CheckPeer(leaf, id.CAs, id.ClusterID, now); err != nil {
		return fmt.Errorf("its certificate: %w", err)
	}
	return nil
}

// endJoin forgets the intent and the former membership: the join is done.
func (m *membership) endJoin() error {
	if err := removeFile(filepath.Join(m.dir, intentFile)); err != nil {
		return err
	}
	err := m.c.folders.clear(formerFolder)
	m.entering.Store(false)
	return err
}
