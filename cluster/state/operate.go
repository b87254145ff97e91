package state

import (
	"errors"
	"time"

	"github.com/mccd/mccd/ring"
)

// ErrNoQuorum tells that nothing can be written, nor read for certain, as no
// majority of the voters answers. What wraps it says who is missing and since
// when; every node goes on serving.
var ErrNoQuorum = errors.New("the cluster has no quorum")

// ErrUnknownOutcome tells that a command was given to the cluster and that
// nobody can say whether it was, or will be, applied: read before it is given
// again.
var ErrUnknownOutcome = errors.New("it is not known whether the change was made: look before you repeat it")

// ErrRecoverRefused refuses a recovery that could split the cluster.
var ErrRecoverRefused = errors.New("recovery is refused")

// ErrPassphrase tells that a backup was not sealed by this passphrase.
var ErrPassphrase = errors.New("the passphrase is not that of the backup")

// TokenSpec is what a token is to admit.
type TokenSpec struct {
	// TTL is how long it admits; 0 = for ever.
	TTL time.Duration
	// Uses is how many nodes it admits; -1 = any number.
	Uses int64
	Note string
}

// NodeSettings are what operators may set of a node; nil = as it is, or for a
// node that is created before it joins, as the node itself says.
type NodeSettings struct {
	Name, Zone *string
	// Weight is 1 to 4.
	Weight *int
}

// RecoverSpec says how to rebuild a cluster from this node.
type RecoverSpec struct {
	// Supersede are voters, by id or name, of which the operator is certain
	// that they never come back, though they cannot be asked.
	Supersede []string
	// DryRun reports and changes nothing.
	DryRun bool
}

// RecoverReport is what a recovery found, and what may be lost.
type RecoverReport struct {
	// Survivor is the id of the node that becomes the only voter.
	Survivor string
	// Generation is the recovery generation after it.
	Generation uint32
	// Applied is the index of the last command applied, LastIndex that of
	// the last one in the log. Uncommitted commands lie between them: they
	// may or may not have been acknowledged, and are kept.
	Applied, LastIndex uint64
	Uncommitted        int
	// LostVoters are the ids of the former voters, without the survivor.
	LostVoters []string
	// Text is for people, each entry one sentence.
	Text []string
}

// PurgeSpec names what is to be forgotten everywhere.
type PurgeSpec struct {
	// Host is the origin's, empty = every host; Path a raw path, a prefix
	// where Prefix is set.
	Host, Path string
	Prefix     bool
	// Product is a product's name: every host whose rule has it, in place of
	// Host.
	Product string
}

// PurgeStatus is a purge and how far it is.
type PurgeStatus struct {
	Mark PurgeMark
	// Done are the names of the members that hold nothing of it any more,
	// Waiting and Away of those that have not said so: they live, or do not
	// answer. All of them serve nothing of it from when they hear of it.
	Done, Waiting, Away []string
}

// Role is a node's part in Raft.
type Role string

// The roles. A follower has no vote; RoleNone is a node that Raft does not
// know (yet, or any more).
const (
	RoleLeader   Role = "leader"
	RoleVoter    Role = "voter"
	RoleFollower Role = "follower"
	RoleNone     Role = "none"
)

// ClusterStatus is one node's picture of its cluster.
type ClusterStatus struct {
	ClusterID string
	Epoch     ring.Epoch
	// LeaderID is empty while none is known; LeaderName may be unknown.
	LeaderID, LeaderName string
	// Role is this node's.
	Role   Role
	Quorum QuorumStatus
	// AppliedIndex is that of the last command applied here, ConfigRevision
	// the configuration's revision.
	AppliedIndex, ConfigRevision uint64
	// Join is a join in progress, nil = none.
	Join  *JoinStatus
	Nodes []NodeStatus
	// Warnings are what an operator should know, each in one sentence.
	Warnings []string
}

// QuorumStatus tells whether the cluster can write, as one node sees it.
type QuorumStatus struct {
	OK bool
	// Reason says why not, For how long it has been so; zero where OK.
	Reason string
	For    time.Duration
}

// JoinStatus is a join that has begun and not ended: the node's intent.
type JoinStatus struct {
	// Peers are asked, "host:port" each.
	Peers []string
	// Step is what it does now, Error what went wrong last; may be empty.
	Step, Error string
	For         time.Duration
}

// NodeStatus is one node as another one sees it.
type NodeStatus struct {
	// Node is its record.
	Node Node
	// Alive is its liveness: "alive", "draining", "failed", or empty where it
	// has none (pre-created, left).
	Alive string
	Self  bool
	Voter bool
	// Leader tells that it leads.
	Leader bool
	// Owned is its share of the partitions, between 0 and 1.
	Owned float64
	// Incarnation rises with each start of the node; 0 = not known.
	Incarnation uint64
}

// String returns the word that people read.
func (s NodeState) String() string {
	switch s {
	case PreCreated:
		return "pre-created"
	case Joining:
		return "joining"
	case Active:
		return "active"
	case Draining:
		return "draining"
	case Left:
		return "left"
	default:
		return "unknown"
	}
}
