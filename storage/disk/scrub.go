package disk

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/mccd/mccd/storage"
)

// scrubRest is the pause between two rounds over a drive.
const scrubRest = time.Hour

// scrub reads what is not in the page cache, at Config.ScrubRate, and so finds
// rotten blocks before a client asks for them. What it read it drops from the
// cache again. It goes on where the former process stopped.
func (s *Store) scrub(ctx context.Context, d *drive) {
	select {
	case <-s.indexed:
	case <-ctx.Done():
		return
	}
	d.loadScrub()
	for {
		shard, after := d.scrubbed.place()
		for _, key := range sortedKeys(s.shards[shard].keysOf(d)) {
			if chunkName(key) <= after {
				continue
			}
			for !d.readable() { // what is not read is not scrubbed
				if !pause(ctx, tick) {
					return
				}
			}
			s.scrubChunk(ctx, key)
			if ctx.Err() != nil {
				return
			}
			if d.scrubbed.did(key, s.now()) && d.writable() {
				d.saveScrub()
			}
		}
		if !d.scrubbed.next(s.now()) {
			continue
		}
		if d.writable() {
			d.saveScrub()
		}
		if !pause(ctx, scrubRest) {
			return
		}
	}
}

// sortedKeys sorts keys by the names of their files.
func sortedKeys(keys []storage.ChunkKey) []storage.ChunkKey {
	slices.SortFunc(keys, func(a, b storage.ChunkKey) int { return strings.Compare(chunkName(a), chunkName(b)) })
	return keys
}

func (sh *shard) keysOf(d *drive) []storage.ChunkKey {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	var keys []storage.ChunkKey
	for key, e := range sh.index {
		if e.drive == d {
			keys = append(keys, key)
		}
	}
	return keys
}

// scrubChunk verifies the cold blocks of one chunk, and repairs it.
func (s *Store) scrubChunk(ctx context.Context, key storage.ChunkKey) {
	c, err := s.Lookup(key)
	if err != nil {
		return
	}
	defer c.Release()
	for i := 0; i < blocksOf(c.length) && c.live(); i++ {
		if !c.present.has(i) || c.resident(i, 1) {
			continue
		}
		n, err := c.verify(ctx, i, 1)
		if err != nil {
			return
		}
		off := c.base + int64(i)*storage.BlockSize
		if n > 0 {
			forget(c.f, off, storage.BlockSize)
		}
		if !pause(ctx, time.Duration(float64(storage.BlockSize)/float64(s.cfg.ScrubRate)*float64(time.Second))) {
			return
		}
	}
	if !c.live() {
		if repaired, err := s.Lookup(key); err == nil {
			repaired.Release()
		}
	}
}

// pause waits for d; false when ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
