package peer

import (
	"io"
	"sync"
	"time"
)

// earlyEvery is how often, at most, a flight lets clients have the beginning of
// a block. At origins that bring a block in less than that, clients get whole
// blocks only, as is cheaper.
const earlyEvery = 3 * time.Millisecond

// early is the beginning of the block that a flight is receiving from the
// origin: a client that waits at just these bytes gets them before the block is
// whole, has its checksum and is present. Nobody else does: other nodes and the
// disk take whole blocks.
type early struct {
	mu      sync.Mutex
	off     int64         // of the first byte, in the chunk
	bytes   []byte        // never changed below its length, nor used again
	waiting chan struct{} // closed at the next change; nil when nobody waits
	last    time.Time     // of the last change; zero before the first
}

// from returns the bytes that are here from off on. Where there are none, the
// channel is closed when there may be.
func (e *early) from(off int64) ([]byte, <-chan struct{}) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if at := off - e.off; at >= 0 && at < int64(len(e.bytes)) {
		return e.bytes[at:], nil
	}
	if e.waiting == nil {
		e.waiting = make(chan struct{})
	}
	return nil, e.waiting
}

// lend lets those who wait have p, the bytes from off on, and reports whether it
// did: then they stay as they are for ever. The first bytes of a flight are lent
// whether somebody waits or not, since who waits has often just to wake.
func (e *early) lend(off int64, p []byte) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := time.Now()
	if !e.last.IsZero() && (e.waiting == nil || now.Sub(e.last) < earlyEvery) {
		return false
	}
	e.off, e.bytes, e.last = off, p, now
	if e.waiting != nil {
		close(e.waiting)
		e.waiting = nil
	}
	return true
}

// done takes back what was lent: the block is present, or will not be.
func (e *early) done() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.bytes = nil
}

// readBlock fills p, the block at off, from r, as io.ReadFull does. lent tells
// that clients have parts of p, which is not to be used again; e may be nil.
func (e *early) readBlock(r io.Reader, p []byte, off int64) (lent bool, err error) {
	if e == nil {
		_, err := io.ReadFull(r, p)
		return false, err
	}
	for got := 0; got < len(p); {
		n, err := r.Read(p[got:])
		got += n
		switch {
		case got == len(p):
		case err == io.EOF && got > 0: // as io.ReadFull
			return lent, io.ErrUnexpectedEOF
		case err != nil:
			return lent, err
		case n > 0 && e.lend(off, p[:got:got]):
			lent = true
		}
	}
	return lent, nil
}
