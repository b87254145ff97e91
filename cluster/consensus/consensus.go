package consensus

import (
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"

	"github.com/mccd/mccd/cluster/state"
)

// Consensus is one node's part in the agreement. All methods are safe for
// concurrent use.
type Consensus struct {
	cfg     Config
	log     *slog.Logger
	library hclog.Logger
	store   *store
	machine *machine
	metrics *metrics

	shown   atomic.Pointer[state.State] // never nil
	raft    atomic.Pointer[raft.Raft]   // nil before Run
	trans   atomic.Pointer[patient]     // nil before Run
	opened  time.Time
	used    atomic.Bool   // Run or Close has begun
	stopped chan struct{} // closed when Run ends

	changes chan struct{} // of 1, for the caller
	wake    chan struct{} // of 1, for the steering
	dirty   chan struct{} // of 1, for the state file
}

// New opens the folder and the last State. In an empty folder with a Bootstrap
// it makes the cluster of one, which stands when New returns. It starts no
// goroutine; of what it returns, Run or Close must be called.
func New(cfg Config) (*Consensus, error) {
	if err := cfg.check(); err != nil {
		return nil, fmt.Errorf("consensus: %w", err)
	}
	cfg.Timing = cfg.Timing.withDefaults()
	if cfg.MaxVoters == 0 {
		cfg.MaxVoters = 5
	}
	c := &Consensus{
		cfg: cfg, log: cfg.Logger, opened: time.Now(), stopped: make(chan struct{}),
		changes: make(chan struct{}, 1), wake: make(chan struct{}, 1), dirty: make(chan struct{}, 1),
	}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	c.library = libraryLog(c.log)
	last, aside, err := loadState(cfg.StateFile)
	if err != nil {
		return nil, err
	}
	if aside != nil {
		c.log.Error("the last state is damaged: it comes again from the cluster", "err", aside)
	}
	c.shown.Store(last)
	c.machine = newMachine(c.log, c.show, c.changed)
	if err := raft.ValidateConfig(c.raftConfig()); err != nil {
		return nil, fmt.Errorf("consensus: %w", err)
	}
	if c.store, err = openStore(cfg.Dir, c.library); err != nil {
		return nil, err
	}
	if err := c.bootstrap(); err != nil {
		return nil, errors.Join(err, c.store.Close())
	}
	c.metrics = newMetrics(c)
	return c, nil
}

// bootstrap writes the log of a cluster of one where there is none: this node
// the only voter, and the founding command behind it. Both are in the log at
// once or not at all; agreed they are since nobody else has a vote.
func (c *Consensus) bootstrap() error {
	empty, err := c.store.empty()
	if err != nil || !empty || c.cfg.Bootstrap == nil {
		return err
	}
	raw, err := state.Encode(*c.cfg.Bootstrap, time.Now().Unix())
	if err != nil {
		return fmt.Errorf("found cluster: %w", err)
	}
	founded, result := state.Apply(&state.State{}, raw, 2)
	if result.Err != nil {
		return fmt.Errorf("found cluster: %w", result.Err)
	}
	term, err := c.store.term()
	if err != nil {
		return fmt.Errorf("found cluster: %w", err)
	}
	term = max(term, 1)
	if err := c.store.SetUint64([]byte(keyTerm), term); err != nil {
		return fmt.Errorf("found cluster: %w", err)
	}
	err = c.store.StoreLogs([]*raft.Log{
		{Index: 1, Term: term, Type: raft.LogConfiguration, Data: raft.EncodeConfiguration(sole(c.cfg.ID))},
		{Index: 2, Term: term, Type: raft.LogCommand, Data: raw},
	})
	if err != nil {
		return fmt.Errorf("found cluster: %w", err)
	}
	if last := c.shown.Load(); last.ClusterID != founded.ClusterID || further(founded, last) {
		c.shown.Store(founded)
		return saveState(c.cfg.StateFile, founded)
	}
	return nil
}

// sole is the configuration whose only voter is id.
func sole(id string) raft.Configuration {
	return raft.Configuration{Servers: []raft.Server{{Suffrage: raft.Voter, ID: raft.ServerID(id), Address: raft.ServerAddress(id)}}}
}

// Close releases the files and the Stream of what was never run. After Run it
// does nothing.
func (c *Consensus) Close() error {
	if c.used.Swap(true) {
		return nil
	}
	close(c.stopped)
	return errors.Join(c.store.Close(), c.cfg.Stream.Close())
}

// State returns the last State known, never nil and not to be modified: that
// of the file at first, then each that is applied. It never goes back, also
// where Raft applies older commands anew after a start.
func (c *Consensus) State() *state.State { return c.shown.Load() }

// Changes is signalled when the State, the leadership or Raft's servers have
// changed: signals that nobody took are one. It is never closed.
func (c *Consensus) Changes() <-chan struct{} { return c.changes }

// show publishes a State unless a later one is shown. Only Raft's applying
// goroutine calls it.
func (c *Consensus) show(st *state.State) {
	last := c.shown.Load()
	if further(last, st) {
		return
	}
	if last.ClusterID != "" && st.ClusterID != last.ClusterID {
		c.log.Error("the last state is of another cluster than Raft's log, which counts", "last", last.ClusterID, "log", st.ClusterID)
	}
	c.shown.Store(st)
	notify(c.dirty)
	c.changed()
}

func (c *Consensus) changed() {
	notify(c.changes)
	notify(c.wake)
}

func notify(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}
