package state

// Command changes the State. Every Command is stamped with the leader's time
// by Encode's caller; Apply reads no other clock.
type Command interface{ command() }

// Init makes a cluster of one. It is refused where a cluster exists.
type Init struct {
	ClusterID    string
	Node         Node
	Trust        Trust
	Gossip       Keyring
	SealingKeyID string
	Tokens       []Token
	RingFormat   uint32
	Version      Version
	// WeightUnit is the drive bytes that make a weight of 1.
	WeightUnit int64
}

// CreateToken adds a token. TTLSeconds counts from the command's time; 0 =
// for ever.
type CreateToken struct {
	Token      Token
	TTLSeconds int64
}

// RevokeToken makes the token of this ID useless.
type RevokeToken struct{ ID string }

// Admit takes a node in as Joining by a token: one use, unless the same
// JoinKey was admitted before, which gives the same answer again. Replaces is
// the id of a dead node of the same name, empty = none. A Weight of 0 is
// worked out from DriveBytes. Result.Node is the record, Result.Time the
// leader's.
type Admit struct {
	TokenHash string
	Node      Node
	Replaces  string
}

// Activate gives a Joining node its place in the ring.
type Activate struct{ ID string }

// Certify records a certificate of a node that is not removed.
type Certify struct {
	ID, Serial   string
	NotAfterUnix int64
}

// SetNodeState moves a member between Active and Draining.
type SetNodeState struct {
	ID    string
	State NodeState
}

// SetNode changes what operators may change of a node; nil = as it is.
type SetNode struct {
	ID         string
	Name, Zone *string
	Weight     *int
}

// Locate records a node's last known addresses.
type Locate struct{ ID, PeerAddr, GossipAddr string }

// PreCreate records a node before it joins, with its name, zone and weight:
// an Admit of that name takes them over.
type PreCreate struct{ Node Node }

// RemoveNode makes a node Left: by itself, or Removed by an operator.
type RemoveNode struct {
	ID      string
	Removed bool
}

// SetConfig replaces the configuration where Expect is its Revision, else
// ErrConflict. Result.Revision is the new one.
type SetConfig struct {
	Expect uint64
	Config Config
}

// SetVersion raises the cluster version.
type SetVersion struct{ Version Version }

// SetTrust replaces certificate authorities where Expect is the digest
// (SHA-256, hexadecimal) of the one that signs now. Another one that signs
// revokes every token, as tokens pin it.
type SetTrust struct {
	Expect string
	Trust  Trust
}

// SetKeyring replaces the gossip keyring where Expect is its Version.
type SetKeyring struct {
	Expect  uint64
	Keyring Keyring
}

// Reseal replaces the sealing key and all that was sealed under the former
// one, where Expect is the former's id; what was sealed stays the same, else
// ErrConflict.
type Reseal struct {
	Expect       string
	SealingKeyID string
	Trust        Trust
	Gossip       Keyring
	TLSKeys      []TLSKey
}

// Expel takes a node out and replaces all that it knew, in one step: nothing of
// it works any more, or all of it still does. The node, which may have left
// before, is Removed; Reseal's Trust is of new authorities alone, where CA is
// the digest of the one that signs now; every token is revoked. Result.Node is
// the record.
type Expel struct {
	ID, CA string
	Reseal Reseal
}

// SetTLSKey adds or replaces a certificate for clients.
type SetTLSKey struct{ Key TLSKey }

// Purge adds a mark; its Index is given by Apply, its ID by the caller.
type Purge struct{ Mark PurgeMark }

// AckPurges tells that a node holds nothing older than the marks up to Index.
// Where there are too many, a mark may go once every member has acknowledged it,
// or after 30 days.
type AckPurges struct {
	ID    string
	Index uint64
}

// SetPin adds or, with Remove, takes away a pin.
type SetPin struct {
	Pin    Pin
	Remove bool
}

// SetJob adds or replaces a job; one that is done long ago goes.
type SetJob struct{ Job Job }

func (Init) command()         {}
func (CreateToken) command()  {}
func (RevokeToken) command()  {}
func (Admit) command()        {}
func (Activate) command()     {}
func (Certify) command()      {}
func (SetNodeState) command() {}
func (SetNode) command()      {}
func (Locate) command()       {}
func (PreCreate) command()    {}
func (RemoveNode) command()   {}
func (SetConfig) command()    {}
func (SetVersion) command()   {}
func (SetTrust) command()     {}
func (SetKeyring) command()   {}
func (Reseal) command()       {}
func (Expel) command()        {}
func (SetTLSKey) command()    {}
func (Purge) command()        {}
func (AckPurges) command()    {}
func (SetPin) command()       {}
func (SetJob) command()       {}

// Result is what Apply tells the caller of a Command.
type Result struct {
	// Err is one of this package's sentinels, wrapped; nil = applied.
	Err error
	// Index is that at which the command stands, TimeUnix its stamp.
	Index    uint64
	TimeUnix int64
	// Node is the record after Admit.
	Node Node
	// Revision is the configuration's after SetConfig.
	Revision uint64
}
