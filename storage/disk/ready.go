package disk

import (
	"context"
	"hash/crc32"
	"log/slog"

	"github.com/mccd/mccd/storage"
)

const (
	// verifyBlocks is the most that one cold read takes, so that its first
	// bytes are not held up by the rest.
	verifyBlocks = 16
	verifyRun    = verifyBlocks * storage.BlockSize
)

// Ready returns the length of the present and verified run that begins at
// span.Off, an offset in the chunk, and is at most span.Len(); 0 when the
// block at span.Off is absent. What is not in the page cache is read in one of
// the drive's I/O slots, at most 1 MiB at a time, and checked before it is
// reported; what is there costs one system call, two when the run is only in
// part.
//
// A block that does not match its checksum ends the run. When the block at
// span.Off is such a block, or is absent while the chunk is condemned or
// moved, or has to be read from a drive that is out of reach, the error is
// ErrCondemned or ErrMoved; from the moment on that the new
// file is there it is ErrMoved for all blocks. What was reported before stays
// readable until Release. The error is ctx's own when ctx ends
// while waiting for a slot.
func (c *Chunk) Ready(ctx context.Context, span storage.Span) (int64, error) {
	span = span.Intersect(storage.Span{End: c.length})
	if span.Empty() {
		return 0, nil
	}
	first, last := int(span.Off/storage.BlockSize), int((span.End-1)/storage.BlockSize)
	n := c.present.load().run(first, last)
	if n == 0 || c.state.Load() == stateReplaced {
		return 0, c.stale()
	}
	if c.drive == nil {
		return c.upTo(span, first, n), nil
	}
	if warm := c.warm(first, n); warm > 0 {
		return c.upTo(span, first, warm), nil
	}
	n = min(n, verifyBlocks)
	if warm := c.warm(first, n); warm > 0 {
		return c.upTo(span, first, warm), nil
	}
	if !c.drive.reachable() {
		return 0, ErrMoved
	}
	n, err := c.verify(ctx, first, n)
	if n > 0 {
		return c.upTo(span, first, n), nil
	}
	if err == nil {
		err = c.stale()
	}
	return 0, err
}

// upTo returns what of span lies in the n blocks from first on.
func (c *Chunk) upTo(span storage.Span, first, n int) int64 {
	return min(span.End, int64(first+n)*storage.BlockSize) - span.Off
}

// stale returns the error of a chunk whose absent blocks stay absent.
func (c *Chunk) stale() error {
	switch c.state.Load() {
	case stateLive:
		return nil
	case stateCondemned:
		return ErrCondemned
	default:
		return ErrMoved
	}
}

// warm returns how many of the n blocks from first on can be sent as they are
// in the page cache: all n are there, and these are verified. The order
// matters: a cold read clears the verified bits before it brings pages in, so
// bits that are set after the pages were seen belong to those pages. So does
// the state: a chunk that is still not replaced after the pages were seen is
// the only one to have read them.
func (c *Chunk) warm(first, n int) int {
	if !c.resident(first, n) {
		return 0
	}
	warm := c.verified.load().run(first, first+n-1)
	if c.state.Load() == stateReplaced {
		return 0
	}
	return warm
}

func (c *Chunk) resident(first, n int) bool {
	off := int64(first) * storage.BlockSize
	length := min(int64(n)*storage.BlockSize, c.length-off)
	return c.s.fs.Resident(c.f, c.base+off, length)
}

// verify reads n blocks from first on in an I/O slot and returns how many of
// them, from the first, match their checksums. The first that does not
// condemns the chunk. One check of a block goes on at a time; who comes for it
// meanwhile waits, and finds it in the page cache.
func (c *Chunk) verify(ctx context.Context, first, n int) (int, error) {
	for {
		wait, ok := c.claim(first, n)
		if ok {
			break
		} else if wait == nil {
			return 0, nil
		}
		turned := c.s.turned()
		if !c.drive.reachable() {
			return 0, ErrMoved
		}
		select {
		case <-wait:
		case <-turned:
			continue
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
		if warm := c.warm(first, n); warm > 0 {
			return warm, nil
		}
		if n = c.present.load().run(first, first+n-1); n == 0 {
			return 0, nil
		}
	}
	if err := c.takeSlot(ctx); err != nil {
		c.unclaim(first, n)
		return 0, err
	}
	claimed := n
	n, ok := await(c.drive, func() int {
		defer c.unclaim(first, claimed)
		defer func() { <-c.drive.slots }()
		if c.state.Load() == stateReplaced {
			return 0 // its file may have another Chunk, which does not see this check
		}
		return c.check(first, claimed)
	}, func(int) {})
	if !ok {
		return 0, ErrMoved
	}
	return n, nil
}

// takeSlot waits for one of the drive's I/O slots.
func (c *Chunk) takeSlot(ctx context.Context) error {
	for {
		turned := c.s.turned()
		if !c.drive.reachable() {
			return ErrMoved
		}
		select {
		case c.drive.slots <- struct{}{}:
			return nil
		case <-turned:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// check does the work of verify: the caller has the slot and the claim.
func (c *Chunk) check(first, n int) int {
	buf := c.s.buffers.Get().(*[]byte)
	defer c.s.buffers.Put(buf)
	off := int64(first) * storage.BlockSize
	p := (*buf)[:min(int64(n)*storage.BlockSize, c.length-off)]
	c.s.counts.coldBytes.Add(int64(len(p)))
	_, err := c.s.fs.Read(OpVerify, c.f, c.base+off, p)
	for i := range n {
		b := p[i*storage.BlockSize:]
		b = b[:blockLen(c.length, first+i)]
		if err != nil {
			// One bad sector must not cost the blocks around it.
			if _, err := c.s.fs.Read(OpVerify, c.f, c.base+off+int64(i)*storage.BlockSize, b); err != nil {
				c.drive.fault(err, true)
				c.condemn(first+i, err)
				return i
			}
		}
		if crc32.Checksum(b, castagnoli) != c.sums[first+i] {
			c.condemn(first+i, nil)
			return i
		}
		c.verified.set(first + i)
	}
	c.drive.recovered(true)
	return n
}

// claim takes n blocks from first on for a check: no other check of them goes
// on until unclaim, and they count as not verified, since what the check
// brings into the page cache is not known yet. When it cannot, it returns a
// channel that closes when a check that is in the way is over, or nil when the
// chunk is replaced.
func (c *Chunk) claim(first, n int) (wait <-chan struct{}, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state.Load() == stateReplaced {
		return nil, false
	}
	for i := first; i < first+n; i++ {
		if c.checking.Has(i) {
			return c.checkOver(), false
		}
	}
	for i := first; i < first+n; i++ {
		c.checking.set(i)
		c.verified.clear(i)
	}
	return nil, true
}

func (c *Chunk) unclaim(first, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := first; i < first+n; i++ {
		c.checking.clear(i)
	}
	if c.checked != nil {
		close(c.checked)
		c.checked = nil
	}
}

// condemn makes block i absent, and the chunk one that is to be replaced.
func (c *Chunk) condemn(i int, cause error) {
	c.mu.Lock()
	if !c.present.has(i) {
		c.mu.Unlock()
		return
	}
	c.present.clear(i)
	c.verified.clear(i)
	c.bad = true
	c.lost.set(i)
	if s := c.state.Load(); s == stateLive || s == stateMoving {
		c.state.Store(stateCondemned)
	}
	c.mu.Unlock()
	c.wakeAll()
	c.s.counts.corrupt.Add(1)
	c.drive.lied()
	attrs := []any{slog.String("chunk", c.key.String()), slog.Int("block", i), slog.String("drive", c.drive.path)}
	if cause != nil {
		attrs = append(attrs, slog.Any("error", cause))
	}
	c.s.log.Warn("block does not match its checksum and is dropped", attrs...)
}
