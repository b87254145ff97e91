package disk

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"log/slog"

	"github.com/mccd/mccd/storage"
)

// replace makes a new file of a chunk that is condemned or moving, with all
// its blocks that hold, and pins it. It waits for the writes in progress and
// new ones wait for it. Readers keep the old file for what was reported to
// them. The caller holds the
// key's latch and a pin on old.
func (s *Store) replace(sh *shard, old *Chunk) (*Chunk, error) {
	return s.replaceBy(sh, old, true)
}

// replaceBy is replace; memory tells whether a memory file is good enough.
func (s *Store) replaceBy(sh *shard, old *Chunk, memory bool) (*Chunk, error) {
	if old.live() { // it was moving, and came back
		return s.again(sh, old), nil
	}
	old.settle()
	was := old.state.Load()
	moving := was == stateMoving
	if moving && old.drive == nil {
		old.comeBack(stateLive)
		return s.again(sh, old), nil
	}
	held := old.e
	if moving && old.readOnly && old.drive.accepts() {
		// The same file again, if it can be written now.
		s.retire(sh, old)
		if c, err := s.openFile(sh, old.key, old.drive, held); err == nil {
			return c, nil
		}
		old.comeBack(was)
	}
	var cause error
	for _, d := range s.ranked(keyHash(old.key)) {
		if !d.accepts() || moving && d == old.drive {
			continue
		}
		df, err := s.draft(sh, d, old.key, old.version)
		if err == nil {
			df.c.e.by.Store(held.by.Load())
			if err = s.copyBlocks(df.c, old); err == nil {
				s.retire(sh, old)
				if err = s.publish(sh, df, held, old.drive.leaving.Load()); err == nil {
					s.replaced(df.c, old)
					return df.c, nil
				}
				old.comeBack(was)
			}
			s.discard(df)
		}
		cause = err
		d.fault(err, false)
	}
	if !memory {
		old.comeBack(stateLive)
		return nil, errors.Join(errNowhere, cause)
	}
	df, err := s.memoryDraft(sh, old.key, old.version, cause)
	if err == nil {
		df.c.e.by.Store(held.by.Load())
		if err = s.copyBlocks(df.c, old); err != nil {
			s.discard(df)
		}
	}
	if err != nil {
		if moving {
			old.comeBack(stateLive) // as good as before
		}
		return nil, err
	}
	under := held
	if !moving {
		// A condemned file goes; where its drive refuses even that, it stays
		// and is found condemned again.
		under = nil
		if err := s.fs.Remove(OpDiscard, chunkPath(old.drive.path, old.key)); err != nil {
			old.drive.fault(err, false)
			under = held
		}
	}
	s.retire(sh, old)
	s.installDraft(sh, df, held, under)
	s.replaced(df.c, old)
	return df.c, nil
}

// again pins a chunk that needs no replacement after all.
func (s *Store) again(sh *shard, c *Chunk) *Chunk {
	sh.mu.Lock()
	sh.pin(c)
	sh.mu.Unlock()
	return c
}

// retire ends the reports of old, whose place is about to be taken, and keeps
// what it knew for the next Chunk of its file.
func (s *Store) retire(sh *shard, old *Chunk) {
	old.retire()
	sh.mu.Lock()
	old.remember()
	sh.mu.Unlock()
}

// replaced counts, and has the blocks repaired that were lost to old.
func (s *Store) replaced(c, old *Chunk) {
	s.counts.repairs.Add(1)
	old.mu.Lock()
	missing := old.lost
	old.mu.Unlock()
	have := c.present.load()
	for i := range missing {
		missing[i] &^= have[i]
	}
	if s.cfg.Repair != nil && !missing.Empty() {
		s.cfg.Repair(c.key, missing)
	}
	level := slog.LevelDebug
	if !missing.Empty() {
		level = slog.LevelInfo
	}
	s.log.Log(context.Background(), level, "chunk goes on in a new file", slog.String("chunk", c.key.String()),
		slog.Int("blocks", c.present.load().Count()), slog.Bool("stored", c.Stored()))
}

// comeBack ends an attempt to replace c that found no place: c is again what
// it was, or as good as before, unless a block was found bad meanwhile.
func (c *Chunk) comeBack(to uint32) {
	c.mu.Lock()
	if c.bad {
		to = stateCondemned
	}
	c.state.Store(to)
	c.mu.Unlock()
	c.wakeAll()
}

// copyBlocks copies the blocks of old that match their checksums. A block that
// cannot be read or does not match stays absent; a failed write is an error.
func (s *Store) copyBlocks(c, old *Chunk) error {
	buf := s.buffers.Get().(*[]byte)
	defer s.buffers.Put(buf)
	for i := range blocksOf(old.length) {
		b := (*buf)[:blockLen(old.length, i)]
		if !old.present.has(i) || !old.readBlock(i, b) {
			continue
		}
		if _, err := c.writeBlock(i, [][]byte{b}, nil); err != nil {
			return fmt.Errorf("copy block %d: %w", i, err)
		}
	}
	return nil
}

// readBlock reads a block to copy it; false when it is not right, which
// condemns it.
func (c *Chunk) readBlock(i int, b []byte) bool {
	off := c.base + int64(i)*storage.BlockSize
	if c.drive == nil {
		_, err := c.s.fs.Read(OpCopy, c.f, off, b)
		return err == nil && crc32.Checksum(b, castagnoli) == c.sums[i]
	}
	for {
		wait, ok := c.claim(i, 1)
		if ok {
			break
		} else if wait == nil {
			return false
		}
		<-wait
	}
	defer c.unclaim(i, 1)
	defer c.drive.end(c.drive.begin())
	if !c.present.has(i) {
		return false
	}
	if _, err := c.s.fs.Read(OpCopy, c.f, off, b); err != nil {
		c.drive.fault(err, true)
		c.condemn(i, err)
		return false
	}
	if crc32.Checksum(b, castagnoli) != c.sums[i] {
		c.condemn(i, nil)
		return false
	}
	c.verified.set(i)
	return true
}
