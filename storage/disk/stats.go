package disk

import (
	"errors"
	"io/fs"
	"os"
	"time"

	"github.com/mccd/mccd/storage"
)

// Stats is what a Store holds and has met, at one moment.
type Stats struct {
	Drives []DriveStats
	// Bytes and Limit are the sums over the drives, Chunks the files there.
	Bytes, Limit, Chunks int64
	// MemBytes is what memory files take of the pool, MemLimit its bound.
	MemBytes, MemLimit int64
	// MemFalls is how many chunks went to memory since the start.
	MemFalls int64
	// Corrupt counts blocks that did not match their checksum or could not be
	// read, Damaged whole files with an unreadable header.
	Corrupt, Damaged int64
	// Repairs counts chunks that went on in a new file.
	Repairs int64
	// Evictions counts files evicted.
	Evictions int64
	// ColdBytes counts the bytes read to be verified.
	ColdBytes int64
	// Indexed tells that the start scan is over.
	Indexed bool
}

// DriveStats is the part of Stats of one drive.
type DriveStats struct {
	Path  string
	State State
	// Cause is the last error that changed State; nil when it is StateOK.
	Cause error
	// Bytes counts against Limit; until the scan is over a part is estimated.
	// Foreign is the part of it that a newer release wrote, or somebody else: it
	// is left alone.
	Bytes, Limit, Chunks, Foreign int64
	// Corrupt counts blocks that did not match since the start, CorruptToday
	// those of the last 24 hours. Failing tells that these are too many.
	Corrupt, CorruptToday int64
	Failing               bool
	// Scanned tells that the index has all that the drive holds.
	Scanned bool
	// Scrub says how far the scrub is.
	Scrub ScrubStats
}

// ScrubStats is how far the scrub of a drive is.
type ScrubStats struct {
	// Rounds counts those completed, LastRound is when the last one was; zero =
	// never.
	Rounds    int64
	LastRound time.Time
	// Done is the share of the present round, 0 to 1.
	Done float64
}

func (d *drive) stats() DriveStats {
	st, cause := d.status()
	today := d.faults.today(d.s.now())
	return DriveStats{
		Path: d.path, State: st, Cause: cause, Limit: d.limit, Bytes: d.used.Load(), Chunks: d.chunks.Load(),
		Foreign: d.foreign.Load(), Corrupt: d.faults.total(), CorruptToday: today,
		Failing: today >= int64(d.s.cfg.FailingAfter), Scanned: d.scanned.Load(), Scrub: d.scrubbed.stats(),
	}
}

// Stats returns the present figures.
func (s *Store) Stats() Stats {
	st := Stats{
		MemBytes: s.memory.Load(), MemLimit: s.cfg.MemBytes, MemFalls: s.counts.memoryFalls.Load(),
		Corrupt: s.counts.corrupt.Load(), Damaged: s.counts.damaged.Load(), Repairs: s.counts.repairs.Load(),
		Evictions: s.counts.evictions.Load(), ColdBytes: s.counts.coldBytes.Load(), Indexed: s.scans.Load() == 0,
	}
	for _, d := range s.drives() {
		ds := d.stats()
		st.Drives = append(st.Drives, ds)
		st.Bytes += ds.Bytes
		st.Limit += ds.Limit
		st.Chunks += ds.Chunks
	}
	return st
}

// Keys calls yield for each chunk held, memory files included, with the blocks
// present, in no order, until yield returns false: `for key, present := range
// store.Keys`. Only a chunk that was never open, and that the background has not
// come to yet, costs one open and one read; this counts as no use. One that cannot be read at this moment, for want of file
// descriptors or because its drive fails, is reported with all blocks: it may
// have them. What is on a drive out of reach is not reported. Before Indexed, only what was found so far is reported.
func (s *Store) Keys(yield func(storage.ChunkKey, Bitmap) bool) {
	for i := range s.shards {
		sh := &s.shards[i]
		sh.mu.Lock()
		keys := make([]storage.ChunkKey, 0, len(sh.index))
		for key := range sh.index {
			keys = append(keys, key)
		}
		sh.mu.Unlock()
		for _, key := range keys {
			if present, ok := s.presence(sh, key); ok && !yield(key, present) {
				return
			}
		}
	}
}

// presence returns the blocks present of a chunk, without opening it for use:
// all of them where the chunk is held and cannot be read at this moment.
func (s *Store) presence(sh *shard, key storage.ChunkKey) (Bitmap, bool) {
	for {
		sh.mu.Lock()
		e := sh.index[key]
		if e == nil || e.drive != nil && !e.drive.reachable() {
			sh.mu.Unlock()
			return Bitmap{}, false
		}
		if c := e.chunk; c != nil {
			sh.mu.Unlock()
			return c.present.load(), true
		}
		present, listed := e.present, e.listed
		sh.mu.Unlock()
		if listed {
			return present, true
		}
		present, err := s.readPresence(e)
		switch {
		case errors.Is(err, errOut):
			return Bitmap{}, false
		case err == nil:
			sh.mu.Lock()
			if sh.index[key] == e && e.chunk == nil && !e.listed {
				e.present, e.listed = present, true
			}
			sh.mu.Unlock()
			return present, true
		case errors.Is(err, errDamaged), errors.Is(err, errNewer):
			return Bitmap{}, false
		case !errors.Is(err, fs.ErrNotExist):
			return Bitmap{^uint64(0), ^uint64(0)}, true
		}
		sh.mu.Lock()
		moved := sh.index[key] != e || e.chunk != nil
		sh.mu.Unlock()
		if !moved {
			return Bitmap{}, false
		}
	}
}

// readPresence reads the blocks present of a chunk that is not open; errOut when
// its drive does not answer.
func (s *Store) readPresence(e *entry) (Bitmap, error) {
	if e.drive == nil {
		return Bitmap{}, fs.ErrNotExist
	}
	if !e.drive.readable() {
		return Bitmap{}, errUnreadable
	}
	sh := s.shard(e.key)
	got, ok := await(e.drive, func() opened {
		if !s.peek(sh, e) {
			return opened{err: fs.ErrNotExist}
		}
		defer s.unpeek(sh, e)
		f, err := s.fs.Open(OpOpen, chunkPath(e.drive.path, e.key), os.O_RDONLY)
		if err != nil {
			return opened{err: err}
		}
		defer f.Close()
		c, _, err := s.load(f, e.key)
		return opened{c: c, err: err}
	}, func(opened) {})
	switch {
	case !ok:
		return Bitmap{}, errOut
	case got.err != nil:
		return Bitmap{}, got.err
	}
	return got.c.present.load(), nil
}
