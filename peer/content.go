package peer

import (
	"context"

	"github.com/mccd/mccd/storage"
)

// Content is an opened object, as one client reads it. It is used by one
// goroutine.
type Content struct {
	f *Filler
	r reader
	// whole, begin: the client reads from begin to the object's end, in order.
	whole bool
	begin int64
	// limit is the end of what the client asked for, ahead how far flights
	// were started.
	limit, ahead int64
}

// firstWindow is how far a range that was asked for explicitly is filled at
// once, in bytes; a whole-file GET begins with one piece.
const firstWindow = 4 << 20

func newContent(f *Filler, req storage.Request, o *storage.Object) *Content {
	c := &Content{f: f, whole: req.Whole, r: reader{f: f, j: &job{o: o, ref: req.Ref, rule: req.Rule}}}
	c.begin, c.limit = req.First.Off, req.First.End
	if c.begin < 0 {
		c.begin, c.limit = max(0, o.Size()+c.begin), o.Size()
	}
	c.limit = min(c.limit, o.Size())
	c.ahead = c.begin
	return c
}

// Object returns the object's record. It must not be changed.
func (c *Content) Object() *storage.Object { return c.r.j.o }

// Next waits until the byte span.Off is present and returns the run of verified
// bytes that begins there, at most span. The run is valid until the next call
// of Next or Close. What is missing is filled; a whole-file read is filled
// ahead by as much as it has consumed, up to Config.ReadAhead.
func (c *Content) Next(ctx context.Context, span storage.Span) (storage.Run, error) {
	if err := c.r.open(ctx, storage.ChunkOf(span.Off)); err != nil {
		return storage.Run{}, err
	}
	if err := c.fillAhead(ctx, span.Off); err != nil {
		return storage.Run{}, err
	}
	return c.r.next(ctx, span)
}

// fillAhead starts flights for the window that begins at off.
func (c *Content) fillAhead(ctx context.Context, off int64) error {
	window := min(max(off-c.begin, storage.PieceSize), c.f.cfg.ReadAhead)
	if !c.whole {
		window = min(max(off-c.begin, firstWindow), c.f.cfg.ReadAhead)
	}
	if off < c.begin || off > c.ahead { // the reader jumped: begin anew
		c.begin, c.ahead = off, off
	}
	if c.ahead-off > window/2 || c.ahead >= c.limit {
		return nil
	}
	unit := int64(storage.PieceSize)
	if window >= 2*storage.ChunkSize {
		unit = storage.ChunkSize // whole chunks: fewer, larger requests
	}
	target := storage.Span{Off: off, End: min(off+window, c.limit)}.Round(unit, c.Object().Size()).End
	if !c.whole {
		end := storage.Span{Off: off, End: c.limit}.Round(storage.PieceSize, c.Object().Size()).End
		target = min(target, end)
	}
	for c.ahead < target {
		cs := storage.ChunkSpan(c.Object().Size(), storage.ChunkOf(c.ahead))
		piece := storage.Span{Off: c.ahead, End: min(target, cs.End)}.Round(storage.PieceSize, c.Object().Size())
		if _, err := c.r.want(ctx, piece.Intersect(cs)); err != nil {
			if c.ahead > off {
				return nil // reading ahead is not needed for this read
			}
			return err
		}
		c.ahead = min(target, cs.End)
	}
	return nil
}

// Close releases what the Content holds. Flights that it started go on.
func (c *Content) Close() { c.r.close() }
