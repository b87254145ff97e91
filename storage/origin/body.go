package origin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// errBodyClosed is the cause of a request whose body was closed early.
var errBodyClosed = errors.New("body closed")

// body holds an answer to what it promised.
type body struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	from   io.ReadCloser
	// stall is how long one read may take; clock runs while one does.
	stall time.Duration
	clock *time.Timer
	// left are the bytes still due, -1 where the length is unknown.
	left     int64
	received prometheus.Counter
	// release gives back what the request holds, at the first of: the end, an
	// error, Close.
	release  func(error)
	released sync.Once
	// refused is the fault of an answer that no reader gets; set before any
	// use of body.
	refused error
	// end is what Read returns from now on; only Read uses it.
	end error
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	if b.end != nil {
		return 0, b.end
	}
	if len(p) == 0 {
		return 0, nil
	}
	var probe [1]byte
	due := b.left
	switch {
	case due == 0:
		p = probe[:] // there must be nothing more
	case due > 0 && int64(len(p)) > due:
		p = p[:due]
	}
	n, err := b.read(p)
	switch {
	case due == 0 && n > 0:
		return 0, b.finish(fmt.Errorf("%w: more bytes than promised", ErrLie))
	case due > 0:
		b.left -= int64(n)
	}
	switch {
	case err == nil:
		return n, nil
	case errors.Is(err, io.EOF) && b.left <= 0:
		_ = b.finish(nil) // the end is no error
		return n, io.EOF
	}
	return n, b.finish(b.failure(err))
}

// read reads once, under the clock that ends a silent answer.
func (b *body) read(p []byte) (int, error) {
	if b.clock == nil {
		b.clock = time.AfterFunc(b.stall, func() { b.cancel(ErrStall) })
	} else {
		b.clock.Reset(b.stall)
	}
	n, err := b.from.Read(p)
	b.clock.Stop()
	b.received.Add(float64(n))
	return n, err
}

func (b *body) failure(err error) error {
	switch {
	case b.ctx.Err() != nil:
		return context.Cause(b.ctx)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		if b.left > 0 {
			return fmt.Errorf("%w: %d bytes missing", ErrBroken, b.left)
		}
		return ErrBroken
	default:
		return fmt.Errorf("%w: %w", ErrBroken, err)
	}
}

// finish ends the body with err, nil for a good end.
func (b *body) finish(err error) error {
	b.end = err
	if err == nil {
		b.end = io.EOF
	}
	b.free(err)
	_ = b.from.Close()
	return b.end
}

// Close implements io.Closer. Before the end it cancels the request.
func (b *body) Close() error {
	b.free(errBodyClosed)
	return b.from.Close()
}

// refuse notes err as the end of an answer that is not handed on.
func (b *body) refuse(err error) { b.refused = err }

func (b *body) free(err error) {
	if b.refused != nil {
		err = b.refused
	}
	b.released.Do(func() { b.release(err) })
}
