package consensus

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	"go.etcd.io/bbolt"
)

const (
	logFile       = "log.db"
	snapshotsDir  = "snapshots"
	keepSnapshots = 2
	// openTimeout is how long a folder that another process holds is tried.
	openTimeout = time.Second
)

// store is Raft's folder: the log with term and vote, and the snapshots.
type store struct {
	*raftboltdb.BoltStore
	snapshots raft.SnapshotStore
}

func openStore(dir string, log hclog.Logger) (*store, error) {
	for _, d := range []string{dir, filepath.Join(dir, snapshotsDir)} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return nil, fmt.Errorf("open raft folder: %w", err)
		}
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open raft folder: %w", err)
	}
	bolt, err := raftboltdb.New(raftboltdb.Options{
		Path: filepath.Join(dir, logFile), BoltOptions: &bbolt.Options{Timeout: openTimeout},
	})
	if err != nil {
		return nil, fmt.Errorf("open raft log: %w", err)
	}
	snapshots, err := raft.NewFileSnapshotStoreWithLogger(dir, keepSnapshots, log)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open raft snapshots: %w", err), bolt.Close())
	}
	return &store{BoltStore: bolt, snapshots: &privateSnapshots{snapshots, filepath.Join(dir, snapshotsDir)}}, nil
}

// empty reports whether the folder holds neither log nor snapshot. A term or a
// vote alone is nothing to lose.
func (s *store) empty() (bool, error) {
	last, err := s.LastIndex()
	if err != nil {
		return false, fmt.Errorf("open raft log: %w", err)
	}
	if last > 0 {
		return false, nil
	}
	snapshots, err := s.snapshots.List()
	if err != nil {
		return false, fmt.Errorf("open raft snapshots: %w", err)
	}
	return len(snapshots) == 0, nil
}

// term returns the term that the node has voted in, 0 = none.
func (s *store) term() (uint64, error) {
	term, err := s.GetUint64([]byte(keyTerm))
	if errors.Is(err, raftboltdb.ErrKeyNotFound) {
		return 0, nil
	}
	return term, err
}

// keyTerm is where hashicorp/raft keeps the present term (raft.go,
// keyCurrentTerm).
const keyTerm = "CurrentTerm"

// privateSnapshots makes the files of snapshots readable by their owner alone.
type privateSnapshots struct {
	raft.SnapshotStore
	dir string
}

// Create makes a snapshot whose files, still empty, are closed to others. The
// library opens them again without changing that.
func (p *privateSnapshots) Create(version raft.SnapshotVersion, index, term uint64, configuration raft.Configuration, configurationIndex uint64, trans raft.Transport) (raft.SnapshotSink, error) {
	sink, err := p.SnapshotStore.Create(version, index, term, configuration, configurationIndex, trans)
	if err != nil {
		return nil, err
	}
	made := filepath.Join(p.dir, sink.ID()+".tmp")
	for _, f := range []struct {
		name string
		mode os.FileMode
	}{{"", 0o700}, {"meta.json", 0o600}, {"state.bin", 0o600}} {
		if err := os.Chmod(filepath.Join(made, f.name), f.mode); err != nil {
			return nil, errors.Join(err, sink.Cancel())
		}
	}
	return sink, nil
}
