package state

import (
	"github.com/mccd/mccd/ring"
)

// State is what all nodes of a cluster agree on. A State that was published is
// immutable: Apply returns a new one that shares what did not change.
type State struct {
	// ClusterID is 32 lower-case hexadecimal digits; empty = no cluster yet.
	ClusterID string
	// Generation is the recovery generation: it rises when the cluster is
	// rebuilt from one survivor or from a backup.
	Generation uint32
	// Index is that of the last command applied.
	Index uint64
	// Placement is the index of the last change to members, weights, zones or
	// ring format: the epoch's.
	Placement uint64
	// RingFormat is the ring format that all nodes compute.
	RingFormat uint32
	// WeightUnit is the drive bytes that make a weight of 1.
	WeightUnit int64
	// Nodes are all that ever were admitted and not yet forgotten, by id.
	Nodes []Node
	// Config is the configuration that operators write.
	Config Config
	// Version is the cluster version.
	Version Version
	Tokens  []Token
	Trust   Trust
	Gossip  Keyring
	// SealingKeyID names the sealing key under which all secrets here are
	// sealed: Apply takes no other (SealedBy).
	SealingKeyID string
	TLSKeys      []TLSKey
	Purge        Purges
	Pins         []Pin
	Jobs         []Job
	// RecoveryID names the recovery, or the restore, that began this
	// Generation: 16 random hexadecimal digits; empty = there was none. Two of
	// one Generation with different ids have nothing in common from there on.
	RecoveryID string
}

// Epoch returns what names the placement.
func (s *State) Epoch() ring.Epoch {
	return ring.Epoch{Cluster: s.ClusterID, Generation: s.Generation, Index: s.Placement}
}

// NodeState is where a node stands in its life.
type NodeState uint8

// The states of a node. Active and Draining have a place in the ring.
const (
	PreCreated NodeState = iota + 1
	Joining
	Active
	Draining
	Left
)

// Node is one node's record.
type Node struct {
	// ID is 32 lower-case hexadecimal digits; empty while PreCreated.
	ID   string
	Name string
	Zone string
	// Weight is 1 to 4, fixed at admission.
	Weight int
	// DriveBytes is the sum of its drives' limits at admission.
	DriveBytes int64
	State      NodeState
	// PeerAddr and GossipAddr are the last known "host:port".
	PeerAddr, GossipAddr string
	// Key is the SHA-256 of its public key (SubjectPublicKeyInfo), in
	// hexadecimal: who shows another is not this node.
	Key string
	// CertSerial and CertNotAfter (Unix seconds) are of its certificate.
	CertSerial   string
	CertNotAfter int64
	// JoinKey makes its admission idempotent.
	JoinKey string
	// Removed: an operator took it out; it is refused at each handshake.
	Removed bool
	// Release is the program's version at admission; MinVersion and
	// MaxVersion the cluster versions that it can run.
	Release                string
	MinVersion, MaxVersion uint32
	// ChangedUnix is when State changed last, by the leader's clock.
	ChangedUnix int64
}

// Member reports whether n has a place in the ring.
func (n *Node) Member() bool { return n.State == Active || n.State == Draining }

// Config is what operators write, as one document.
type Config struct {
	// Revision is the index of the last change; 0 = never changed.
	Revision uint64
	Origins  []Origin
	Limits   Limits
}

// Origin is one rule of the catalogue as operators write it: the keys of the
// node file's origins entry.
type Origin struct {
	// Name is the product's name, for reports.
	Name string
	// Hosts are served by this rule.
	Hosts []string
	// YAML is the rest of the rule, as the node file writes it.
	YAML string
}

// Limits are bounds for the whole cluster; 0 = none.
type Limits struct {
	// WANBytesPerSecond bounds what all nodes together fetch from origins.
	WANBytesPerSecond int64
	// RequestsPerOrigin bounds the requests of all nodes at one origin.
	RequestsPerOrigin int64
}

// Version is the version that all nodes run by, and what it has switched on.
type Version struct {
	Number uint32
	Gates  []string
}

// Token admits nodes. Its secret is not in it.
type Token struct {
	// ID is 8 hexadecimal digits, for people; Hash the SHA-256 of the secret,
	// in hexadecimal.
	ID, Hash string
	Note     string
	// ExpiresUnix is by the leader's clock; 0 = never. Uses is how many more
	// nodes it admits; -1 = any number.
	ExpiresUnix int64
	Uses        int64
	Revoked     bool
	// Joined are the joining keys that it has admitted.
	Joined      []string
	CreatedUnix int64
}

// Trust is the cluster's own certificate authority.
type Trust struct {
	// CAs are trusted, DER; the first signs.
	CAs [][]byte
	// SealedKey is the key of the first, sealed.
	SealedKey []byte
}

// Keyring is the gossip's: sealed as one, since none is of use alone.
type Keyring struct {
	// Version counts rotations.
	Version uint64
	Sealed  []byte
	// Phase tells how far a rotation is.
	Phase RotationPhase
	// ChangedUnix is when Phase changed, by the leader's clock.
	ChangedUnix int64
}

// RotationPhase is a step of a rotation of the gossip key without downtime.
type RotationPhase uint8

// The phases: a keyring of one key; a second key that all take in; the second
// one first, the old one still accepted.
const (
	Settled RotationPhase = iota
	Introduced
	Switched
)

// TLSKey is a certificate for clients with its sealed key: a record now.
type TLSKey struct {
	Name      string
	CertPEM   []byte
	SealedKey []byte
}

// Purges is the purge index and the marks, oldest first. Marks stay while there
// is room for them, also when all have acknowledged them: who returns, or joins
// with content, is judged by them.
type Purges struct {
	// Index is that of the newest mark, 0 before the first.
	Index uint64
	// Dropped is that of the newest mark that has gone, 0 = none has: what is
	// older can no longer be judged.
	Dropped uint64
	Marks   []PurgeMark
}

// PurgeMark kills what was resolved before it.
type PurgeMark struct {
	// Index orders marks, those of all recovery generations alike; ID is 16
	// random hexadecimal digits and names it for ever.
	Index uint64
	ID    string
	// Host is the origin's, empty = every host; Path a raw path, a prefix
	// where Prefix is set.
	Host   string
	Path   string
	Prefix bool
	// Product is a product's name: every host whose rule has it, in place of
	// Host.
	Product string
	// CreatedUnix is by the leader's clock. Acked are the nodes that hold
	// nothing older any more.
	CreatedUnix int64
	Acked       []string
}

// Pin keeps content: a record now.
type Pin struct {
	Host, Path string
	Prefix     bool
	UntilUnix  int64
}

// Job is long work: a record now.
type Job struct {
	ID, Kind, Node, Detail, Status string
	Done, Total                    int64
	ChangedUnix                    int64
}
