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

// book tells where nodes are: from gossip, from what they announce, from
// earlier runs, and last from the replicated state.
type book struct {
	path string
	log  *slog.Logger

	// saving is held while the file is written; it guards saved.
	saving sync.Mutex
	saved  []byte

	mu     sync.Mutex // guards places
	places map[string]place
	heard  map[string]bool // who has announced itself since the start
}

// openBook reads what is kept in dir; a damaged file counts as empty, since
// everything in it is learned again.
func openBook(dir string, log *slog.Logger) *book {
	b := &book{path: filepath.Join(dir, addressesFile), log: log, places: make(map[string]place), heard: make(map[string]bool)}
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
	maps.DeleteFunc(b.places, func(id string, p place) bool { return checkPlace(id, p) != nil })
	return b
}

func checkPlace(id string, p place) error {
	return cmp.Or(gossip.CheckID(id), gossip.CheckAddr("peer address", p.Peer), gossip.CheckAddr("gossip address", p.Gossip))
}

// put takes in where a node is, unless something newer is known, and reports
// whether that is news.
func (b *book) put(id string, p place) bool {
	if checkPlace(id, p) != nil || p.Incarnation > gossip.MaxIncarnation {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	old, known := b.places[id]
	if known && (old == p || old.Incarnation >= p.Incarnation) {
		return false
	}
	b.places[id] = p
	return true
}

// hear notes that the node id has spoken as a node of this cluster.
func (b *book) hear(id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.heard[id] = true
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

// retain forgets all but those for whom keep is true.
func (b *book) retain(keep func(id string) bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	maps.DeleteFunc(b.places, func(id string, _ place) bool { return !keep(id) })
	maps.DeleteFunc(b.heard, func(id string, _ bool) bool { return !keep(id) })
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
