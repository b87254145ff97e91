package cluster

import (
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	"github.com/mccd/mccd/cluster/identity"
	"github.com/mccd/mccd/cluster/state"
	clusterv1 "github.com/mccd/mccd/proto/mccd/cluster/v1"
)

// thief is who holds a stolen identity and calls the nodes with it.
func (w *world) thief(id identity.Identity, at *member) clusterv1.ClusterClient {
	w.t.Helper()
	cert := id.TLSCertificate()
	conn, err := grpc.NewClient("passthrough:///"+at.addr, grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{
		InsecureSkipVerify: true, MinVersion: tls.VersionTLS13,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &cert, nil },
	})))
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = conn.Close() })
	return clusterv1.NewClusterClient(conn)
}

// forge makes an identity of its own id by the authority that n, like every
// node, can open.
func (n *member) forge(id string) identity.Identity {
	n.w.t.Helper()
	own, st := *n.current.Load().id.Load(), n.State()
	ca, err := identity.OpenCA(st.Trust.CAs[0], st.Trust.SealedKey, own.Sealing)
	if err != nil {
		n.w.t.Fatal(err)
	}
	key, err := identity.NewNodeKey()
	if err != nil {
		n.w.t.Fatal(err)
	}
	der, err := ca.Sign(key.Public(), st.ClusterID, id, n.w.now(), DefaultCertLife)
	if err != nil {
		n.w.t.Fatal(err)
	}
	return identity.Identity{ClusterID: st.ClusterID, NodeID: id, Key: key, Cert: der, CAs: st.Trust.CAs, Sealing: own.Sealing}
}

// TestForgedNode: a certificate of the cluster's authority for an id that
// nobody has admitted may announce itself and nothing else.
func TestForgedNode(t *testing.T) {
	w := newWorld(t)
	all := w.form(2)
	forged := all[1].forge("00112233445566778899aabbccddeeff")
	w.refuses("forged", all, forged)
	create, err := state.Encode(state.CreateToken{Token: state.Token{ID: "01234567", Hash: strings.Repeat("a", 64), Uses: -1}}, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range all {
		client := w.thief(forged, n)
		for name, call := range map[string]func() error{
			"read":   func() error { _, err := client.Read(w.ctx(), &clusterv1.ReadRequest{}); return err },
			"submit": func() error { _, err := client.Submit(w.ctx(), &clusterv1.SubmitRequest{Command: create}); return err },
			"stage": func() error {
				_, err := client.Stage(w.ctx(), &clusterv1.StageRequest{SealingKey: make([]byte, 32)})
				return err
			},
			"stats": func() error { _, err := client.Stats(w.ctx(), &clusterv1.StatsRequest{}); return err },
			"renew": func() error {
				_, err := client.Renew(w.ctx(), &clusterv1.RenewRequest{PublicKey: forged.Key.Public()})
				return err
			},
		} {
			if err := w.firm(call); status.Code(err) != codes.PermissionDenied {
				t.Errorf("%s at %s: %v", name, n.cfg.Name, err)
			}
		}
		var answer *clusterv1.AnnounceResponse
		w.must(func() (err error) { answer, err = client.Announce(w.ctx(), &clusterv1.AnnounceRequest{}); return err })
		if answer.GetId() != n.ID() {
			t.Errorf("announce at %s: %v", n.cfg.Name, answer)
		}
	}
	if n := len(all[0].State().Tokens); n != 1 {
		t.Errorf("%d tokens", n)
	}
}

// TestMemberFounds: what no member may have written for it is refused.
func TestMemberFounds(t *testing.T) {
	w := newWorld(t)
	all := w.form(2)
	leads, rest := w.leader(all...)
	client, err := rest[0].current.Load().reached(w.ctx(), leads.ID())
	if err != nil {
		t.Fatal(err)
	}
	for name, cmd := range map[string]state.Command{
		"init":      state.Init{ClusterID: strings.Repeat("a", 32)},
		"authority": state.SetTrust{Expect: state.TrustDigest(leads.State().Trust), Trust: state.Trust{CAs: [][]byte{{1}}, SealedKey: leads.State().Trust.SealedKey}},
	} {
		raw, err := state.Encode(cmd, 0)
		if err != nil {
			t.Fatal(err)
		}
		before := leads.current.Load().raft.Quorum().LastIndex
		answer, err := client.Submit(w.ctx(), &clusterv1.SubmitRequest{Command: raw})
		if err != nil || answer.GetCode() == "" || answer.GetIndex() != 0 {
			t.Errorf("%s, after %d: %v, %v", name, before, answer, err)
		}
	}
}

// TestTokenHash: what every node keeps of a token admits nobody, and a token
// that nobody made costs the log nothing.
func TestTokenHash(t *testing.T) {
	w := newWorld(t)
	all := w.form(2)
	a := all[0]
	hash := a.State().Tokens[0].Hash
	made, err := identity.NewToken(identity.Digest(a.State().Trust.CAs[0]))
	if err != nil {
		t.Fatal(err)
	}
	joiner := w.start(w.config("joiner"))
	index := func() uint64 { return a.current.Load().raft.Quorum().LastIndex }
	before := index()
	for range 5 {
		w.wants(w.firm(func() error { return joiner.Join(w.ctx(), []string{a.addr}, made.Reveal()) }), "not one of this cluster")
	}
	if after := index(); after >= before+5 {
		t.Errorf("%d entries for five strangers", after-before)
	}
	key, err := identity.NewNodeKey()
	if err != nil {
		t.Fatal(err)
	}
	client := w.thief(identity.Identity{}, a)
	for name, token := range map[string]string{"hash": hash, "hash as a token": "MCCD1-" + made.CADigest + "-" + hash[:36], "none": ""} {
		_, err := client.Join(w.ctx(), &clusterv1.JoinRequest{Token: token, JoinKey: hash[:32], PublicKey: key.Public(), Name: "x"})
		if status.Code(err) == codes.OK || strings.Contains(fmt.Sprint(err), hash) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestExpelHindered: a member that stages keys all the time cannot keep the
// others from replacing what it knows.
func TestExpelHindered(t *testing.T) {
	w := newWorld(t)
	all := w.form(3)
	w.voters(3, all...)
	bad, stays := all[2], all[:2]
	st := bad.State()
	for _, n := range stays {
		client, err := bad.current.Load().node(n.ID())
		if err != nil {
			t.Fatal(err)
		}
		w.must(func() error {
			_, err := client.Stage(w.ctx(), &clusterv1.StageRequest{SealingKey: slices.Repeat([]byte{7}, 32)})
			return err
		})
	}
	w.must(func() error { return stays[0].Remove(w.ctx(), bad.ID(), true) })
	w.settled(stays...)
	now := stays[0].State()
	rec, _ := now.Node(bad.ID())
	if !rec.Removed || now.SealingKeyID == st.SealingKeyID || slices.Equal(now.Trust.CAs[0], st.Trust.CAs[0]) {
		t.Errorf("removed %t, sealing key %s, was %s", rec.Removed, now.SealingKeyID, st.SealingKeyID)
	}
	if i := slices.IndexFunc(now.Tokens, func(t state.Token) bool { return !t.Revoked }); i >= 0 {
		t.Errorf("token %s is good still", now.Tokens[i].ID)
	}
	stays[1].writes()
}

// TestRemoveLeader: a leader is removed like any other node; its answer may be
// lost with its connections.
func TestRemoveLeader(t *testing.T) {
	for name, compromised := range map[string]bool{"removed": false, "compromised": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			all := w.form(3)
			w.voters(3, all...)
			leads, rest := w.leader(all...)
			before := leads.State()
			w.must(func() error { return rest[0].Remove(w.ctx(), leads.ID(), compromised) })
			w.agreedBut(leads, rest...)
			w.settled(rest...)
			now := rest[0].State()
			if replaced := now.SealingKeyID != before.SealingKeyID; replaced != compromised {
				t.Errorf("sealing key replaced: %t", replaced)
			}
			rest[1].writes()
		})
	}
}

// TestGenerationLie: a number alone costs no node its log, and another history
// of the same generation is told of.
func TestGenerationLie(t *testing.T) {
	w := newWorld(t)
	all := w.form(3)
	liar, told := all[2], all[:2]
	was := []*membership{told[0].current.Load(), told[1].current.Load()}
	say := func(generation uint32, recovery string) {
		for _, n := range told {
			m := liar.current.Load()
			client, err := m.node(n.ID())
			if err != nil {
				t.Fatal(err)
			}
			w.must(func() error {
				_, err := client.Announce(w.ctx(), &clusterv1.AnnounceRequest{
					Address: addressToProto(liar.ID(), m.own()), ClusterId: m.id.Load().ClusterID, Generation: generation, RecoveryId: recovery,
				})
				return err
			})
		}
	}
	say(told[0].State().Generation+77, "")
	w.await("it is not believed", func() error {
		if strings.Count(w.logs.String(), "does not prove it") < 2 {
			return errors.New("not said yet")
		}
		return nil
	})
	for i, n := range told {
		// The liar tells the truth by itself now and then, and the warning goes.
		w.await(n.cfg.Name+" warns", func() error {
			say(n.State().Generation, "0123456789abcdef")
			s, err := n.ClusterStatus(w.ctx())
			if err != nil || !slices.ContainsFunc(s.Warnings, func(s string) bool { return strings.Contains(s, "another recovery") }) {
				return fmt.Errorf("of %q, %w", s.Warnings, err)
			}
			return nil
		})
		if n.current.Load() != was[i] || n.file(memberFolder, raftFolder+formerSuffix) {
			t.Errorf("%s has given up its log", n.cfg.Name)
		}
	}
	told[0].writes()
}

// TestReplaceUnheard: a node that gossip does not hear is living none the less.
func TestReplaceUnheard(t *testing.T) {
	w := newWorld(t)
	var cut sync.Map // gossip addresses
	all := w.form(2, func(_ int, cfg *Config) {
		cfg.Allow = func(addr string) bool { _, no := cut.Load(addr); return !no }
	})
	a, b := all[0], all[1]
	cut.Store(a.GossipAddr(), true)
	cut.Store(b.GossipAddr(), true)
	w.await("gossip has lost it", func() error {
		if a.current.Load().alive(b.ID()) {
			return errors.New("not yet")
		}
		return nil
	})
	twin := w.start(w.config("b"))
	token := a.token(state.TokenSpec{Uses: -1})
	join := func() error { return twin.Join(w.ctx(), []string{a.addr}, token) }
	w.wants(w.firm(join), "a node of this name")
	a.current.Load().settled.Store(false)
	w.wants(w.firm(join), "only just started")
	a.current.Load().settled.Store(true)
	if rec, _ := a.State().Node(b.ID()); !rec.Member() {
		t.Errorf("b is %s", rec.State)
	}
}
