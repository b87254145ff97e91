package cluster

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/mccd/mccd/cluster/identity"
	"github.com/mccd/mccd/cluster/state"
	"github.com/mccd/mccd/cluster/wire"
	"github.com/mccd/mccd/ring"
)

// phases records the phases of the gossip key's rotations, as n applies them.
func (w *world) phases(n *member) (stop func() []state.RotationPhase) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan []state.RotationPhase)
	version := n.State().Gossip.Version
	go func() {
		var seen []state.RotationPhase
		for ended := false; !ended; {
			ended = ctx.Err() != nil // one look more: this may have stood still
			if k := n.State().Gossip; k.Version != version {
				seen, version = append(seen, k.Phase), k.Version
			}
			pause(ctx, 1e6)
		}
		done <- seen
	}()
	return func() []state.RotationPhase { cancel(); return <-done }
}

// writing submits at n all the time; stop tells what went wrong.
func (w *world) writing(n *member) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	written := 0
	wg.Go(func() {
		for ctx.Err() == nil {
			_, err := n.Purge(context.Background(), state.PurgeSpec{Host: "h", Path: fmt.Sprint("/", written)})
			switch {
			case err == nil:
				written++
			case !errors.Is(err, state.ErrUnknownOutcome) && !errors.Is(err, state.ErrNoQuorum): // a slow machine changes its leader
				w.t.Errorf("a write at %s: %v", n.cfg.Name, err)
				return
			}
			pause(ctx, 5e6)
		}
	})
	return func() {
		cancel()
		wg.Wait()
		if written == 0 {
			w.t.Error("nothing was written meanwhile")
		}
	}
}

// watching fails the test when one of all sees another one not alive.
func (w *world) watching(all ...*member) (stop func()) {
	var ends []func()
	for _, n := range all {
		views, cancel := n.Subscribe()
		ctx, end := context.WithCancel(context.Background())
		var wg sync.WaitGroup
		wg.Go(func() {
			defer cancel()
			for {
				select {
				case <-ctx.Done():
					return
				case v := <-views:
					for _, other := range all {
						if seen, ok := v.ByID(other.ID()); !ok || seen.State != ring.Alive {
							w.t.Errorf("%s does not see %s alive", n.cfg.Name, other.cfg.Name)
						}
					}
				}
			}
		})
		ends = append(ends, func() { end(); wg.Wait() })
	}
	return func() {
		for _, end := range ends {
			end()
		}
	}
}

// unhurried has a node suspected for so long that one which stands still for a
// second or two is not given up.
func unhurried(_ int, cfg *Config) { cfg.Timing.SuspicionMult = 30 }

// settled waits until all have the keys of the state, and the same.
func (w *world) settled(all ...*member) {
	w.t.Helper()
	w.await("all keys taken", func() error {
		for _, n := range all {
			m, st := n.current.Load(), n.State()
			id := m.id.Load()
			switch {
			case st.Gossip.Phase != state.Settled:
				return fmt.Errorf("%s: phase %d", n.cfg.Name, st.Gossip.Phase)
			case st.Gossip.Version != all[0].State().Gossip.Version || m.keyring.Load() != st.Gossip.Version:
				return fmt.Errorf("%s: keyring %d of %d", n.cfg.Name, m.keyring.Load(), st.Gossip.Version)
			case st.SealingKeyID != id.Sealing.ID() || st.SealingKeyID != all[0].State().SealingKeyID:
				return fmt.Errorf("%s: another sealing key", n.cfg.Name)
			case !slices.EqualFunc(st.Trust.CAs, id.CAs, slices.Equal):
				return fmt.Errorf("%s: other authorities", n.cfg.Name)
			}
			leaf, err := x509.ParseCertificate(id.Cert)
			if err != nil {
				return err
			}
			if _, _, err := identity.CheckPeer(leaf, st.Trust.CAs, st.ClusterID, n.Cluster.cfg.Now()); err != nil {
				return fmt.Errorf("%s: own certificate: %w", n.cfg.Name, err)
			}
		}
		return nil
	})
}

func TestRotateEach(t *testing.T) {
	w := newWorld(t)
	all := w.form(3, unhurried)
	w.voters(3, all...)
	stopWriting, stopWatching, phases := w.writing(all[1]), w.watching(all...), w.phases(all[0])
	before := all[0].State()
	for i, what := range []string{"gossip", "sealing", "ca"} {
		w.await("rotate "+what, func() error { return all[i].Rotate(w.ctx(), what) })
		w.settled(all...)
	}
	stopWriting()
	stopWatching()
	if got, want := phases(), []state.RotationPhase{state.Introduced, state.Switched, state.Settled}; !slices.Equal(got, want) {
		t.Errorf("phases %v, want %v", got, want)
	}
	after := all[0].State()
	if slices.Equal(before.Trust.CAs[0], after.Trust.CAs[0]) || before.SealingKeyID == after.SealingKeyID {
		t.Error("a key is what it was")
	}
	w.wants(all[0].Rotate(w.ctx(), "all"), "want gossip, sealing or ca")
	// Whoever joins now gets the new ones.
	d := w.start(w.config("d"))
	d.joins(all[1].token(state.TokenSpec{}), all[2].addr)
	w.agreed(append(all, d)...)
	w.settled(append(all, d)...)
}

// TestRotateTwice: of two rotations of the sealing key at once at least one is
// refused or both follow each other, and nobody is left without the key.
func TestRotateTwice(t *testing.T) {
	w := newWorld(t)
	all := w.form(3)
	var wg sync.WaitGroup
	for _, n := range all {
		wg.Go(func() { t.Log(n.Rotate(w.ctx(), "sealing")) })
	}
	wg.Wait()
	w.settled(all...)
}

// TestRotateAway: a node that was down while everything was rotated takes it
// when it is back, also where the others' nodes are new to it.
func TestRotateAway(t *testing.T) {
	w := newWorld(t)
	all := w.form(3)
	w.voters(3, all...)
	leads, rest := w.leader(all...)
	away, stays := rest[0], []*member{leads, rest[1]}
	away.halt()
	for _, what := range []string{"sealing", "ca", "gossip"} {
		// One of three is away: a pause of another costs the quorum for a moment.
		w.await("rotate "+what, func() error { return stays[1].Rotate(w.ctx(), what) })
		w.settled(stays...)
	}
	d := w.start(w.config("d"))
	d.joins(stays[0].token(state.TokenSpec{}), stays[0].addr)
	away.restart()
	w.agreed(append(stays, d, away)...)
	w.settled(append(stays, d, away)...)
}

// TestRotateLeaderKilled: a leader that dies right after a rotation began
// leaves nothing undone.
func TestRotateLeaderKilled(t *testing.T) {
	for _, what := range []string{"gossip", "sealing", "ca"} {
		t.Run(what, func(t *testing.T) {
			w := newWorld(t)
			all := w.form(3)
			w.voters(3, all...)
			leads, rest := w.leader(all...)
			w.await("rotate", func() error { return leads.Rotate(w.ctx(), what) })
			leads.halt()
			w.settled(rest...)
			leads.restart()
			w.agreed(all...)
			w.settled(all...)
		})
	}
}

// TestRemove: a removed node is refused everywhere and says so; the others
// rotate the gossip key and lose nobody.
func TestRemove(t *testing.T) {
	w := newWorld(t)
	all := w.form(3)
	w.voters(3, all...)
	gone, stays := all[2], all[:2]
	phases := w.phases(stays[0])
	for name, says := range map[string]string{"a": "mccd leave", "nobody": "no such node"} {
		var err error
		w.await("a leader answers", func() error {
			if err = stays[0].Remove(w.ctx(), name, false); errors.Is(err, state.ErrNoQuorum) {
				return err
			}
			return nil
		})
		w.wants(err, says)
	}
	w.await("c is removed", func() error { return stays[0].Remove(w.ctx(), gone.ID(), false) })
	w.agreed(stays...)
	w.settled(stays...)
	if got := phases(); len(got) < 3 || !slices.Equal(got[:3], []state.RotationPhase{state.Introduced, state.Switched, state.Settled}) {
		t.Errorf("phases %v", got)
	}
	w.await("the removed node knows", func() error {
		s, err := gone.ClusterStatus(w.ctx())
		if err != nil || !gone.current.Load().removed() || len(s.Warnings) == 0 {
			return fmt.Errorf("%+v, %w", s.Warnings, errors.Join(err, errors.New("not yet")))
		}
		return nil
	})
	err := gone.ask(w, stays[0])
	w.wants(err, state.ErrNodeRemoved.Error())
	if _, err := gone.DialNode(w.ctx(), stays[0].ID(), stays[0].addr); err != nil {
		t.Logf("dial: %v", err)
	}
	if _, err := gone.current.Load().stream.Dial(w.ctx(), stays[0].ID()); err == nil {
		t.Error("its Raft is taken in")
	}
	// Told to leave for good, or joined again by a new token, it is well again.
	gone.joins(stays[0].token(state.TokenSpec{}), stays[0].addr)
	w.agreed(all...)
}

// ask calls n's control side as the node itself does, and returns the refusal.
func (n *member) ask(w *world, at *member) error {
	var refusal error
	w.await("an answer", func() error {
		m := n.current.Load()
		_, err := m.statsOf(w.ctx(), at.ID())
		if refusal = err; err == nil {
			return errors.New("it is answered still")
		}
		if momentary(err) && !strings.Contains(err.Error(), state.ErrNodeRemoved.Error()) {
			return err
		}
		return nil
	})
	return refusal
}

// TestRemoveCompromised: everything that the removed node knew is of no use.
func TestRemoveCompromised(t *testing.T) {
	w := newWorld(t)
	all := w.form(4, unhurried)
	w.voters(3, all...)
	bad, down, stays := all[3], all[2], all[:2]
	token := stays[0].token(state.TokenSpec{Uses: -1})
	stolen, st := *bad.current.Load().id.Load(), bad.State()
	ca, err := identity.OpenCA(st.Trust.CAs[0], st.Trust.SealedKey, stolen.Sealing)
	if err != nil {
		t.Fatal(err)
	}
	bad.halt()
	// Had it a vote, another one gets it before it loses it: of four voters for a
	// moment, two would be too few.
	w.await("it has no vote", func() error {
		for _, n := range all[:3] {
			if q := n.current.Load().raft.Quorum(); len(q.Voters) != 3 || slices.Contains(q.Voters, bad.ID()) {
				return fmt.Errorf("voters %v", q.Voters)
			}
		}
		return nil
	})
	if leads, _ := w.leader(all[:3]...); leads == down {
		down, stays = all[0], []*member{all[1], all[2]}
	}
	down.halt()
	stop := w.watching(stays...)
	w.await("it is removed", func() error { return stays[0].Remove(w.ctx(), bad.ID(), true) })
	w.settled(stays...)
	stop()
	now := stays[0].State()
	if now.SealingKeyID == st.SealingKeyID || slices.Equal(now.Trust.CAs[0], st.Trust.CAs[0]) || now.Gossip.Version < st.Gossip.Version+3 {
		t.Error("a key is what it was")
	}
	if _, err := stolen.Sealing.Open(keyringPurpose, now.Gossip.Sealed); err == nil {
		t.Error("the stolen sealing key opens the new gossip keys")
	}
	for _, tok := range now.Tokens {
		if !tok.Revoked {
			t.Errorf("token %s is good still", tok.ID)
		}
	}
	joiner := w.start(w.config("joiner"))
	if err := joiner.Join(w.ctx(), []string{stays[0].addr}, token); err == nil {
		t.Error("a token of the former authority admits")
	}
	// The one that was away takes everything.
	down.restart()
	w.agreedBut(bad, append(stays, down)...)
	w.settled(append(stays, down)...)
	// What was stolen, with a certificate for a known node, an unknown one,
	// and its own.
	key, err := identity.NewNodeKey()
	if err != nil {
		t.Fatal(err)
	}
	for name, id := range map[string]string{"known": down.ID(), "unknown": "00112233445566778899aabbccddeeff", "own": bad.ID()} {
		der, err := ca.Sign(key.Public(), st.ClusterID, id, w.now(), DefaultCertLife)
		if err != nil {
			t.Fatal(err)
		}
		w.refuses(name, append(stays, down), identity.Identity{ClusterID: st.ClusterID, NodeID: id, Key: key, Cert: der, CAs: st.Trust.CAs, Sealing: stolen.Sealing})
	}
	w.refuses("its files", append(stays, down), stolen)
}

// refuses fails the test where a node takes id for a member.
func (w *world) refuses(name string, at []*member, id identity.Identity) {
	w.t.Helper()
	cert := id.TLSCertificate()
	for _, n := range at {
		conn, err := tls.Dial("tcp", n.addr, &tls.Config{
			InsecureSkipVerify: true, NextProtos: []string{wire.ProtocolRaft}, MinVersion: tls.VersionTLS13,
			GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &cert, nil },
		})
		if err != nil {
			continue
		}
		answer := make([]byte, 1)
		if _, err := conn.Read(answer); err == nil && answer[0] == 1 {
			w.t.Errorf("%s: %s takes it in", name, n.cfg.Name)
		}
		_ = conn.Close()
	}
}
