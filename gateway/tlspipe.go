package gateway

import (
	"context"
	"crypto/tls"
	"io"
	"sync"
)

// Sizes of what a connection under TLS sends. TLS writes each record by itself:
// those of one part go out together.
const (
	// tlsPart is how much of a run is read, sealed and sent at a time.
	tlsPart = 128 << 10
	// tlsRecord is the most that one record carries, tlsOverhead more than it
	// takes beside that.
	tlsRecord, tlsOverhead = 16 << 10, 256
	// gathered is when records go out that were held back: those of a part
	// with a head before them fit in.
	gathered = tlsPart + tlsPart/tlsRecord*tlsOverhead + tlsRecord
)

// parts are the buffers that all connections under TLS share.
type parts struct{ plain, sealed sync.Pool }

func (p *parts) plainBuffer() *[]byte {
	if b, ok := p.plain.Get().(*[]byte); ok {
		return b
	}
	b := make([]byte, tlsPart)
	return &b
}

func (p *parts) sealedBuffer() *[]byte {
	if b, ok := p.sealed.Get().(*[]byte); ok {
		return b
	}
	b := make([]byte, 0, gathered+tlsRecord+tlsOverhead)
	return &b
}

// pipe lies between TLS and the connection, and gathers records. TLS writes to
// it under a lock of its own, also while it reads (a change of keys).
type pipe struct {
	*conn
	parts *parts

	mu      sync.Mutex // guards the rest, and keeps what is sent in order
	holding bool       // records wait for flush
	out     *[]byte    // those that wait; nil while none does
	closing bool       // only last words come, and nobody waits for them
}

// Write sends a record, or keeps it for flush.
func (p *pipe) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.closing:
		p.tryWrite(b)
		return len(b), nil
	case !p.holding:
		return p.conn.Write(b)
	}
	if p.out == nil {
		p.out = p.parts.sealedBuffer()
	}
	*p.out = append(*p.out, b...)
	if len(*p.out) > gathered {
		return len(b), p.send(nil, true)
	}
	return len(b), nil
}

// hold keeps what is written back until flush.
func (p *pipe) hold() {
	p.mu.Lock()
	p.holding = true
	p.mu.Unlock()
}

// flush sends what was held back. Of r, if not nil, it was read, which may let
// go of its run while the client takes nothing; more follows at once.
func (p *pipe) flush(r *runReader, more bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.holding = false
	return p.send(r, more)
}

// send sends what waits; mu is held.
func (p *pipe) send(r *runReader, more bool) error {
	if p.out == nil {
		return nil
	}
	err := p.writeOf(*p.out, r, more)
	*p.out = (*p.out)[:0]
	p.parts.sealed.Put(p.out)
	p.out = nil
	return err
}

// secure is a client's connection under TLS that http1 reads, or net/http what
// http1 hands over. Writes come from one goroutine at a time.
type secure struct {
	*tls.Conn
	pipe    *pipe
	metrics *metrics
	// ahead was read by who had the connection before, and comes first.
	ahead []byte
	// screen is what net/http reads through; nil: http1 reads.
	screen *screen
}

// Read reads what the client sent.
func (s *secure) Read(p []byte) (int, error) {
	if s.screen != nil {
		return s.screen.read(p, s.take)
	}
	return s.take(p)
}

// take reads what came, first what was read before.
func (s *secure) take(p []byte) (int, error) {
	if len(s.ahead) > 0 {
		n := copy(p, s.ahead)
		if s.ahead = s.ahead[n:]; len(s.ahead) == 0 {
			s.ahead = nil
		}
		return n, nil
	}
	return s.Conn.Read(p)
}

// Write sends p, whose records go out together.
func (s *secure) Write(p []byte) (int, error) {
	if len(p) <= tlsRecord {
		return s.Conn.Write(p)
	}
	s.pipe.hold()
	n, err := s.Conn.Write(p)
	if flushErr := s.pipe.flush(nil, false); err == nil && flushErr != nil {
		return 0, flushErr
	}
	return n, err
}

// ReadFrom sends all of src: a *runReader part by part, so that it may let go
// of its run.
func (s *secure) ReadFrom(src io.Reader) (int64, error) {
	if r, ok := src.(*runReader); ok {
		return s.sendRun(r)
	}
	return io.Copy(writerOnly{s}, src)
}

// sendRun reads, seals and sends r part by part. An error leaves the connection
// unusable.
func (s *secure) sendRun(r *runReader) (int64, error) {
	buf := s.pipe.parts.plainBuffer()
	defer s.pipe.parts.plain.Put(buf)
	var sent int64
	for r.Len > 0 && !r.rested {
		n, err := r.Read(*buf)
		if n == 0 {
			return sent, err
		}
		s.pipe.hold()
		_, err = s.Conn.Write((*buf)[:n])
		if flushErr := s.pipe.flush(r, r.Len > 0); err == nil {
			err = flushErr
		}
		if err != nil {
			return sent, err
		}
		sent += int64(n)
	}
	return sent, nil
}

// Close closes the connection without waiting for anything. After discard the
// client is not told that this is the end: what it has may not be all.
func (s *secure) Close() error {
	if s.pipe.discarded.Load() || !s.pipe.mu.TryLock() {
		return s.pipe.Close() // also what is being sent ends so
	}
	s.pipe.closing = true
	s.pipe.mu.Unlock()
	return s.Conn.Close()
}

// newSecure puts TLS over c. The handshake is http1's to begin.
func newSecure(c *conn, config *tls.Config, p *parts, m *metrics) *secure {
	c.pipe = &pipe{conn: c, parts: p}
	return &secure{Conn: tls.Server(c.pipe, config), pipe: c.pipe, metrics: m}
}

// Handshake shakes hands and counts how that went.
func (s *secure) Handshake() error {
	err := s.HandshakeContext(context.Background()) // the read deadline ends it
	state := s.ConnectionState()
	s.pipe.conn.tls = &state
	switch {
	case err != nil:
		s.metrics.shaken.WithLabelValues("failed").Inc()
	case state.DidResume:
		s.metrics.shaken.WithLabelValues("resumed").Inc()
	default:
		s.metrics.shaken.WithLabelValues("full").Inc()
	}
	return err
}
