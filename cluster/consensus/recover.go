package consensus

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"math"

	"github.com/hashicorp/raft"

	"github.com/mccd/mccd/cluster/state"
)

// RecoverConfig names what Recover works on: the Dir, StateFile and ID of the
// node's Config.
type RecoverConfig struct {
	Dir, StateFile, ID string
	// Logger may be nil: no logs.
	Logger *slog.Logger
	// DryRun reports and changes nothing.
	DryRun bool
}

// Report is what a recovery found, and what may be lost.
type Report struct {
	// Applied is the index of the last command that this node knew to be
	// agreed, LastIndex that of its log's last entry. Uncommitted commands lie
	// between them that are not refused: they are kept, and may or may not
	// have been acknowledged.
	Applied, LastIndex uint64
	Uncommitted        int
	// Voters are who had a vote before, sorted.
	Voters []string
	// Generation is the recovery generation after it, RecoveryID what names
	// it; empty of a dry run.
	Generation uint32
	RecoveryID string
}

// Recover makes this node, whose Raft does not run, the only voter, with all
// that its log or its state file knows, whichever is further, and one recovery
// generation later. What other nodes alone have is lost: that nobody else
// recovers, or still votes, is the caller's to see to. A crash at any step
// leaves either the former folder or the recovered one, and it may be
// repeated. ErrHalted: the log holds what this release cannot read.
func Recover(cfg RecoverConfig) (Report, error) {
	log := cfg.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	report, err := recoverDir(cfg, log)
	if err != nil {
		return Report{}, fmt.Errorf("recover: %w", err)
	}
	return report, nil
}

func recoverDir(cfg RecoverConfig, log *slog.Logger) (report Report, err error) {
	kept, aside, err := loadState(cfg.StateFile)
	if err != nil {
		return report, err
	}
	if aside != nil {
		log.Warn("the last state is damaged: the log alone tells", "err", aside)
	}
	s, err := openStore(cfg.Dir, libraryLog(log))
	if err != nil {
		return report, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	found, err := s.replay(kept)
	if err != nil {
		return report, err
	}
	st := found.state
	if further(kept, st) {
		st = kept
	}
	if st.ClusterID == "" {
		return report, ErrRecoverEmpty
	}
	next := *st
	if next.Generation == math.MaxUint32 {
		return report, fmt.Errorf("%w: no recovery generation is left", state.ErrInvalid)
	}
	next.Generation++
	report = Report{
		Applied: kept.Index, LastIndex: max(found.index, kept.Index), Uncommitted: found.uncommitted,
		Voters: found.voters, Generation: next.Generation,
	}
	if cfg.DryRun {
		return report, nil
	}
	next.RecoveryID = newRecoveryID()
	report.RecoveryID = next.RecoveryID
	return report, s.implant(&next, cfg.StateFile, cfg.ID, found)
}

// newRecoveryID makes a name for what begins now: the same generation can be
// reached on two ways.
func newRecoveryID() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // it never fails
	return hex.EncodeToString(b[:])
}

// found is what a folder holds.
type found struct {
	state *state.State
	// index and term are of the last entry, snapshots included.
	index, term uint64
	uncommitted int
	voters      []string
}

// replay applies the newest snapshot that can be read and the whole log behind
// it, and counts the commands behind kept that are not refused.
func (s *store) replay(kept *state.State) (found, error) {
	f := found{state: &state.State{}}
	var configuration raft.Configuration
	snapshots, err := s.snapshots.List()
	if err != nil {
		return f, fmt.Errorf("open raft snapshots: %w", err)
	}
	for _, meta := range snapshots {
		_, source, err := s.snapshots.Open(meta.ID)
		if err != nil {
			continue
		}
		st, err := readSnapshot(source)
		_ = source.Close()
		if errors.Is(err, state.ErrVersion) {
			return f, fmt.Errorf("%w: open snapshot: %w", ErrHalted, err)
		}
		if err == nil {
			f.state, f.index, f.term, configuration = st, meta.Index, meta.Term, meta.Configuration
			break
		}
	}
	first, err := s.FirstIndex()
	if err != nil {
		return f, fmt.Errorf("read raft log: %w", err)
	}
	last, err := s.LastIndex()
	if err != nil {
		return f, fmt.Errorf("read raft log: %w", err)
	}
	if len(snapshots) > 0 && f.index == 0 && first != 1 {
		// Neither can the log be applied to nothing; the state file may do.
		last = 0
	}
	for i := f.index + 1; i <= last; i++ {
		var l raft.Log
		if err := s.GetLog(i, &l); err != nil {
			return f, fmt.Errorf("read raft log at index %d: %w", i, err)
		}
		f.index, f.term = l.Index, l.Term
		switch l.Type {
		case raft.LogConfiguration:
			configuration = raft.DecodeConfiguration(l.Data)
		case raft.LogCommand:
			if _, _, err := state.Decode(l.Data); err != nil {
				return f, fmt.Errorf("%w at index %d: %w", ErrHalted, i, err)
			}
			next, _ := state.Apply(f.state, l.Data, l.Index)
			if next != f.state && l.Index > kept.Index {
				f.uncommitted++
			}
			f.state = next
		}
	}
	for _, server := range serversOf(configuration) {
		if server.Suffrage == Voter {
			f.voters = append(f.voters, server.ID)
		}
	}
	return f, nil
}

// implant makes st the whole content of the folder: a snapshot behind all that
// the folder held, whose only voter is id, then no log, then the state file.
// From the snapshot on a start finds the new cluster, as it never looks at a
// log before it.
func (s *store) implant(st *state.State, stateFile, id string, before found) error {
	index, term := max(before.index, st.Index, 1), max(before.term, 1)
	voted, err := s.term()
	if err != nil {
		return fmt.Errorf("read raft's term: %w", err)
	}
	if err := s.SetUint64([]byte(keyTerm), max(voted, term)); err != nil {
		return fmt.Errorf("write raft's term: %w", err)
	}
	_, nowhere := raft.NewInmemTransport(raft.ServerAddress(id))
	sink, err := s.snapshots.Create(1, index, term, sole(id), 1, nowhere)
	if err != nil {
		return fmt.Errorf("write snapshot: %w", err)
	}
	if err := (&frozen{st}).Persist(sink); err != nil {
		return fmt.Errorf("write snapshot: %w", err)
	}
	first, err := s.FirstIndex()
	if err != nil {
		return fmt.Errorf("read raft log: %w", err)
	}
	last, err := s.LastIndex()
	if err != nil {
		return fmt.Errorf("read raft log: %w", err)
	}
	if last > 0 {
		if err := s.DeleteRange(first, last); err != nil {
			return fmt.Errorf("cut raft log: %w", err)
		}
	}
	return saveState(stateFile, st)
}

// Seed makes an empty folder that of a cluster of one, this node, with this
// State: for a restore from a backup, whose caller has raised the Generation
// and made the node's own record; it gets a RecoveryID of its own. A folder that
// holds something is refused.
func Seed(dir, stateFile, id string, st *state.State) (err error) {
	if st.ClusterID == "" || id == "" {
		return fmt.Errorf("seed: %w", state.ErrNoCluster)
	}
	s, err := openStore(dir, libraryLog(slog.New(slog.DiscardHandler)))
	if err != nil {
		return fmt.Errorf("seed: %w", err)
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	empty, err := s.empty()
	if err == nil && !empty {
		err = state.ErrInCluster
	}
	if err == nil {
		own := *st
		own.RecoveryID = newRecoveryID()
		err = s.implant(&own, stateFile, id, found{})
	}
	if err != nil {
		return fmt.Errorf("seed: %w", err)
	}
	return nil
}
