package consensus

import (
	"fmt"
	"io"
	"log/slog"
	"sync"

	"github.com/hashicorp/raft"

	"github.com/mccd/mccd/cluster/state"
)

// machine is what Raft applies committed entries to. A command that it cannot
// read halts it: from then on it consumes entries without applying any and
// gives no snapshot, so that the log is kept, Raft goes on voting and storing,
// and the upgraded node applies them at its start.
type machine struct {
	log *slog.Logger
	// show gets each new State; it must not block.
	show func(*state.State)
	// changed is called for every other change worth telling.
	changed func()

	mu     sync.Mutex // guards what follows
	state  *state.State
	seen   uint64 // the index of the last entry that Raft gave
	halted error
}

func newMachine(log *slog.Logger, show func(*state.State), changed func()) *machine {
	return &machine{log: log, show: show, changed: changed, state: &state.State{}}
}

// Apply returns a state.Result, or the error for which it halted.
func (m *machine) Apply(l *raft.Log) any {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.seen = l.Index
	if m.halted != nil {
		return m.halted
	}
	if _, _, err := state.Decode(l.Data); err != nil {
		m.halted = fmt.Errorf("%w at index %d: %w", ErrHalted, l.Index, err)
		m.log.Error("a command in the log cannot be read: nothing more is applied until this node is upgraded", "index", l.Index, "err", err)
		m.changed()
		return m.halted
	}
	next, result := state.Apply(m.state, l.Data, l.Index)
	if next != m.state {
		m.state = next
		m.show(next)
	}
	return result
}

// StoreConfiguration only tells that Raft's servers changed.
func (m *machine) StoreConfiguration(index uint64, _ raft.Configuration) {
	m.mu.Lock()
	m.seen = index
	m.mu.Unlock()
	m.changed()
}

// Snapshot fails while halted: the log must not be cut past what this node
// could not read.
func (m *machine) Snapshot() (raft.FSMSnapshot, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.halted != nil {
		return nil, m.halted
	}
	return &frozen{m.state}, nil
}

// Restore takes the State of a snapshot, of this format or an older one. One
// of a newer release halts the node, as a command of it would.
func (m *machine) Restore(snapshot io.ReadCloser) error {
	st, err := readSnapshot(snapshot)
	m.mu.Lock()
	defer m.mu.Unlock()
	if err != nil {
		m.halted = fmt.Errorf("%w: open snapshot: %w", ErrHalted, err)
		m.log.Error("a snapshot of the cluster's state cannot be read", "err", err)
		m.changed()
		return err
	}
	m.state, m.seen, m.halted = st, max(m.seen, st.Index), nil
	m.show(st)
	return nil
}

func readSnapshot(r io.Reader) (*state.State, error) {
	raw, err := io.ReadAll(io.LimitReader(r, state.MaxState+1))
	if err != nil {
		return nil, err
	}
	return state.Unmarshal(raw)
}

func (m *machine) now() (st *state.State, seen uint64, halted error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.state, m.seen, m.halted
}

// frozen is a State on its way into a snapshot.
type frozen struct{ state *state.State }

func (f *frozen) Persist(sink raft.SnapshotSink) error {
	if _, err := sink.Write(state.Marshal(f.state)); err != nil {
		_ = sink.Cancel()
		return err
	}
	return sink.Close()
}

func (f *frozen) Release() {}
