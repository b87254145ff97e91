package cluster

import (
	"cmp"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/mccd/mccd/cluster/gossip"
	clusterv1 "github.com/mccd/mccd/proto/mccd/cluster/v1"
)

// addressesFile keeps the book over restarts, in the membership's folder.
const addressesFile = "addresses"

// place is where a node is.
type place struct {
	Peer   string `json:"peer"`
	Gossip string `json:"gossip"`
	// Incarnation is the start of the node that this is of; the newest counts.
	Incarnation uint64 `json:"incarnation"`
}

const (
	// aheadAtMost is how far in the future a start may be that others tell of:
	// clocks differ, and a start in the far future could never be outbid.
	aheadAtMost = 24 * time.Hour
	// unknownAtMost bounds the nodes in the book that the state does not know,
	// unknownFor how long they stay.
	unknownAtMost, unknownFor = 64, time.Minute
)

// book tells where nodes are: from gossip, from what they announce, from
// earlier runs, and last from the replicated state.
type book struct {
	path  string
	self  string // of this node only put by itself counts
	known func(id string) bool
	log   *slog.Logger

	// saving is held while the file is written; it guards saved.
	saving sync.Mutex
	saved  []byte

	mu      sync.Mutex // guards what follows
	places  map[string]place
	heard   map[string]bool      // who has announced itself since the start
	unknown map[string]time.Time // since when those are here that known denies
}

// openBook reads what is kept in dir; a damaged file counts as empty, since
// everything in it is learned again. self is this node's id, known tells which
// ids are of the cluster; it must not block.
func openBook(dir, self string, log *slog.Logger, known func(id string) bool) *book {
	b := &book{
		path: filepath.Join(dir, addressesFile), self: self, known: known, log: log,
		places: make(map[string]place), heard: make(map[string]bool), unknown: make(map[string]time.Time),
	}
	raw, err := readBounded(b.path, 4<<20)
	if errors.Is(err, fs.ErrNotExist) {
		return b
	}
	if err == nil {
		err = json.Unmarshal(raw, &b.places)
	}
	if err != nil {
		log.Warn("start without the addresses of the former run", "file", b.path, "err", err)
		b.places = make(map[string]place)
	}
	maps.DeleteFunc(b.places, func(id string, p place) bool { return checkPlace(id, p) != nil || id != self && tooFarAhead(p) })
	return b
}

func checkPlace(id string, p place) error {
	return cmp.Or(gossip.CheckID(id), gossip.CheckAddr("peer address", p.Peer), gossip.CheckAddr("gossip address", p.Gossip))
}

func tooFarAhead(p place) bool {
	return p.Incarnation > uint64(max(0, time.Now().Add(aheadAtMost).UnixMilli()))
}

// put takes in what others tell of where a node is, unless something newer is
// known, and reports whether that is news. What they tell of this node itself
// does not count.
func (b *book) put(id string, p place) bool {
	if id == b.self || checkPlace(id, p) != nil || tooFarAhead(p) {
		return false
	}
	known := b.known(id)
	b.mu.Lock()
	defer b.mu.Unlock()
	if old, had := b.places[id]; had && (old == p || old.Incarnation >= p.Incarnation) {
		return false
	}
	return b.keep(id, p, known)
}

// say takes in what a node tells of itself, proved by its certificate: it
// replaces whatever others have told.
func (b *book) say(id string, p place) bool {
	if checkPlace(id, p) != nil || p.Incarnation > gossip.MaxIncarnation {
		return false
	}
	known := id == b.self || b.known(id)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.places[id] == p {
		return false
	}
	return b.keep(id, p, known)
}

// keep writes a place down, where there is room for one of an unknown node.
// b.mu is held.
func (b *book) keep(id string, p place, known bool) bool {
	if known {
		delete(b.unknown, id)
	} else if _, had := b.unknown[id]; !had {
		if len(b.unknown) >= unknownAtMost {
			return false
		}
		b.unknown[id] = time.Now()
	}
	b.places[id] = p
	return true
}

// hear notes that the node id has spoken as a node of this cluster.
func (b *book) hear(id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.heard[id] || len(b.heard) < 2*maxNodes {
		b.heard[id] = true
	}
}

// hasHeard reports whether it has since the start.
func (b *book) hasHeard(id string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.heard[id]
}

// of returns where the node id is.
func (b *book) of(id string) (place, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p, ok := b.places[id]
	return p, ok
}

// retain forgets those for whom keep is false, and who is not known for long.
func (b *book) retain(keep func(id string) bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	gone := func(id string) bool {
		if id == b.self {
			return false
		}
		if b.known(id) {
			delete(b.unknown, id)
			return !keep(id)
		}
		since, noted := b.unknown[id]
		if !noted { // of an earlier run
			b.unknown[id] = time.Now()
			return len(b.unknown) > unknownAtMost
		}
		return time.Since(since) >= unknownFor
	}
	maps.DeleteFunc(b.places, func(id string, _ place) bool { return gone(id) })
	maps.DeleteFunc(b.heard, func(id string, _ bool) bool { _, ok := b.places[id]; return !ok && gone(id) })
	maps.DeleteFunc(b.unknown, func(id string, _ time.Time) bool { _, ok := b.places[id]; return !ok })
}

// all returns the places as addresses, sorted by id.
func (b *book) all() []*clusterv1.Address {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := make([]*clusterv1.Address, 0, len(b.places))
	for _, id := range slices.Sorted(maps.Keys(b.places)) {
		out = append(out, addressToProto(id, b.places[id]))
	}
	return out
}

// save writes the book if it has changed.
func (b *book) save() {
	b.saving.Lock()
	defer b.saving.Unlock()
	b.mu.Lock()
	raw, err := json.MarshalIndent(b.places, "", " ")
	b.mu.Unlock()
	if err != nil || string(raw) == string(b.saved) {
		return
	}
	if err := writeAtomic(b.path, raw); err != nil {
		b.log.Error("keep known addresses", "err", err)
		return
	}
	b.saved = raw
}

func addressToProto(id string, p place) *clusterv1.Address {
	return &clusterv1.Address{Id: id, PeerAddr: p.Peer, GossipAddr: p.Gossip, Incarnation: p.Incarnation}
}

func placeFromProto(a *clusterv1.Address) place {
	return place{Peer: a.GetPeerAddr(), Gossip: a.GetGossipAddr(), Incarnation: a.GetIncarnation()}
}
