package disk

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/storage/disk/evict"
)

const shardCount = 64

// shard is one part of the index. Its lock is held for map and list work only,
// never over I/O.
type shard struct {
	mu sync.Mutex
	// index has every chunk known to be held.
	index map[storage.ChunkKey]*entry
	// busy has the keys whose file is being opened, made, replaced or removed;
	// the channel closes when that is over.
	busy map[storage.ChunkKey]chan struct{}
	// idle has the open chunks that nobody uses, oldest first.
	idle idleList
	// records has the same latches for record files.
	records map[storage.ObjectID]chan struct{}
	// removed has what lost its name while a scan lists its drive.
	removed map[place]bool
}

// entry is one chunk file on a drive, or one memory file. A file that is
// replaced or removed takes its entry with it.
type entry struct {
	key storage.ChunkKey
	// by tells who said last that it holds these bytes too; see Confirm.
	by atomic.Uint32
	// drive is nil for a memory file.
	drive *drive
	// bytes is what the file counts against its drive's limit.
	bytes atomic.Int64
	// verified has the blocks that were written or verified by this process;
	// kept here while the file is not open. Guarded by shard.mu.
	verified Bitmap
	// present has the blocks present while the file is not open, if listed is
	// set. Guarded by shard.mu.
	present Bitmap
	listed  bool
	// told says that a saved index told of the file, and nobody looked at it
	// since. Guarded by shard.mu.
	told bool
	// used is the last use in Unix minutes, touched the one in the file.
	used, touched atomic.Uint32
	// links belongs to the drive's policy.
	links evict.Links[*entry]

	// The rest is guarded by shard.mu.

	// chunk is the open file, nil when there is none.
	chunk *Chunk
	// open is the number of open Chunks of this file, replaced ones included.
	open int32
	// peeks is the number of those who read the file without a Chunk.
	peeks int32
	// gone tells that the file has no name any more: its bytes are given back
	// when open is 0.
	gone bool
	// left tells that the file has its name, on a drive out of reach: its bytes
	// stay counted till a scan finds it.
	left bool
	// under is the chunk's file on a drive that a memory file stands in for,
	// because the drive took no more writes.
	under *entry
}

// remember keeps what c knows of its file for the time that it is not open. The
// shard is locked.
func (c *Chunk) remember() {
	c.e.verified = c.verified.load()
	c.e.present, c.e.listed = c.present.load(), true
}

// touch notes a use.
func (e *entry) touch(now time.Time) {
	seconds := now.Unix()
	if minute := uint32(seconds / 60); e.used.Load() != minute {
		e.used.Store(minute)
	}
	e.links.Use(uint32(seconds / tickSeconds))
}

// idleList is a list of chunks that nobody uses, oldest first.
type idleList struct {
	head, tail *Chunk
	n          int
}

func (l *idleList) push(c *Chunk) {
	c.idlePrev, c.idleNext, c.isIdle = l.tail, nil, true
	if l.tail != nil {
		l.tail.idleNext = c
	} else {
		l.head = c
	}
	l.tail = c
	l.n++
}

func (l *idleList) remove(c *Chunk) {
	if !c.isIdle {
		return
	}
	if c.idlePrev != nil {
		c.idlePrev.idleNext = c.idleNext
	} else {
		l.head = c.idleNext
	}
	if c.idleNext != nil {
		c.idleNext.idlePrev = c.idlePrev
	} else {
		l.tail = c.idlePrev
	}
	c.idlePrev, c.idleNext, c.isIdle = nil, nil, false
	l.n--
}

func (s *Store) shard(key storage.ChunkKey) *shard {
	return &s.shards[(uint(key.Object[0])+uint(key.Index))%shardCount]
}

// pin takes a use of c. The shard is locked.
func (sh *shard) pin(c *Chunk) {
	c.refs++
	sh.idle.remove(c)
}

// latch marks key busy. The shard is locked.
func (sh *shard) latch(key storage.ChunkKey) { sh.busy[key] = make(chan struct{}) }

// unlatch ends what latch began.
func (sh *shard) unlatch(key storage.ChunkKey) {
	sh.mu.Lock()
	l := sh.busy[key]
	delete(sh.busy, key)
	sh.mu.Unlock()
	close(l)
}

// unpin gives back a use of c, and returns the chunk whose file is to be
// closed by closeChunk, outside of the lock. At most max idle chunks stay.
func (s *Store) unpin(sh *shard, c *Chunk) (dead *Chunk) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if c.refs--; c.refs < 0 {
		panic("disk: chunk " + c.key.String() + " released twice")
	}
	if c.refs > 0 {
		return dead
	}
	if sh.index[c.key] != c.e || c.e.chunk != c || s.closed.Load() {
		dead = c
		return dead
	}
	sh.idle.push(c)
	// Memory files stay: closing one loses its bytes. The pool drops them.
	if sh.idle.n > s.idlePerShard {
		for old := sh.idle.head; old != nil; old = old.idleNext {
			if old.drive == nil || sh.busy[old.key] != nil {
				continue
			}
			sh.idle.remove(old)
			old.e.chunk = nil
			old.remember()
			dead = old
			break
		}
	}
	return dead
}

// closed reports whether nobody has e's file open: one without a name takes
// room until then. The shard is locked.
func (e *entry) closed() bool { return e.open == 0 && e.peeks == 0 }

// peek lets e's file be read without a Chunk, until unpeek; false when it has
// no name any more.
func (s *Store) peek(sh *shard, e *entry) bool {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if !e.gone {
		e.peeks++
	}
	return !e.gone
}

// unpeek ends what peek began; the file is closed.
func (s *Store) unpeek(sh *shard, e *entry) {
	sh.mu.Lock()
	e.peeks--
	back := e.gone && e.closed()
	sh.mu.Unlock()
	if back {
		s.giveBack(e)
	}
}

// closeChunk closes the file of a chunk that nobody can reach any more.
func (s *Store) closeChunk(c *Chunk) {
	if c == nil {
		return
	}
	_ = c.f.Close()
	sh := c.sh
	sh.mu.Lock()
	c.e.open--
	back := c.e.gone && c.e.closed()
	sh.mu.Unlock()
	if back {
		s.giveBack(c.e)
	} else if c.drive != nil && !s.closed.Load() {
		s.touchFile(c.e)
	}
}

// giveBack returns the bytes of a file that has neither name nor readers.
func (s *Store) giveBack(e *entry) {
	n := e.bytes.Swap(0)
	switch {
	case e.left && !e.drive.scanned.Load():
		e.drive.mu.Lock()
		e.drive.estimate += n
		e.drive.mu.Unlock()
	case e.drive != nil:
		e.drive.credit(n)
	default:
		s.memory.Add(-n)
	}
}

// drop marks e as a file without a name, and gives its bytes back unless a
// reader still has it open.
func (s *Store) drop(sh *shard, e *entry) {
	sh.mu.Lock()
	e.gone = true
	back := e.closed()
	sh.mu.Unlock()
	if e.drive != nil {
		e.drive.policy.Remove(e)
		e.drive.chunks.Add(-1)
		s.removed(sh, e.key, e.drive)
	}
	if back {
		s.giveBack(e)
	}
}

// closeIdle closes the files that nobody uses; memory files, whose bytes are
// lost by that, only if asked to.
func (s *Store) closeIdle(memory bool) {
	for i := range s.shards {
		sh := &s.shards[i]
		var dead []*Chunk
		sh.mu.Lock()
		for c := sh.idle.head; c != nil; {
			next := c.idleNext
			if sh.busy[c.key] == nil && (memory || c.drive != nil) {
				sh.idle.remove(c)
				c.e.chunk = nil
				c.remember()
				dead = append(dead, c)
			}
			c = next
		}
		sh.mu.Unlock()
		for _, c := range dead {
			if c.drive != nil {
				s.touchFile(c.e)
			}
			s.closeChunk(c)
		}
	}
}
