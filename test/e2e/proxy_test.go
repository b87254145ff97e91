package e2e_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// recorder keeps every byte that passes its proxies, one stream for each
// direction of each connection.
type recorder struct {
	t  *testing.T
	wg sync.WaitGroup

	mu      sync.Mutex // guards what follows
	closed  bool
	closers []io.Closer
	streams []*stream
}

// stream is one direction of a connection, or of the packets to one socket.
type stream struct {
	mu   sync.Mutex // guards data
	data []byte
}

// Write keeps p.
func (s *stream) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.data = append(s.data, p...)
	return len(p), nil
}

// newRecorder returns one whose proxies end with the test.
func newRecorder(t *testing.T) *recorder {
	r := &recorder{t: t}
	t.Cleanup(r.close)
	return r
}

func (r *recorder) close() {
	r.mu.Lock()
	r.closed = true
	closers := r.closers
	r.mu.Unlock()
	for _, c := range closers {
		_ = c.Close()
	}
	r.wg.Wait()
}

// keep has c closed at the end; false when the end has come.
func (r *recorder) keep(c io.Closer) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		_ = c.Close()
		return false
	}
	r.closers = append(r.closers, c)
	return true
}

func (r *recorder) stream() *stream {
	s := new(stream)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.streams = append(r.streams, s)
	return s
}

// bytes returns how much was recorded.
func (r *recorder) bytes() (n int64) {
	r.each(func(b []byte) { n += int64(len(b)) })
	return n
}

// holds reports whether one of the streams holds needle.
func (r *recorder) holds(needle []byte) (found bool) {
	r.each(func(b []byte) { found = found || bytes.Contains(b, needle) })
	return found
}

func (r *recorder) each(do func([]byte)) {
	r.mu.Lock()
	streams := r.streams
	r.mu.Unlock()
	for _, s := range streams {
		s.mu.Lock()
		do(s.data)
		s.mu.Unlock()
	}
}

// tcp carries connections at addr to target.
func (r *recorder) tcp(addr, target string) {
	r.t.Helper()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		r.t.Fatal(err)
	}
	r.keep(l)
	r.wg.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			r.wg.Go(func() { r.carry(in, target) })
		}
	})
}

// carry copies both ways until both have ended.
func (r *recorder) carry(in net.Conn, target string) {
	defer func() { _ = in.Close() }()
	out, err := net.DialTimeout("tcp", target, 5*time.Second)
	if err != nil {
		return // as if nobody listened
	}
	defer func() { _ = out.Close() }()
	if !r.keep(in) || !r.keep(out) {
		return
	}
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{in, out}, {out, in}} {
		seen := r.stream()
		both.Go(func() {
			_, err := io.Copy(way[1], io.TeeReader(way[0], seen))
			if half, ok := way[1].(interface{ CloseWrite() error }); ok && err == nil {
				_ = half.CloseWrite()
				return
			}
			_ = way[0].Close()
			_ = way[1].Close()
		})
	}
	both.Wait()
}

// udp carries packets at addr to target, and answers back: one socket for
// each caller.
func (r *recorder) udp(addr, target string) {
	r.t.Helper()
	at, err := net.ListenPacket("udp", addr)
	if err != nil {
		r.t.Fatal(err)
	}
	r.keep(at)
	r.wg.Go(func() {
		callers := map[string]net.Conn{}
		seen := r.stream()
		buf := make([]byte, 64<<10)
		for {
			n, from, err := at.ReadFrom(buf)
			if err != nil {
				return
			}
			_, _ = seen.Write(buf[:n])
			to := callers[from.String()]
			if to == nil {
				if to, err = net.Dial("udp", target); err != nil || !r.keep(to) {
					return
				}
				callers[from.String()] = to
				r.wg.Go(func() { r.answers(to, at, from) })
			}
			_, _ = to.Write(buf[:n]) // lost, as packets are
		}
	})
}

func (r *recorder) answers(to net.Conn, at net.PacketConn, from net.Addr) {
	seen := r.stream()
	buf := make([]byte, 64<<10)
	for {
		n, err := to.Read(buf)
		if n > 0 {
			_, _ = seen.Write(buf[:n])
			_, _ = at.WriteTo(buf[:n], from)
		}
		if errors.Is(err, net.ErrClosed) {
			return
		}
		// Else the target is down: the kernel says so once for each packet.
	}
}
