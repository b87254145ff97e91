package origin

import (
	"context"
	"errors"
	"math"
	"sync"
	"time"

	"github.com/mccd/mccd/storage"
)

// lengthless reports whether r brings an object whose length it does not tell.
func (r *Response) lengthless() bool { return !r.NotModified && r.Object.Version.Size < 0 }

// measure turns resp, the answer to r that does not tell the object's length,
// into one of the whole object that does. Where no Range was asked for, or one
// was answered without a total, "bytes=0-" may tell; what is left is spooled to its end,
// if the answer marks that: a body that ends with its connection may be cut
// short unseen.
func (c *Client) measure(ctx context.Context, r Request, resp *Response) (*Response, error) {
	asked := r
	asked.Revalidate, asked.Known = nil, nil
	if !resp.RangeIgnored {
		_ = resp.Body.Close()
		asked.Whole, asked.Span = false, storage.Span{End: math.MaxInt64}
		var err error
		resp, err = c.fetchOnce(ctx, asked)
		if unsatisfiable := new(UnsatisfiableError); errors.As(err, &unsatisfiable) || err == nil && resp.lengthless() && !resp.RangeIgnored {
			if err == nil {
				_ = resp.Body.Close() // "to the end" of a length unknown is no end
			}
			asked.Whole = true
			resp, err = c.fetchOnce(ctx, asked)
		}
		if err != nil {
			return nil, err
		}
	}
	if resp.lengthless() {
		if err := c.spool(r.Ref.ID(), resp); err != nil {
			return nil, err
		}
	}
	resp.RangeIgnored = !r.Whole
	return resp, nil
}

// spool reads resp's body to its end and lets it be read from there, with its
// length known.
func (c *Client) spool(id storage.ObjectID, resp *Response) error {
	body := resp.Body
	defer func() { _ = body.Close() }()
	now := c.cfg.Now()
	if !resp.marked || resp.Span.Off != 0 || c.spools.long.has(id, now) {
		return storage.ErrLength
	}
	f, err := c.spools.open()
	if err != nil {
		return err
	}
	if err := f.fill(body); err != nil {
		_ = f.Close()
		if errors.Is(err, errTooLong) {
			c.spools.long.add(id, now)
		}
		return err
	}
	resp.Object.Version = resp.sized(f.size)
	resp.Span, resp.Body = storage.Span{End: f.size}, f
	return nil
}

// longFor is how long an object is known to be longer than what is spooled;
// longMost bounds those known.
const (
	longFor  = 10 * time.Minute
	longMost = 1024
)

// long are the objects that turned out to be too long to be spooled, so that
// each client that asks does not cost as much again.
type long struct {
	mu    sync.Mutex // guards until
	until map[storage.ObjectID]time.Time
}

func (l *long) has(id storage.ObjectID, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return now.Before(l.until[id])
}

func (l *long) add(id storage.ObjectID, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.until == nil || len(l.until) >= longMost {
		l.until = make(map[storage.ObjectID]time.Time) // to forget costs one more try each
	}
	l.until[id] = now.Add(longFor)
}
