package ring

// State says what a node's view knows of another node. It never changes
// placement: it only chooses among a partition's owner and successors.
type State uint8

// The states of a node, as a view sees it.
const (
	// Alive: it answers.
	Alive State = iota
	// Draining: it answers, but its successors act for it.
	Draining
	// Failed: gossip holds it for dead. It keeps its place in the ring.
	Failed
)

// String returns the state's name.
func (s State) String() string {
	switch s {
	case Alive:
		return "alive"
	case Draining:
		return "draining"
	default:
		return "failed"
	}
}

// Node is one member with what is needed to reach it.
type Node struct {
	// ID is the member's name in the ring: stable for the life of its data
	// directory.
	ID string
	// Name is what people call it; Zone is where it stands, empty = none.
	Name, Zone string
	// PeerAddr is "host:port" of its port for peers.
	PeerAddr string
	State    State
	// Incarnation rises with each start of the node: whoever has another than
	// before has forgotten what it had in memory. 0 = not known.
	Incarnation uint64
}

// View is one node's picture of the cluster, liveness included. It is
// immutable: a change publishes a new one. Safe for concurrent use.
type View struct {
	// Self is the ID of the node whose view this is.
	Self string
	// Ring places chunks on members.
	Ring *Ring
	// Serial numbers the views of this node, upwards.
	Serial uint64
	// Epoch names the placement; zero where no cluster has agreed on one.
	Epoch Epoch
	// nodes[i] is the node of Ring.Members()[i].
	nodes []Node
	self  int
}

// NewView joins what is known of nodes to the members of r. A member of whom
// nodes says nothing is Failed, with an empty PeerAddr; a node that is no
// member is left out; of two with one ID the first counts. The ring's zone
// wins over the node's. A nil r is a ring without members.
func NewView(self string, serial uint64, r *Ring, nodes []Node) *View {
	if r == nil {
		r = &Ring{}
	}
	v := &View{Self: self, Ring: r, Serial: serial, nodes: make([]Node, len(r.members)), self: r.Index(self)}
	known := make(map[string]*Node, len(nodes))
	for i := range nodes {
		if _, ok := known[nodes[i].ID]; !ok {
			known[nodes[i].ID] = &nodes[i]
		}
	}
	for i, m := range r.members {
		n, ok := known[m.ID]
		if !ok {
			v.nodes[i] = Node{ID: m.ID, Zone: m.Zone, State: Failed}
			continue
		}
		v.nodes[i] = *n
		v.nodes[i].Zone = m.Zone
	}
	return v
}

// At returns v with its epoch; v itself stays as it is.
func (v *View) At(e Epoch) *View {
	w := *v
	w.Epoch = e
	return &w
}

// Order returns the members that may act for hash, as indexes for Node: the
// owner first, then its successors. The slice is shared and must not be
// modified. It takes no lock and allocates nothing.
func (v *View) Order(hash uint64) []uint16 { return v.Ring.Lookup(hash) }

// Node returns the node at index i of Ring.Members, nil if there is none. It
// must not be modified.
func (v *View) Node(i uint16) *Node {
	if int(i) >= len(v.nodes) {
		return nil
	}
	return &v.nodes[i]
}

// ByID returns the member id. It must not be modified.
func (v *View) ByID(id string) (*Node, bool) {
	i := v.Ring.Index(id)
	if i < 0 {
		return nil, false
	}
	return &v.nodes[i], true
}

// Nodes returns all members in the order of Ring.Members. The slice is shared
// and must not be modified.
func (v *View) Nodes() []Node { return v.nodes }

// SelfIndex returns the index of the node whose view this is, -1 if it is not
// a member.
func (v *View) SelfIndex() int { return v.self }

// Digest returns the ring's digest: views with the same digest place every
// chunk alike.
func (v *View) Digest() uint64 { return v.Ring.Digest() }

// Acting returns the index of the acting owner of hash: the first alive node
// in its order. ok is false when none of them is alive.
func (v *View) Acting(hash uint64) (index uint16, ok bool) {
	for _, i := range v.Order(hash) {
		if v.nodes[i].State == Alive {
			return i, true
		}
	}
	return 0, false
}
