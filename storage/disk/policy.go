package disk

import (
	"context"
	"encoding/binary"

	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/storage/disk/evict"
)

// Worth is what a chunk that is held is worth to the cluster. What is worth
// least leaves first.
type Worth = evict.Class

// What a chunk may be worth.
const (
	// WorthOld: a superseded version, which only downloads in progress want.
	WorthOld = evict.Old
	// WorthBorrowed: the owner holds these bytes too.
	WorthBorrowed = evict.Borrowed
	// WorthOwned: it is this node's to keep, or nobody else is known to hold it.
	WorthOwned = evict.Owned
	// WorthPinned: it stays, whatever else has to go.
	WorthPinned = evict.Pinned
)

const (
	// tickSeconds is how fine uses are told apart for the policy: those of 16
	// to 32 s count once.
	tickSeconds = 16
	// evictTries bounds the chunks that one eviction finds in use, or of
	// another worth than was known.
	evictTries = 1024
	// defaultShare is the part of a drive, in percent, that borrowed copies
	// may take whatever owned chunks need.
	defaultShare = 20
)

// Links returns what the drive's policy keeps of e.
func (e *entry) Links() *evict.Links[*entry] { return &e.links }

// Hash returns 64 mixed bits of e's key.
func (e *entry) Hash() uint64 {
	return keyHash(e.key) ^ binary.LittleEndian.Uint64(e.key.Version[:])
}

// begin makes e a new file of n bytes.
func (s *Store) begin(e *entry, n int64) {
	seconds := s.now().Unix()
	minute := uint32(seconds / 60)
	e.used.Store(minute)
	e.touched.Store(minute)
	e.links.Began(uint32(seconds / tickSeconds))
	e.grow(n)
}

// known makes e a file that a former process left.
func (e *entry) known(i Info) {
	e.used.Store(uint32(max(0, i.Used.Unix()/60)))
	e.touched.Store(e.used.Load())
	e.grow(chargeOf(i))
}

// grow counts n bytes more, which are reserved, as e's.
func (e *entry) grow(n int64) {
	e.bytes.Add(n)
	if e.drive != nil {
		e.drive.policy.Grew(e, n)
	}
}

// enlist lets e be evicted from now on.
func (s *Store) enlist(e *entry, known bool) { e.drive.policy.Add(e, s.worth(e), known) }

// worth asks what e is worth now. The caller holds no lock.
func (s *Store) worth(e *entry) Worth {
	if s.cfg.Worth == nil {
		return WorthOwned
	}
	return min(s.cfg.Worth(e.key, e.by.Load()), WorthPinned)
}

// Confirm notes who said last that it holds the bytes of c too: a digest of the
// owner, which Config.Worth is given back; 0 = nobody. A chunk whose file is
// replaced keeps the note; it does not outlive the process.
func (c *Chunk) Confirm(by uint32) { c.s.confirm(c.e, by) }

// Confirm notes it of the chunk that is held under key; false when none is.
func (s *Store) Confirm(key storage.ChunkKey, by uint32) bool {
	e := s.held(key)
	if e != nil {
		s.confirm(e, by)
	}
	return e != nil
}

// Confirmed returns what was noted last of the chunk that is held under key;
// false when none is.
func (s *Store) Confirmed(key storage.ChunkKey) (by uint32, held bool) {
	e := s.held(key)
	if e == nil {
		return 0, false
	}
	return e.by.Load(), true
}

// Presence returns the blocks present of the chunk that is held under key;
// false when none is. It counts as no use.
func (s *Store) Presence(key storage.ChunkKey) (Bitmap, bool) { return s.presence(s.shard(key), key) }

func (s *Store) held(key storage.ChunkKey) *entry {
	sh := s.shard(key)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return sh.index[key]
}

func (s *Store) confirm(e *entry, by uint32) {
	if e.by.Swap(by) != by && e.drive != nil {
		e.drive.policy.Classify(e, s.worth(e))
	}
}

// reclassify asks what the chunks of one shard are worth now: that changes with
// the ring, and so what is old goes before its turn comes.
func (s *Store) reclassify(i int) {
	if s.cfg.Worth == nil {
		return
	}
	sh := &s.shards[i%shardCount]
	sh.mu.Lock()
	entries := make([]*entry, 0, len(sh.index))
	for _, e := range sh.index {
		if e.drive != nil {
			entries = append(entries, e)
		}
	}
	sh.mu.Unlock()
	for _, e := range entries {
		e.drive.policy.Classify(e, s.worth(e))
	}
}

// keepClasses keeps what chunks are worth known, each asked about once in a
// minute or so.
func (s *Store) keepClasses(ctx context.Context) {
	for i := 0; pause(ctx, tick); i++ {
		s.reclassify(i)
	}
}

// worthBytes returns what the chunks of one worth take on all drives.
func (s *Store) worthBytes(worth Worth) (sum int64) {
	for _, d := range s.drives() {
		_, n := d.policy.Usage(worth)
		sum += n
	}
	return sum
}

// evictOne removes one file that nobody uses; false when there is none.
func (s *Store) evictOne(d *drive) bool {
	var busy aside
	defer func() { busy.back(s, d) }()
	for range evictTries {
		if State(d.state.Load()) != StateFull && !d.writable() {
			return false
		}
		e, was, ok := d.policy.Take()
		if !ok {
			return false
		}
		if now := s.worth(e); now != was && now != WorthOld {
			d.policy.Return(e, now)
			continue
		}
		if s.evict(e) {
			return true
		}
		busy = append(busy, e)
	}
	return false
}

// aside are entries that were taken out to be evicted, and were in use.
type aside []*entry

// back gives the policy what of them is still held.
func (a aside) back(s *Store, d *drive) {
	for _, e := range a {
		sh := s.shard(e.key)
		sh.mu.Lock()
		cur := sh.index[e.key]
		sh.mu.Unlock()
		if cur == e || cur != nil && cur.under == e {
			d.policy.PutBack(e)
		}
	}
}
