package consensus

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mccd/mccd/cluster/state"
)

// Config says how one node takes part.
type Config struct {
	// Dir is Raft's folder: log, term and vote, snapshots. Made with 0700.
	Dir string
	// StateFile keeps the last State applied, 0600, replaced as a whole at
	// most 200 ms after each change.
	StateFile string
	// ID is the node's id: Raft's server id and address.
	ID string
	// Stream carries Raft between nodes. Run and Close close it.
	Stream Stream
	// Bootstrap makes a cluster of one in a Dir without log and snapshot; nil:
	// an empty Dir waits to be added by a leader. Ignored elsewhere.
	Bootstrap *state.Init
	// Stats asks another node for its Stats; nil = unknown, so that no other
	// node becomes a voter.
	Stats func(ctx context.Context, id string) (Stats, error)
	// Alive tells whether another node answers; nil = all do. It does not
	// block.
	Alive func(id string) bool
	// MaxVoters is how many nodes vote at most; 0 = 5. An even number counts
	// as the odd one below.
	MaxVoters int
	Timing    Timing
	// Logger may be nil: no logs.
	Logger *slog.Logger
	// Registerer may be nil: no metrics.
	Registerer prometheus.Registerer
}

// Stream carries Raft's connections, each already known to be of the node
// that it is from or to. It is safe for concurrent use.
type Stream interface {
	Accept() (net.Conn, error)
	// Dial connects to a node, wherever it is now.
	Dial(ctx context.Context, id string) (net.Conn, error)
	Close() error
}

// Timing are Raft's intervals; 0 = the default. A shorter Heartbeat alone
// shortens Election and LeaderLease with it.
type Timing struct {
	// Heartbeat is how long a follower hears nothing before it asks for votes
	// (1 s), Election how long it waits for them (Heartbeat), LeaderLease how
	// long a leader goes without a majority (half of Heartbeat).
	Heartbeat, Election, LeaderLease time.Duration
	// Commit is how soon followers learn of a commit at the latest (100 ms).
	Commit time.Duration
	// Apply bounds Apply and Read (2 s).
	Apply time.Duration
	// Reconcile is how often servers and voters are compared with the State
	// (1 s).
	Reconcile time.Duration
	// DeadAfter is how long a voter fails before another takes its vote
	// (10 s), StableFor how long a node is well before it gets one (2 s).
	DeadAfter, StableFor time.Duration
}

func (t Timing) withDefaults() Timing {
	t.Heartbeat = cmp.Or(t.Heartbeat, time.Second)
	t.Election = cmp.Or(t.Election, t.Heartbeat)
	t.LeaderLease = cmp.Or(t.LeaderLease, t.Heartbeat/2)
	t.Commit = cmp.Or(t.Commit, min(100*time.Millisecond, t.Heartbeat/4))
	t.Apply = cmp.Or(t.Apply, 2*time.Second)
	t.Reconcile = cmp.Or(t.Reconcile, time.Second)
	t.DeadAfter = cmp.Or(t.DeadAfter, 10*time.Second)
	t.StableFor = cmp.Or(t.StableFor, 2*time.Second)
	return t
}

func (c *Config) check() error {
	var errs []error
	for name, value := range map[string]string{"Dir": c.Dir, "StateFile": c.StateFile, "ID": c.ID} {
		if value == "" {
			errs = append(errs, fmt.Errorf("%s is missing", name))
		}
	}
	if c.Stream == nil {
		errs = append(errs, errors.New("Stream is missing"))
	}
	if c.MaxVoters < 0 {
		errs = append(errs, fmt.Errorf("MaxVoters is %d", c.MaxVoters))
	}
	if t := c.Timing; min(t.Heartbeat, t.Election, t.LeaderLease, t.Commit, t.Apply, t.Reconcile, t.DeadAfter, t.StableFor) < 0 {
		errs = append(errs, errors.New("a time is below 0"))
	}
	return errors.Join(errs...)
}

// Stats tells how far a node's log is, for the choice of voters.
type Stats struct {
	LastTerm, LastIndex uint64
	// LastContact is how long ago it heard the leader, 0 = it leads; below 0 =
	// never, or it has halted: not fit to vote.
	LastContact time.Duration
}

// Suffrage is what a server is to Raft.
type Suffrage string

// A voter counts for the quorum, a nonvoter only follows.
const (
	Voter    Suffrage = "voter"
	Nonvoter Suffrage = "nonvoter"
)

// Server is one server of Raft's configuration.
type Server struct {
	ID       string
	Suffrage Suffrage
}

// Quorum tells where this node and its cluster stand in Raft, as far as the
// node knows.
type Quorum struct {
	Leader    string
	HasLeader bool
	// Since is how long ago this node heard a leader: 0 = it leads; counted
	// from the start where it never did.
	Since time.Duration
	// Voter tells whether this node has a vote, Voters who has, sorted.
	Voter  bool
	Voters []string
	// Servers are all, by id.
	Servers []Server
	// Applied is the index of the last command applied here, Commit that of
	// the last entry known to be agreed, LastIndex that of the last one here.
	Applied, Commit, LastIndex uint64
	Term                       uint64
	// Halted says why nothing is applied any more, nil = all is well.
	Halted error
}
