package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"

	"github.com/mccd/mccd/storage"
)

// draft is a chunk file in the making: it has no name that a Lookup finds.
type draft struct {
	c   *Chunk
	tmp string
}

// make makes an empty chunk of v, on the best drive that takes it, else in
// memory, and pins it. It takes the name of held, a file of another version,
// where there is one. The caller holds key's latch.
func (s *Store) make(sh *shard, key storage.ChunkKey, v storage.Version, held *entry) (*Chunk, error) {
	var cause error
	for _, d := range s.ranked(keyHash(key)) {
		if !d.accepts() {
			continue
		}
		got, ok := await(d, func() drafted { return s.draftNamed(sh, d, key, v, held == nil) }, func(late drafted) {
			if late.err == nil { // the drive is not used again before this
				late.df.tmp = chunkPath(d.path, key)
				s.discard(late.df)
			}
		})
		switch {
		case !ok:
			cause = errOut
		case got.err == nil:
			s.enter(sh, got.df, held, false)
			s.fellBack.Store(false)
			return got.df.c, nil
		default:
			cause = got.err
			d.fault(got.err, false)
		}
	}
	df, err := s.memoryDraft(sh, key, v, cause)
	if err != nil {
		return nil, err
	}
	s.installDraft(sh, df, held, nil)
	return df.c, nil
}

type drafted struct {
	df  *draft
	err error
}

// draftNamed makes a chunk file on d under its own name, in no index yet; free
// tells that no file is known to have the name.
func (s *Store) draftNamed(sh *shard, d *drive, key storage.ChunkKey, v storage.Version, free bool) drafted {
	df, err := s.draft(sh, d, key, v)
	if err != nil {
		return drafted{err: err}
	}
	if err := d.rename(OpPublish, df.tmp, chunkPath(d.path, key)); err != nil {
		if free { // it may have it all the same
			_ = s.fs.Remove(OpDiscard, chunkPath(d.path, key))
		}
		s.discard(df)
		return drafted{err: err}
	}
	return drafted{df: df}
}

// draft makes a chunk file under a temporary name on d.
func (s *Store) draft(sh *shard, d *drive, key storage.ChunkKey, v storage.Version) (*draft, error) {
	head, err := encodeHead(key, v)
	if err != nil {
		return nil, err
	}
	if err := s.reserve(d, headCharge); err != nil {
		return nil, err
	}
	e := &entry{key: key, drive: d}
	s.begin(e, headCharge)
	tmp := d.tmpName(chunkName(key))
	d.inodes.Add(-1)
	f, err := s.fs.Open(OpCreate, tmp, os.O_RDWR|os.O_CREATE|os.O_EXCL)
	if err != nil {
		s.giveBack(e)
		return nil, err
	}
	c := &Chunk{f: f, base: dataOff, key: key, version: v, length: chunkLen(v.Size, key.Index)}
	c.bind(s, sh, e)
	df := &draft{c: c, tmp: tmp}
	// The table too, so that the file takes what counts from the first block on.
	if err = s.fs.Write(OpHeader, f, 0, head, make([]byte, tableSize)); err == nil {
		err = s.fs.Truncate(OpSize, f, dataOff+c.length)
	}
	if err != nil {
		s.discard(df)
		return nil, err
	}
	return df, nil
}

// discard gives up a draft.
func (s *Store) discard(df *draft) {
	_ = df.c.f.Close()
	if df.tmp != "" {
		d, e := df.c.drive, df.c.e
		d.discard(litterFile{path: df.tmp, e: e, named: df.tmp == chunkPath(d.path, e.key)})
	}
	s.giveBack(df.c.e)
}

// publish gives a draft its name and enters it into the index in place of
// held, whose file goes with its last reader.
func (s *Store) publish(sh *shard, df *draft, held *entry, known bool) error {
	d := df.c.drive
	if err := d.rename(OpPublish, df.tmp, chunkPath(d.path, df.c.key)); err != nil {
		return err
	}
	s.enter(sh, df, held, known)
	return nil
}

// enter makes a draft that has its name the current chunk of its key; known
// tells that its bytes were held for long.
func (s *Store) enter(sh *shard, df *draft, held *entry, known bool) {
	s.installDraft(sh, df, held, nil)
	df.c.drive.chunks.Add(1)
	s.enlist(df.c.e, known)
}

// installDraft makes a draft the current chunk of its key. held loses its
// name, unless it is under: then it stays for the time after a memory file.
func (s *Store) installDraft(sh *shard, df *draft, held, under *entry) {
	sh.mu.Lock()
	df.c.e.under = under
	sh.install(df.c)
	var old *Chunk
	if held != nil {
		old, held.chunk = held.chunk, nil
	}
	sh.mu.Unlock()
	if held == nil || held == under {
		return
	}
	for _, e := range []*entry{held, held.under} {
		if e == nil {
			continue
		}
		if e.drive != nil && !e.drive.reachable() {
			sh.mu.Lock()
			s.forgetEntry(sh, e)
			sh.mu.Unlock()
			continue
		}
		if e.drive != nil && e.drive != df.c.drive {
			path := chunkPath(e.drive.path, e.key)
			if err := s.fs.Remove(OpDiscard, path); err != nil && !errors.Is(err, fs.ErrNotExist) {
				e.drive.fault(err, false)
				e.drive.leave(litterFile{path: path, e: e, named: true})
				if old != nil {
					old.retire() // its name stays, so its file may be opened again
				}
			}
		}
		s.drop(sh, e)
	}
}

// memoryDraft makes a memory file for a chunk that no drive takes.
func (s *Store) memoryDraft(sh *shard, key storage.ChunkKey, v storage.Version, cause error) (*draft, error) {
	length := chunkLen(v.Size, key.Index)
	if !s.reserveMemory(length) {
		return nil, errors.Join(fmt.Errorf("no drive and no memory left: %w", storage.ErrBusy), cause)
	}
	e := &entry{key: key}
	e.bytes.Store(length)
	e.used.Store(uint32(s.now().Unix() / 60))
	f, err := s.fs.Memory(OpMemory, "mccd-chunk")
	if err != nil {
		s.giveBack(e)
		return nil, fmt.Errorf("%w: %w", storage.ErrBusy, err)
	}
	c := &Chunk{f: f, key: key, version: v, length: length}
	c.bind(s, sh, e)
	df := &draft{c: c}
	if err := s.fs.Truncate(OpMemory, f, length); err != nil {
		s.discard(df)
		return nil, fmt.Errorf("%w: %w", storage.ErrBusy, err)
	}
	s.counts.memoryFalls.Add(1)
	if !s.fellBack.Swap(true) {
		s.log.Warn("no drive takes a chunk: serving from memory, storing nothing", slog.Any("cause", cause))
	}
	return df, nil
}

// reserveMemory counts n bytes against the pool, dropping memory files that
// nobody uses.
func (s *Store) reserveMemory(n int64) bool {
	for range evictRounds {
		used := s.memory.Load()
		if used+n <= s.cfg.MemBytes {
			if s.memory.CompareAndSwap(used, used+n) {
				return true
			}
			continue
		}
		if n > s.cfg.MemBytes || !s.dropMemory(0) {
			return false
		}
	}
	return false
}

// dropMemory closes one memory file that nobody uses and that was last used
// before the given Unix minute (0 = whenever); false when there is none.
func (s *Store) dropMemory(before uint32) bool {
	for i := range s.shards {
		sh := &s.shards[i]
		sh.mu.Lock()
		for c := sh.idle.head; c != nil; c = c.idleNext {
			if c.drive != nil || sh.busy[c.key] != nil || before != 0 && c.e.used.Load() >= before {
				continue
			}
			sh.idle.remove(c)
			c.e.chunk, c.e.gone = nil, true
			if c.e.under != nil {
				sh.index[c.key] = c.e.under
			} else {
				delete(sh.index, c.key)
			}
			sh.mu.Unlock()
			s.closeChunk(c)
			return true
		}
		sh.mu.Unlock()
	}
	return false
}
