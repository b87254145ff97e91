package disk

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	"github.com/mccd/mccd/storage"
)

// writeTries bounds the files that one block is tried in.
const writeTries = 4

// Writer is a flight's right to write blocks of one chunk. It pins the chunk;
// when the chunk is condemned or its drive takes no more writes, it goes on in
// the file that replaces it by itself. A Writer is used by one goroutine at a
// time; several Writers may write one chunk.
type Writer struct {
	c     *Chunk
	wrote int64
}

// BeginWrite returns a Writer, which must be ended; ErrCondemned or ErrMoved
// when the chunk is to be replaced, as from Ready.
func (c *Chunk) BeginWrite() (*Writer, error) {
	if err := c.stale(); err != nil {
		return nil, err
	}
	c.sh.mu.Lock()
	c.sh.pin(c)
	c.sh.mu.Unlock()
	return &Writer{c: c}, nil
}

// Chunk returns the chunk that the next block goes to: not the one of
// BeginWrite any more after a repair or a move. It is valid until the next
// WriteBlock or End.
func (w *Writer) Chunk() *Chunk { return w.c }

// Wrote returns the number of bytes that this Writer published.
func (w *Writer) Wrote() int64 { return w.wrote }

// End gives the Writer back. A second call does nothing.
func (w *Writer) End() {
	if w.c != nil {
		w.c.Release()
		w.c = nil
	}
}

// WriteBlock writes block i, whose bytes are exactly those of bufs one after
// the other, and publishes it. bufs are not kept and not changed. It writes
// nothing, and returns nil, when the block is present or another Writer is
// writing it.
//
// When the drive refuses the write, the block stays absent and the chunk moves
// with its verified blocks to another drive or to memory, and the block is
// written there; readers learn it by ErrMoved. An error means that no place
// was left (storage.ErrBusy) or bufs have the wrong length (ErrBlockLength).
func (w *Writer) WriteBlock(i int, bufs [][]byte) error { return w.write(i, bufs, nil) }

// write writes block i, whose CRC32C is to be want; nil = whatever it is.
func (w *Writer) write(i int, bufs [][]byte, want *uint32) error {
	var n int64
	for _, b := range bufs {
		n += int64(len(b))
	}
	if i < 0 || i >= blocksOf(w.c.length) || n != blockLen(w.c.length, i) {
		return fmt.Errorf("write block %d of chunk %s, %d bytes: %w", i, w.c.key, n, ErrBlockLength)
	}
	var err error
	for range writeTries {
		var done bool
		if done, err = w.c.writeBlock(i, bufs, want); err == nil {
			if done {
				w.wrote += n
			}
			return nil
		}
		if errors.Is(err, ErrSum) {
			return sumError(i, w.c)
		}
		if err := w.follow(); err != nil {
			return fmt.Errorf("write block %d of chunk %s: %w", i, w.c.key, err)
		}
	}
	return fmt.Errorf("write block %d of chunk %s: %w", i, w.c.key, err)
}

// follow goes on in the chunk's present file.
func (w *Writer) follow() error {
	c, err := w.c.s.get(context.Background(), w.c.key, &w.c.version)
	if err != nil {
		return err
	}
	w.c.Release()
	w.c = c
	return nil
}

// writeBlock takes block i from absent over writing to present; done is false
// when it is already on that way. ErrSum leaves the chunk as it was.
func (c *Chunk) writeBlock(i int, bufs [][]byte, want *uint32) (done bool, err error) {
	c.mu.Lock()
	switch {
	case c.state.Load() != stateLive:
		c.mu.Unlock()
		return false, errStale
	case c.present.has(i) || c.writing.Has(i):
		c.mu.Unlock()
		return false, nil
	}
	c.writing.set(i)
	c.inflight++
	c.mu.Unlock()

	sum := sumOf(bufs)
	if want != nil && sum != *want {
		err = ErrSum
	} else {
		err = c.put(i, bufs, sum)
	}

	c.mu.Lock()
	c.writing.clear(i)
	if err == nil {
		c.verified.set(i)
		c.present.set(i)
	} else if err != ErrSum && c.state.Load() == stateLive { //nolint:errorlint // it is made here
		c.state.Store(stateMoving)
	}
	if c.inflight--; c.inflight == 0 && c.quiet != nil {
		close(c.quiet)
		c.quiet = nil
	}
	c.mu.Unlock()
	c.wakeAll()
	return err == nil, err
}

// put brings the block's bytes, its checksum and its table entry into place.
// The entry is written last: without it the block is absent after a restart.
func (c *Chunk) put(i int, bufs [][]byte, sum uint32) error {
	off := c.base + int64(i)*storage.BlockSize
	c.sums[i] = sum
	if c.drive == nil {
		return c.s.fs.Write(OpMemory, c.f, off, bufs...)
	}
	if c.readOnly {
		return syscall.EROFS
	}
	defer c.drive.end(c.drive.begin())
	if !c.drive.reachable() || c.state.Load() == stateReplaced {
		return errOut
	}
	n := blockLen(c.length, i)
	if err := c.s.reserve(c.drive, charge(n)); err != nil {
		return err
	}
	c.e.grow(charge(n))
	if err := c.s.fs.Write(OpBlock, c.f, off, bufs...); err != nil {
		c.drive.fault(err, false)
		return err
	}
	var entry [entrySize]byte
	encodeEntry(&entry, c.key, i, sum, n)
	if err := c.s.fs.Write(OpEntry, c.f, tableOff+int64(i)*entrySize, entry[:]); err != nil {
		c.drive.fault(err, false)
		return err
	}
	c.drive.recovered(false)
	return nil
}
