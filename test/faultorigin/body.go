package faultorigin

import (
	"io"
	"net"
	"net/http"
	"time"

	"github.com/mccd/mccd/storage"
)

// writeSize is how much is written at once, so that it goes past the buffers
// of net/http and the ledger's figures are those of the socket.
const writeSize = 64 << 10

// body sends the bytes of span with all that the behaviour does to them.
func (a *answer) body(span storage.Span) {
	own := newPace(a.b.Rate)
	slice := a.s.rate.slice(own.slice(writeSize))
	buf := make([]byte, slice)
	declared := span.Len() + min(0, a.b.LengthDelta)
	if a.b.Chunked || a.b.UntilClose {
		declared = span.Len()
	}
	held, paused := a.b.BodyGate == nil, a.b.Pause == 0
	for done := int64(0); done < declared; {
		if !held && done >= a.b.HoldAfter {
			held = true
			a.flush()
			if a.hold(a.b.BodyGate) != nil {
				panic(http.ErrAbortHandler)
			}
		}
		if !paused && done >= a.b.PauseAfter {
			paused = true
			a.flush()
			if pause(a.ctx, a.b.Pause) != nil {
				panic(http.ErrAbortHandler)
			}
		}
		if a.b.Break != NoBreak && done >= a.b.After {
			a.end()
			return
		}
		n := min(int64(len(buf)), declared-done)
		for _, stop := range []int64{a.b.After, a.b.HoldAfter, a.b.PauseAfter, a.b.MidAfter} {
			if done < stop && stop < done+n {
				n = stop - done
			}
		}
		p := buf[:n]
		a.read(p, span.Off+done, done)
		if own.wait(a.ctx, len(p)) != nil || a.s.rate.wait(a.ctx, len(p)) != nil {
			panic(http.ErrAbortHandler)
		}
		written, err := a.write(a.w, p, span.Off+done)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		done += int64(written)
		if slice < writeSize || done == int64(written) {
			a.flush()
		}
	}
	if a.b.Break != NoBreak && (a.b.Break != Stall || !a.whole()) {
		a.end()
		return
	}
	a.surplus(storage.Span{Off: span.Off + declared, End: span.End})
}

// read fills p with the object's bytes from off on, which are those after
// done bytes of the body.
func (a *answer) read(p []byte, off, done int64) {
	if a.b.MidVersion != "" && done >= a.b.MidAfter {
		Fill(p, a.ent.path, a.b.MidVersion, off)
		return
	}
	if n, err := a.ent.content.ReadAt(p, off); n < len(p) && err != nil {
		panic(http.ErrAbortHandler) // a real file that shrank
	}
}

// write sends p, the object's bytes from off on, and notes it. It is noted
// before it is sent, so that a client that has read a byte finds it in the
// ledger; what was not written after all is taken out again.
func (a *answer) write(w io.Writer, p []byte, off int64) (int, error) {
	first := a.s.ledger.sent(a.entry, storage.Span{Off: off, End: off + int64(len(p))})
	n, err := w.Write(p)
	if n < len(p) {
		a.s.ledger.unsent(a.entry, int64(len(p)-n))
	}
	if first && n > 0 {
		a.s.observe(FirstByte, a.entry)
	}
	return n, err
}

func (a *answer) flush() { _ = http.NewResponseController(a.w).Flush() }

// whole reports whether a client takes a body that was sent to its end for the
// whole answer: it then keeps the connection and sends its next request there,
// which a stall would leave unread.
func (a *answer) whole() bool {
	return !a.b.Chunked && !a.b.UntilClose && a.b.LengthDelta <= 0
}

// end breaks the body off.
func (a *answer) end() {
	a.flush()
	switch a.b.Break {
	case Stall:
		<-a.ctx.Done()
	case Reset:
		if conn := a.hijack(); conn != nil {
			if t, ok := tcp(conn); ok {
				_ = t.SetLinger(0)
			}
			_ = conn.Close()
			return
		}
	}
	panic(http.ErrAbortHandler)
}

// surplus sends what the declared length leaves no room for: the rest of the
// body, then Extra bytes.
func (a *answer) surplus(rest storage.Span) {
	if rest.Empty() && a.b.Extra == 0 {
		return
	}
	a.flush()
	conn := a.hijack()
	if conn == nil {
		panic(http.ErrAbortHandler)
	}
	defer conn.Close()
	_ = conn.SetWriteDeadline(time.Now().Add(10 * time.Second))
	buf := make([]byte, min(rest.Len(), writeSize))
	for off := rest.Off; off < rest.End; {
		n := min(int64(len(buf)), rest.End-off)
		a.read(buf[:n], off, off)
		if _, err := a.write(conn, buf[:n], off); err != nil {
			return
		}
		off += n
	}
	_, _ = conn.Write(make([]byte, a.b.Extra))
	// The client must be able to read it all: no reset by unread input.
	if t, ok := tcp(conn); ok {
		_ = t.CloseWrite()
		_ = conn.SetReadDeadline(time.Now().Add(time.Second))
		_, _ = io.Copy(io.Discard, io.LimitReader(conn, 1<<20))
	}
}

func (a *answer) hijack() net.Conn {
	conn, _, err := http.NewResponseController(a.w).Hijack()
	if err != nil {
		return nil
	}
	return conn
}

// tcp returns the TCP connection below conn.
func tcp(conn net.Conn) (*net.TCPConn, bool) {
	if inner, ok := conn.(interface{ NetConn() net.Conn }); ok {
		conn = inner.NetConn()
	}
	t, ok := conn.(*net.TCPConn)
	return t, ok
}
