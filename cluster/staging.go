package cluster

import (
	"fmt"
	"sync"
	"time"

	"github.com/mccd/mccd/cluster/identity"
	"github.com/mccd/mccd/cluster/state"
)

// stagedFor is how long a staged key keeps others out: longer than a rotation
// takes from its first key handed out to its command.
const stagedFor = 10 * time.Second

// staging is the sealing key that a rotation is about to name. Two rotations
// at once must not push each other's key out: the state would then name one
// that nobody has.
type staging struct {
	filing sync.Mutex // held while the identity's files are changed
	// key is the one staged last, by the node by, at the time at.
	key identity.SealingKey
	by  string
	at  time.Time
}

// stage keeps a key that a rotation of the node by is about to name, unless that
// of another node, which is one still, was staged just before.
func (m *membership) stage(key identity.SealingKey, by string) error {
	m.filing.Lock()
	defer m.filing.Unlock()
	n, known := m.newest().Node(m.by)
	if known && n.State != state.Left && !m.key.IsZero() && m.key.ID() != key.ID() && time.Since(m.at) < stagedFor {
		return fmt.Errorf("%w: another rotation is in progress", state.ErrConflict)
	}
	if err := m.folder.Stage(key); err != nil {
		return err
	}
	m.key, m.by, m.at = key, by, time.Now()
	return nil
}

// promoteStaged takes the staged key where the state names that one, and
// returns the identity as it is then.
func (m *membership) promoteStaged(id identity.Identity) (identity.Identity, error) {
	m.filing.Lock()
	defer m.filing.Unlock()
	want := m.state().SealingKeyID
	if want == "" || want == id.Sealing.ID() {
		return id, nil
	}
	staged, ok, err := m.folder.Staged()
	if err != nil || !ok || staged.ID() != want {
		return id, err
	}
	if id.Sealing, err = m.folder.Promote(); err != nil {
		return id, err
	}
	m.key = identity.SealingKey{}
	m.setIdentity(id)
	m.c.log.Info("took the new sealing key")
	return id, nil
}
