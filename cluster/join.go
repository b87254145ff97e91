package cluster

import (
	"context"
	"crypto"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"path/filepath"
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
// token. The node must be alone; what it has cached it keeps. When it returns
// nil, this node has the identity and goes on entering by itself, also after a
// crash; a refusal changes nothing. A node that is in that cluster already
// returns nil at once.
func (c *Cluster) Join(ctx context.Context, peers []string, token string) error {
	parsed, err := identity.ParseToken(token)
	if err != nil {
		return fmt.Errorf("join: %w", err)
	}
	return c.joinBy(ctx, peers, parsed)
}

func (c *Cluster) joinBy(ctx context.Context, peers []string, token identity.Token) error {
	m := c.current.Load()
	if m.in(token) {
		return nil
	}
	if len(m.others()) > 0 {
		return fmt.Errorf("join: %w", errMember)
	}
	var at []string
	for _, p := range peers {
		addr, err := withPort(p)
		if err != nil {
			return fmt.Errorf("join: %w", err)
		}
		at = append(at, addr)
	}
	if len(at) == 0 {
		return errors.New("join: no peer named: give the address of a running node, host or host:7947")
	}
	i := newIntent(at, token.Reveal())
	if earlier, ok, err := loadIntent(c.folders.path(joiningFolder)); err == nil && ok && earlier.Token == i.Token {
		i.JoinKey = earlier.JoinKey // it may have been admitted by that already
	}
	return c.finishJoin(ctx, i)
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

// finishJoin asks for admission as i says and makes the result this node's
// membership. Where i cannot succeed any more, nothing is left of it.
func (c *Cluster) finishJoin(ctx context.Context, i intent) error {
	select {
	case c.joinSlot <- struct{}{}:
		defer func() { <-c.joinSlot }()
	default:
		return errors.New("join: another join is in progress; mccd status tells of it")
	}
	m := c.current.Load()
	m.joining.Store(true) // two nodes that join each other: both are refused
	c.joinState.begin(i.Peers)
	err := c.prepareJoin(ctx, i)
	if err == nil {
		c.joinState.step("entering")
		err = c.change(ctx, m, func(context.Context) error { return c.folders.replace(joiningFolder) })
	}
	c.joinState.end(err)
	if err != nil {
		m.joining.Store(false)
		if ready, rerr := exists(filepath.Join(c.folders.path(joiningFolder), readyFile)); rerr == nil && !ready && !c.retried(err) {
			err = errors.Join(err, c.folders.clear(joiningFolder))
		}
		return fmt.Errorf("join: %w", err)
	}
	return nil
}

// retried reports whether a start is to ask again: the cluster may have
// admitted the node without its hearing of it.
func (c *Cluster) retried(err error) bool {
	return !errors.Is(err, errRefused) && !errors.Is(err, errNeverAsked)
}

// errNeverAsked tells that no peer was reached with the request.
var errNeverAsked = errors.New("no peer answered")

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
	key, err := folder.PendingKey()
	if err != nil {
		return err
	}
	var errs []error
	asked := false
	for _, addr := range i.Peers {
		c.joinState.step("asking " + addr)
		answer, sent, err := c.ask(ctx, addr, i, token, key)
		asked = asked || sent
		if err == nil {
			return c.keepAdmission(folder, dir, answer.GetIdentity(), key)
		}
		errs = append(errs, fmt.Errorf("peer %s: %w", addr, err))
		if errors.Is(err, errRefused) {
			return errors.Join(errs...)
		}
	}
	if !asked {
		errs = append([]error{errNeverAsked}, errs...)
	}
	return errors.Join(errs...)
}

// ask asks one peer for admission; sent tells that it may have got the
// request.
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
	signature, err := key.Signer().Sign(rand.Reader, proof(c.id, i.JoinKey), crypto.Hash(0))
	if err != nil {
		return nil, false, err
	}
	answer, err := clusterv1.NewClusterClient(conn).Join(ctx, &clusterv1.JoinRequest{
		TokenHash: token.Hash(), JoinKey: i.JoinKey, Address: addressToProto(c.id, c.current.Load().own()),
		Name: c.cfg.Name, Zone: c.cfg.Zone, Weight: uint32(c.cfg.Weight), DriveBytes: c.cfg.DriveBytes,
		PublicKey: key.Public(), Signature: signature, Release: c.cfg.Release,
		MinVersion: minVersion, MaxVersion: clusterVersion,
	})
	switch st := status.Convert(err); st.Code() {
	case codes.OK:
		return answer, true, nil
	case codes.PermissionDenied, codes.InvalidArgument, codes.AlreadyExists, codes.FailedPrecondition, codes.Unimplemented:
		return nil, true, fmt.Errorf("%w: %s", errRefused, st.Message())
	default:
		return nil, true, errors.New(st.Message())
	}
}

// keepAdmission writes the membership that the cluster gave; ready comes last.
func (c *Cluster) keepAdmission(folder *identity.Folder, dir string, p *clusterv1.Identity, key identity.NodeKey) error {
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
	if err := folder.Save(id); err != nil {
		return err
	}
	b := openBook(dir, c.log)
	for _, a := range p.GetAddresses() {
		b.put(a.GetId(), placeFromProto(a))
	}
	b.save()
	if err := consensus.SaveState(filepath.Join(dir, stateFile), st); err != nil {
		return err
	}
	return c.folders.markReady(joiningFolder)
}

// endJoin forgets the intent and the former membership: the join is done.
func (m *membership) endJoin() error {
	if err := removeFile(filepath.Join(m.dir, intentFile)); err != nil {
		return err
	}
	m.joining.Store(false)
	return m.c.folders.clear(formerFolder)
}

// resume goes on with a join that an earlier run began, and joins by the
// configuration where that says so, until it is done or refused.
func (c *Cluster) resume(ctx context.Context) {
	i, pending, err := loadIntent(c.folders.path(joiningFolder))
	if err != nil {
		c.log.Error("go on with a join", "err", err)
		return
	}
	if !pending && c.cfg.Token == "" {
		return
	}
	if !pending {
		token, err := identity.ParseToken(c.cfg.Token)
		if err != nil {
			c.log.Error("join by the configuration", "err", err)
			return
		}
		if m := c.current.Load(); m.in(token) || len(m.others()) > 0 || len(c.cfg.Join) == 0 {
			return
		}
		i = newIntent(c.cfg.Join, c.cfg.Token)
	}
	for wait := time.Second; ; wait = min(wait*3/2, announceMax) {
		err := c.finishJoin(ctx, c.located(i))
		if err == nil || ctx.Err() != nil {
			return
		}
		if errors.Is(err, errRefused) {
			c.log.Error("not admitted; this node stays alone", "err", err)
			return
		}
		c.log.Warn("join later", "err", err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// located gives the peers of i their ports.
func (c *Cluster) located(i intent) intent {
	var peers []string
	for _, p := range i.Peers {
		if addr, err := withPort(p); err == nil {
			peers = append(peers, addr)
		}
	}
	i.Peers = peers
	return i
}
