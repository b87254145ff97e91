package http1

import (
	"context"
	"errors"
	"os"
	"sync"
	"time"
)

// waiting is the context of a request. Nothing is done for it until somebody
// asks for its end: only then does it become a real one, and a goroutine reads
// from the connection to see the client leave. It may be kept beyond the
// request; one that was asked for its end serves one request only.
type waiting struct {
	c      *conn
	parent context.Context

	mu   sync.Mutex
	real context.Context // nil until Done
	stop context.CancelFunc
	busy bool          // its request is being answered
	done chan struct{} // closed when the reader has ended; nil = there was none
	came bool          // the reader took a byte, in b
	b    [1]byte
}

// Done begins to watch for the client's end.
func (w *waiting) Done() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.real == nil {
		if !w.busy {
			return w.parent.Done() // kept beyond its request
		}
		w.real, w.stop = context.WithCancel(w.parent)
		w.done = make(chan struct{})
		_ = w.c.rwc.SetReadDeadline(time.Time{})
		go w.watch(w.stop, w.done)
	}
	return w.real.Done()
}

// watch takes one byte, the next request's first. After it a client that leaves
// is not seen, as under net/http.
func (w *waiting) watch(stop context.CancelFunc, done chan struct{}) {
	defer close(done)
	for {
		n, err := w.c.rwc.Read(w.b[:])
		w.came = n == 1
		switch {
		case n > 0:
			return
		case errors.Is(err, os.ErrDeadlineExceeded) && w.goesOn():
		case err != nil:
			stop() // the client has left, or the request is over
			return
		}
	}
}

// goesOn reports whether the request is still being answered, and takes off a
// deadline: a drain set it that had seen the connection before its request.
func (w *waiting) goesOn() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.busy { // end sets its deadline after this
		_ = w.c.rwc.SetReadDeadline(time.Time{})
	}
	return w.busy
}

// begin begins a request.
func (w *waiting) begin() {
	w.mu.Lock()
	w.busy = true
	w.mu.Unlock()
}

// end ends a request, and reports whether anybody had asked for its end: then w
// is not to be used for another. It is called by the conn, which has its reader
// and its deadline back afterwards.
func (w *waiting) end() bool {
	w.mu.Lock()
	busy, asked := w.busy, w.real != nil
	w.busy = false
	w.mu.Unlock()
	if !asked || !busy {
		return asked
	}
	_ = w.c.rwc.SetReadDeadline(time.Unix(1, 0))
	<-w.done
	w.stop()
	_ = w.c.rwc.SetReadDeadline(time.Time{})
	w.c.armed = time.Time{}
	if w.came {
		w.c.unread(w.b[0])
	}
	return true
}

func (w *waiting) now() context.Context {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.real != nil {
		return w.real
	}
	return w.parent
}

// Err tells that the client has left only if somebody has asked for Done.
func (w *waiting) Err() error { return w.now().Err() }

// Value lets package context find the real one.
func (w *waiting) Value(key any) any { return w.now().Value(key) }

// Deadline returns the server's, if it has one.
func (w *waiting) Deadline() (time.Time, bool) { return w.parent.Deadline() }
