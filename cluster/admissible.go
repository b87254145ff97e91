package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/mccd/mccd/cluster/identity"
	"github.com/mccd/mccd/cluster/state"
	clusterv1 "github.com/mccd/mccd/proto/mccd/cluster/v1"
)

const (
	// tokenPatience is how long a token that is not known here is waited for: it
	// may have been made a moment ago, elsewhere.
	tokenPatience = time.Second
	// strangersAtOnce bounds those who wait so, admissionsAtOnce the others.
	strangersAtOnce, admissionsAtOnce = 8, 32
	// livingTimeout bounds the question whether a node lives that is to be
	// replaced.
	livingTimeout = time.Second
)

// errBusy puts off who asks for admission.
var errBusy = errors.New("many nodes ask for admission at this moment: try again")

// doors bound the admissions in progress.
type doors struct{ strangers, admissions chan struct{} }

func newDoors() doors {
	return doors{strangers: make(chan struct{}, strangersAtOnce), admissions: make(chan struct{}, admissionsAtOnce)}
}

// pass takes a place in door; false = it is full.
func pass(door chan struct{}) (leave func(), ok bool) {
	select {
	case door <- struct{}{}:
		return func() { <-door }, true
	default:
		return nil, false
	}
}

// admissible refuses a token that cannot admit before anything is written or
// computed for a stranger. What it lets pass is decided by the leader's log.
func (m *membership) admissible(ctx context.Context, token identity.Token, joinKey string) error {
	t, known := m.tokenOf(token)
	if !known {
		leave, ok := pass(m.c.doors.strangers)
		if !ok {
			return fmt.Errorf("%w: %w", state.ErrNoCluster, errBusy)
		}
		defer leave()
		if t, known = m.awaitToken(ctx, token); !known {
			if !m.raft.Quorum().HasLeader {
				return m.noQuorum(errors.New("the token is not known here"))
			}
			return state.ErrTokenUnknown
		}
	}
	switch {
	case slices.Contains(t.Joined, joinKey): // asked again
	case t.Revoked:
		return state.ErrTokenRevoked
	case t.Uses == 0:
		return state.ErrTokenUsedUp
	}
	return nil
}

// tokenOf returns the record of a token that is for this cluster.
func (m *membership) tokenOf(token identity.Token) (state.Token, bool) {
	st, hash := m.state(), token.Hash()
	if !slices.ContainsFunc(st.Trust.CAs, func(der []byte) bool { return identity.Digest(der) == token.CADigest }) {
		return state.Token{}, false
	}
	i := slices.IndexFunc(st.Tokens, func(t state.Token) bool { return t.Hash == hash })
	if i < 0 {
		return state.Token{}, false
	}
	return st.Tokens[i], true
}

func (m *membership) awaitToken(ctx context.Context, token identity.Token) (t state.Token, known bool) {
	ctx, cancel := context.WithTimeout(ctx, tokenPatience)
	defer cancel()
	for ctx.Err() == nil && !known {
		pause(ctx, 20*time.Millisecond)
		t, known = m.tokenOf(token)
	}
	return t, known
}

// replaced returns the id of the dead node of the same name that node takes
// the place of, empty for none; a living one is never replaced.
func (m *membership) replaced(ctx context.Context, node state.Node) (string, error) {
	for _, n := range m.state().Nodes {
		if n.Name != node.Name || n.ID == node.ID || n.ID == "" || n.State == state.Left {
			continue
		}
		if !m.settled.Load() {
			return "", fmt.Errorf("%w: it has only just started and does not know yet who lives; try again", state.ErrNoCluster)
		}
		if m.lives(ctx, n.ID) {
			return "", fmt.Errorf("%w (%s)", state.ErrNameTaken, n.Name)
		}
		return n.ID, nil
	}
	return "", nil
}

// lives asks whether the node id is there: gossip, and where that does not
// know it, the node itself, since gossip may be blocked where TCP is not.
func (m *membership) lives(ctx context.Context, id string) bool {
	if m.alive(id) {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, livingTimeout)
	defer cancel()
	client, err := m.reached(ctx, id)
	if err != nil {
		return false
	}
	answer, err := client.Announce(ctx, &clusterv1.AnnounceRequest{})
	return err == nil && answer.GetId() == id
}

// hostOf is an address without its port.
func hostOf(addr string) string {
	if host, _, err := net.SplitHostPort(addr); err == nil {
		return host
	}
	return addr
}
