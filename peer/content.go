package peer

import (
	"context"
	"net/netip"
	"time"

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
	// were started, given the end of the last run.
	limit, ahead, given int64
	// since is when the reading began; zero before the first byte.
	since time.Time
	// step is the range's place in its client's sequence.
	step step
	// resumes is the client's address if it is to get this version again when
	// it comes back; invalid = it is not. noted tells that this is remembered.
	resumes netip.Addr
	noted   bool
}

// firstWindow is how far a range that was asked for explicitly is filled at
// once, in bytes; a whole-file GET begins with one piece.
const firstWindow = 4 << 20

// aheadTime is what is read ahead, in time.
const aheadTime = time.Second

func newContent(f *Filler, req storage.Request, o *storage.Object) *Content {
	both := &struct {
		Content
		job
	}{job: job{o: o, ref: req.Ref, rule: req.Rule}} // one piece of memory
	c := &both.Content
	c.f, c.whole, c.r = f, req.Whole, reader{f: f, early: true, j: &both.job}
	c.begin, c.limit = req.First.Off, req.First.End
	if c.begin < 0 {
		c.begin, c.limit = max(0, o.Size()+c.begin), o.Size()
	}
	c.limit = min(c.limit, o.Size())
	c.ahead, c.given = c.begin, c.begin
	if !c.whole && !req.HeadOnly && o.Whole == "" {
		c.step = f.sequences.enter(o.ID, req.Client, storage.Span{Off: c.begin, End: c.limit}, o.Size(), f.cfg.ReadAhead)
	}
	return c
}

// Object returns the object's record. It must not be changed.
func (c *Content) Object() *storage.Object { return c.r.j.o }

// Next waits until the byte span.Off is present and returns the run of verified
// bytes that begins there, at most span. The run is valid until the next call
// of Next, Rest or Close. What is missing is filled, the wanted piece first; a
// whole-file read is filled ahead by as much as it has consumed, up to
// Config.ReadAhead, a range that continues others of its client by less.
func (c *Content) Next(ctx context.Context, span storage.Span) (storage.Run, error) {
	if err := c.r.open(ctx, storage.ChunkOf(span.Off)); err != nil {
		return storage.Run{}, err
	}
	if err := c.fillAhead(ctx, span.Off); err != nil {
		return storage.Run{}, err
	}
	cs := storage.ChunkSpan(c.Object().Size(), storage.ChunkOf(span.Off))
	c.f.asked(c.Object(), span.Intersect(cs))
	run, err := c.r.next(ctx, span)
	c.given = span.Off + run.Len
	if err == nil && c.resumes.IsValid() && !c.noted {
		c.noted = true // not before: a version without a first byte is had by nobody
		c.f.began(c.Object(), c.resumes)
	}
	return run, err
}

// fillAhead starts flights for the window that begins at off, up to which the
// client has consumed, and then for what its sequence wants next.
func (c *Content) fillAhead(ctx context.Context, off int64) error {
	if off < c.begin || off > c.ahead { // the reader jumped: begin anew
		c.begin, c.ahead, c.since = off, off, time.Time{}
	}
	least := int64(firstWindow)
	if c.whole {
		least = storage.PieceSize
	}
	window := min(max(c.soon(off), least), c.f.cfg.ReadAhead)
	if c.ahead < c.limit && c.ahead-off <= window/2 {
		if err := c.fillTo(ctx, off, c.target(off, window)); err != nil {
			return err
		}
	}
	if c.ahead >= c.limit && !c.step.ahead.Empty() {
		next := c.step.ahead
		c.step.ahead = storage.Span{}
		c.ahead = max(c.ahead, next.Off)
		_ = c.fillTo(ctx, off, next.End) // reading ahead is not needed for this read
	}
	return nil
}

// soon returns how much the client takes within aheadTime, going by what it has
// taken up to off, which bounds it: who reads slowly, or from a slow origin, has
// nothing of flights that share the line with the one it waits for.
func (c *Content) soon(off int64) int64 {
	taken := off - c.begin
	if c.since.IsZero() {
		c.since = time.Now()
		return taken
	}
	if took := time.Since(c.since); took > aheadTime {
		return int64(float64(taken) * aheadTime.Seconds() / took.Seconds())
	}
	return taken
}

// target returns how far to fill: to the end of the piece where the window
// ends, or of the last chunk within a large one (fewer, larger requests).
func (c *Content) target(off, window int64) int64 {
	size := c.Object().Size()
	end := min(off+window, c.limit)
	target := storage.Span{Off: off, End: end}.Round(storage.PieceSize, size).End
	if whole := end - end%storage.ChunkSize; window >= 2*storage.ChunkSize && whole > c.ahead && end < c.limit {
		target = whole
	}
	return target
}

// fillTo starts flights for what is missing between c.ahead and target.
func (c *Content) fillTo(ctx context.Context, off, target int64) error {
	size := c.Object().Size()
	for c.ahead < target {
		cs := storage.ChunkSpan(size, storage.ChunkOf(c.ahead))
		piece := storage.Span{Off: c.ahead, End: min(target, cs.End)}.Round(storage.PieceSize, size)
		if _, err := c.r.want(ctx, piece.Intersect(cs), c.ahead > off); err != nil {
			if c.ahead > off {
				return nil // reading ahead is not needed for this read
			}
			return err
		}
		c.ahead = min(target, cs.End)
	}
	return nil
}

// Rest lets go of the open chunk and of all flights, for as long as a client takes
// no bytes. The last run is no longer valid.
func (c *Content) Rest() {
	c.r.end()
	c.ahead = min(c.ahead, c.given)
}

// Close releases what the Content holds. Flights that it started go on if
// others follow them, or little is missing.
func (c *Content) Close() {
	c.step.took(c.given - c.begin)
	if c.noted {
		c.f.began(c.Object(), c.resumes) // it may have taken long
	}
	c.r.end()
}
