package gateway

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/mccd/mccd/storage"
)

// errBadRun: the source broke its contract; the response is cut rather than
// sent wrong.
var errBadRun = errors.New("source gave a run outside of the span")

// next waits for the run at span.Off and checks it.
func (x *exchange) next(content Content, span storage.Span) (storage.Run, error) {
	run, err := content.Next(&x.wait, span)
	if err != nil {
		return storage.Run{}, err
	}
	if run.File == nil && int64(len(run.Bytes)) != run.Len || run.Len <= 0 || run.Len > span.Len() || run.Off < 0 || run.From > storage.SourceOrigin {
		return storage.Run{}, fmt.Errorf("%w: %d bytes for %s", errBadRun, run.Len, span)
	}
	return run, nil
}

// deliver sends the head and the body, run by run as they come.
func (x *exchange) deliver(content Content, d decision, run storage.Run) {
	x.status, x.content = d.status, true
	x.from, x.collapsed = run.From, run.Collapsed
	direct := x.conn != nil && x.conn.direct()
	body := run.Len > 0
	if body && direct && run.File != nil && x.g.egress == nil {
		x.conn.cork() // the head leaves with the first bytes
	}
	m := newByteRanges(content.Object(), d)
	if !x.writeReady(content.Object(), d) {
		x.g.objectHead(x.w.Header(), content.Object(), d)
		m.head(x.w.Header())
		x.g.nodeHead(x.w.Header(), x.g.cacheStatus(run.From, run.Collapsed))
		x.w.WriteHeader(d.status)
	}
	if !body {
		return
	}
	x.wait.rest()
	// Only once the head is out does net/http hand runs on as they are.
	if err := x.flush(); err != nil {
		x.abort(cutClient, err)
	}
	if m != nil {
		x.deliverParts(content, m, run, direct)
		return
	}
	x.deliverSpan(content, d.span, run, direct)
}

// deliverSpan sends the object's bytes of span, of which run is the first, run
// by run as they come.
func (x *exchange) deliverSpan(content Content, span storage.Span, run storage.Run, direct bool) {
	for {
		if x.g.egress != nil {
			run = x.paced(content, span, run)
		}
		span.Off += x.send(content, run, direct)
		if span.Empty() {
			return
		}
		run = x.nextOrCut(content, span)
	}
}

// paced waits until the beginning of run may leave and returns that; run is let
// go of when it takes long, and had again.
func (x *exchange) paced(content Content, span storage.Span, run storage.Run) storage.Run {
	part := x.g.egress.most()
	rested := false
	long := func() {
		if r, ok := content.(rester); ok {
			r.Rest()
			rested = true
		}
	}
	if err := x.pace(min(run.Len, part), long); err != nil {
		x.abort(cutClient, err)
	}
	if rested {
		span.End = min(span.End, span.Off+min(run.Len, part))
		run = x.nextOrCut(content, span)
	}
	if run.Len > part {
		if run.Len = part; run.File == nil {
			run.Bytes = run.Bytes[:part]
		}
	}
	return run
}

// nextOrCut waits for the run at span.Off of a response that has begun, which
// ends when there is none.
func (x *exchange) nextOrCut(content Content, span storage.Span) storage.Run {
	x.wait.renew()
	run, err := x.next(content, span)
	if err != nil {
		cut := cutUpstream
		if x.r.Context().Err() != nil {
			cut = cutClient
		}
		x.abort(cut, x.wait.explain(err))
	}
	x.wait.rest()
	return run
}

func (x *exchange) flush() error {
	if w, ok := x.w.(interface{ FlushError() error }); ok {
		return w.FlushError()
	}
	return http.NewResponseController(x.w).Flush()
}

// send sends one run or ends the response. Of a run that the content was made to
// let go of it sends a part.
func (x *exchange) send(content Content, run storage.Run, direct bool) int64 {
	if x.firstByte == 0 {
		x.firstByte = max(1, x.g.cfg.Now().Sub(x.start))
	}
	var n int64
	var err error
	switch {
	case run.File == nil:
		n, err = x.sendBytes(run.Bytes)
		x.g.metrics.copied.Add(float64(n))
	case direct:
		r := &x.conn.reader
		r.Run, r.rested = run, false
		r.from, _ = content.(rester)
		n, err = x.w.(io.ReaderFrom).ReadFrom(r)
		r.File, r.from = nil, nil
		if r.rested {
			run.Len = n
		}
		if x.conn.pipe != nil {
			x.g.metrics.copied.Add(float64(n))
		} else {
			x.g.metrics.sendfile.Add(float64(n))
		}
	default:
		n, err = x.copyRun(run)
		x.g.metrics.copied.Add(float64(n))
	}
	x.sent += n
	x.bytes[run.From] += n
	if err == nil && n < run.Len {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		cut := cutClient
		if errors.Is(err, io.ErrUnexpectedEOF) {
			cut = cutStorage
		}
		x.abort(cut, err)
	}
	return n
}

// sendBytes sends what is in no file yet: to a client that waits for it, so none
// of it is held back.
func (x *exchange) sendBytes(p []byte) (int64, error) {
	n, err := windowed{x}.Write(p)
	if err == nil {
		err = x.flush()
	}
	return int64(n), err
}

// windowed writes to the client within Config.SlowWindow. On a connection of its
// own that is conn's to see to; a stream of HTTP/2 may take nothing while its
// connection does.
type windowed struct{ x *exchange }

func (w windowed) Write(p []byte) (int, error) {
	if w.x.r.ProtoMajor == 2 {
		if err := http.NewResponseController(w.x.w).SetWriteDeadline(time.Now().Add(w.x.g.cfg.SlowWindow)); err != nil {
			return 0, err
		}
	}
	return w.x.w.Write(p)
}

// abort closes the connection: a body that has begun never looks whole when it
// is not.
func (x *exchange) abort(cut string, err error) {
	x.cut, x.err = cut, err
	if x.conn != nil && !x.r.ProtoAtLeast(1, 1) {
		x.conn.discard() // the connection's end may be all that ends the body
	}
	if cut != cutClient {
		x.g.cfg.Logger.Warn("response cut", "url", x.ref.String(), "reason", cut, "sent", x.sent, "error", err)
	}
	panic(http.ErrAbortHandler)
}

// copySize is the length of the buffers of copyRun and pass.
const copySize = 128 << 10

// buffers is held by a Gateway, so that its copies share what they allocate.
type buffers struct{ pool sync.Pool }

func (b *buffers) get() *[]byte {
	if p, ok := b.pool.Get().(*[]byte); ok {
		return p
	}
	p := make([]byte, copySize)
	return &p
}

func (b *buffers) put(p *[]byte) { b.pool.Put(p) }

// copyRun sends a run through a buffer, where the connection has no sendfile.
func (x *exchange) copyRun(run storage.Run) (int64, error) {
	buf := x.g.buffers.get()
	defer x.g.buffers.put(buf)
	return copyAll(windowed{x}, &runReader{Run: run}, *buf)
}

// copyAll copies src to dst through buf; an error of src is told apart from
// one of dst by errSource.
func copyAll(dst io.Writer, src io.Reader, buf []byte) (int64, error) {
	var total int64
	for {
		n, readErr := src.Read(buf)
		if n > 0 {
			m, err := dst.Write(buf[:n])
			total += int64(m)
			if err != nil {
				return total, err
			}
		}
		switch readErr {
		case nil:
		case io.EOF:
			return total, nil
		default:
			return total, fmt.Errorf("%w: %w", errSource, readErr)
		}
	}
}

// errSource marks a fault of what is read, not of the client.
var errSource = errors.New("read body")
