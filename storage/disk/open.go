package disk

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"syscall"

	"github.com/mccd/mccd/storage"
)

// Lookup pins what is held of a chunk; ErrNotHeld when nothing is. A chunk
// that is not open costs one open, before the start scan is over one per
// drive. The caller compares Version where it matters, and calls Release once.
func (s *Store) Lookup(key storage.ChunkKey) (*Chunk, error) {
	c, err := s.get(context.Background(), key, nil)
	if err != nil && !errors.Is(err, ErrNotHeld) {
		return nil, fmt.Errorf("look up chunk %s: %w", key, err)
	}
	return c, err
}

// Create pins the chunk as Lookup does, and makes an empty file of it where
// nothing of version v is held; key.Version must be v.ID(), and v.Size known.
// Where no drive can take it, it goes to a memory file (Stored is false);
// storage.ErrBusy when the pool is used up too. It waits, until ctx ends,
// while the same chunk is being made, repaired or evicted.
func (s *Store) Create(ctx context.Context, key storage.ChunkKey, v storage.Version) (*Chunk, error) {
	if c := s.pinLive(key, v); c != nil {
		return c, nil
	}
	return s.create(ctx, key, v)
}

// pinLive pins the chunk of key where it is open, whole and of version v, as it
// nearly always is when a client reads on; nil when it is not.
func (s *Store) pinLive(key storage.ChunkKey, v storage.Version) *Chunk {
	sh := s.shard(key)
	sh.mu.Lock()
	e := sh.index[key]
	if e == nil || e.chunk == nil || !e.chunk.live() || sh.busy[key] != nil || s.closed.Load() || !sameVersion(e.chunk.version, v) ||
		e.drive != nil && !e.drive.reachable() {
		sh.mu.Unlock()
		return nil
	}
	c := e.chunk
	sh.pin(c)
	sh.mu.Unlock()
	e.touch(s.now())
	return c
}

func (s *Store) create(ctx context.Context, key storage.ChunkKey, v storage.Version) (*Chunk, error) {
	err := error(nil)
	switch {
	case v.Size < 0:
		err = storage.ErrLength
	case key.Version != v.ID():
		err = ErrVersion
	case chunkLen(v.Size, key.Index) == 0:
		err = storage.ErrRange
	}
	var c *Chunk
	if err == nil {
		c, err = s.get(ctx, key, &v)
	}
	if err != nil {
		return nil, fmt.Errorf("create chunk %s: %w", key, err)
	}
	return c, nil
}

// get pins the current chunk of key. With want it makes one where there is
// none of that version. A chunk that is condemned or moved is replaced first:
// all who come for it meanwhile wait for that.
func (s *Store) get(ctx context.Context, key storage.ChunkKey, want *storage.Version) (*Chunk, error) {
	sh := s.shard(key)
	for {
		sh.mu.Lock()
		if s.closed.Load() {
			sh.mu.Unlock()
			return nil, ErrClosed
		}
		e := sh.index[key]
		out := e != nil && e.drive != nil && !e.drive.reachable()
		if out && want == nil {
			sh.mu.Unlock()
			return nil, ErrNotHeld
		}
		if l := sh.busy[key]; l != nil {
			turned := s.turned()
			sh.mu.Unlock()
			if out {
				return nil, fmt.Errorf("%w: %w", storage.ErrBusy, errOut)
			}
			select {
			case <-l:
			case <-turned: // who has the key may wait for that drive
			case <-ctx.Done():
				return nil, context.Cause(ctx)
			}
			continue
		}
		if out {
			s.forgetEntry(sh, e)
			e = nil
		}
		if e != nil && e.chunk != nil && e.chunk.live() && (want == nil || sameVersion(e.chunk.version, *want)) {
			c := e.chunk
			sh.pin(c)
			sh.mu.Unlock()
			e.touch(s.now())
			return c, nil
		}
		if e == nil && want == nil && s.scans.Load() == 0 {
			sh.mu.Unlock()
			return nil, ErrNotHeld
		}
		sh.latch(key)
		var old *Chunk
		if e != nil && e.chunk != nil {
			old = e.chunk
			sh.pin(old)
		}
		sh.mu.Unlock()
		c, err := s.resolve(sh, key, e, old, want)
		sh.unlatch(key)
		if old != nil {
			s.closeChunk(s.unpin(sh, old))
		}
		return c, err
	}
}

// resolve finds, replaces or makes the chunk of key and pins it. The caller
// holds key's latch; e and old are what the index has, nil for nothing.
func (s *Store) resolve(sh *shard, key storage.ChunkKey, e *entry, old *Chunk, want *storage.Version) (*Chunk, error) {
	if old != nil && (want == nil || sameVersion(old.version, *want)) {
		return s.replace(sh, old)
	}
	if old == nil {
		c, err := s.openHeld(sh, key, e)
		switch {
		case err == nil && (want == nil || sameVersion(c.version, *want)):
			return c, nil
		case err == nil:
			// The same VersionID, another version: a miss. The new file takes
			// the old one's name, its readers keep the old one.
			e = c.e
			defer func() { s.closeChunk(s.unpin(sh, c)) }()
		case !errors.Is(err, ErrNotHeld):
			return nil, err
		default:
			// Where its drive cannot be read now, the entry is still there.
			sh.mu.Lock()
			e = sh.index[key]
			sh.mu.Unlock()
		}
	}
	if want == nil {
		return nil, ErrNotHeld
	}
	return s.make(sh, key, *want, e)
}

// openHeld opens the file of key where e says, or on any drive while the
// index is not complete.
func (s *Store) openHeld(sh *shard, key storage.ChunkKey, e *entry) (*Chunk, error) {
	if e != nil {
		c, err := s.openFile(sh, key, e.drive, e)
		if errors.Is(err, errUnreadable) {
			return nil, ErrNotHeld // its file is there and counts
		}
		if errors.Is(err, ErrNotHeld) {
			sh.mu.Lock()
			mine := sh.index[key] == e && !e.gone
			if mine {
				delete(sh.index, key)
			}
			sh.mu.Unlock()
			if mine {
				s.drop(sh, e)
			}
		}
		return c, err
	}
	if s.scans.Load() == 0 {
		return nil, ErrNotHeld
	}
	for _, d := range s.ranked(keyHash(key)) {
		if d.scanned.Load() {
			continue
		}
		if c, err := s.openFile(sh, key, d, nil); !errors.Is(err, ErrNotHeld) && !errors.Is(err, errUnreadable) {
			return c, err
		}
	}
	return nil, ErrNotHeld
}

// openFile opens key's file on d, and enters it into the index when e is nil.
// A file that is not whole is removed: what it held is a miss. The error is
// ErrNotHeld where there is no file, errUnreadable where there is or may be one
// that is of no use now.
func (s *Store) openFile(sh *shard, key storage.ChunkKey, d *drive, e *entry) (*Chunk, error) {
	if !d.readable() {
		return nil, errUnreadable
	}
	got, ok := await(d, func() opened { return s.openRaw(d, key) }, func(late opened) {
		if late.err == nil {
			_ = late.c.f.Close()
		}
	})
	err := got.err
	switch {
	case !ok:
		return nil, errUnreadable
	case errors.Is(err, fs.ErrNotExist):
		return nil, ErrNotHeld
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return nil, fmt.Errorf("%w: %w", storage.ErrBusy, err)
	case errors.Is(err, errDamaged):
		s.counts.damaged.Add(1)
		s.log.Warn("chunk file is damaged and is removed", slog.String("drive", d.path), slog.String("chunk", key.String()))
		if err := s.fs.Remove(OpDiscard, chunkPath(d.path, key)); err != nil {
			d.fault(err, false)
			return nil, errUnreadable
		}
		if e == nil {
			s.removed(sh, key, d)
		}
		return nil, ErrNotHeld
	case errors.Is(err, errNewer):
		return nil, errUnreadable
	case err != nil:
		d.fault(err, true)
		return nil, errUnreadable
	}
	c, info := got.c, got.info
	d.recovered(true)
	fresh := e == nil
	if fresh {
		e = &entry{key: key, drive: d}
		e.known(info)
		d.chargeFound(chargeOf(info))
		d.chunks.Add(1)
	}
	c.bind(s, sh, e)
	sh.mu.Lock()
	e.looked(info)
	c.verified.store(e.verified)
	sh.install(c)
	sh.mu.Unlock()
	if fresh {
		s.enlist(e, true)
	}
	e.touch(s.now())
	return c, nil
}

// opened is a file that was opened and read, or why it was not.
type opened struct {
	c    *Chunk
	info Info
	err  error
}

// openRaw opens key's file on d and reads its header; nothing else knows of it.
func (s *Store) openRaw(d *drive, key storage.ChunkKey) (o opened) {
	name := chunkPath(d.path, key)
	f, err := s.fs.Open(OpOpen, name, os.O_RDWR)
	if errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) {
		s.closeIdle(false)
		f, err = s.fs.Open(OpOpen, name, os.O_RDWR)
	}
	readOnly := err != nil && !ownTrouble(err)
	if readOnly {
		f, err = s.fs.Open(OpOpen, name, os.O_RDONLY)
	}
	if err != nil {
		return opened{err: err}
	}
	if o.c, o.info, o.err = s.load(f, key); o.err != nil {
		_ = f.Close()
		return o
	}
	o.c.readOnly = readOnly
	return o
}

// load reads header and table of an open file.
func (s *Store) load(f *os.File, key storage.ChunkKey) (*Chunk, Info, error) {
	info, err := s.fs.Stat(OpLoad, f)
	if err != nil {
		return nil, info, err
	}
	var head [tableOff + tableSize]byte
	if n, err := s.fs.Read(OpLoad, f, 0, head[:]); err != nil && ignoreEOF(err) != nil {
		return nil, info, err
	} else if n < len(head) {
		return nil, info, errDamaged
	}
	c := &Chunk{f: f, base: dataOff}
	if c.key, c.version, err = decodeHead(head[:headSize]); err != nil {
		return nil, info, err
	}
	if c.key != key {
		return nil, info, errDamaged
	}
	c.length = chunkLen(c.version.Size, key.Index)
	c.present.store(decodeTable(head[tableOff:], key, c.length, &c.sums))
	return c, info, nil
}

// install makes c the current chunk of its key, with one use. The shard is
// locked.
func (sh *shard) install(c *Chunk) {
	c.e.chunk = c
	c.e.open++
	c.refs = 1
	sh.index[c.key] = c.e
}
