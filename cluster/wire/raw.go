package wire

import (
	"net"
	"sync"
)

// Sizes of the buffer below TLS. An idle connection holds the least.
const (
	leastRead  = 4 << 10
	mostRead   = 256 << 10
	readFactor = 4
	// smallReads in a row make the buffer smaller.
	smallReads = 16
	// A corked write goes out once this much has come together.
	corkLimit = 256 << 10
)

// rawConn lies below TLS. Records of 16 KiB would cost a system call each, in
// both directions; it reads many at once and, while corked, writes many at
// once.
type rawConn struct {
	net.Conn
	// The reading side has one reader at a time: TLS's.
	in       []byte // the buffer
	from, to int    // what of it is unread
	size     int    // the next buffer's
	small    int    // reads in a row that needed less than a step down

	mu     sync.Mutex // guards what follows, and keeps what is written in order
	corked int
	out    *[]byte    // what is held back; nil while nothing is
	pool   *sync.Pool // of such buffers

	end    sync.Mutex // guards what follows
	closed bool
	then   func() // called once, at the first Close
}

func newRaw(c net.Conn, pool *sync.Pool) *rawConn {
	return &rawConn{Conn: c, pool: pool, size: leastRead}
}

// newCorks returns the pool that the connections of one port share.
func newCorks() *sync.Pool {
	return &sync.Pool{New: func() any {
		b := make([]byte, 0, corkLimit+2*oneRecord)
		return &b
	}}
}

// Read implements net.Conn.
func (r *rawConn) Read(p []byte) (int, error) {
	if r.from == r.to {
		if err := r.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(p, r.in[r.from:r.to])
	r.from += n
	return n, nil
}

// fill reads once into the empty buffer, whose size follows the traffic.
func (r *rawConn) fill() error {
	if len(r.in) != r.size {
		r.in = make([]byte, r.size)
	}
	n, err := r.Conn.Read(r.in)
	if r.from, r.to = 0, n; n == 0 {
		return err
	}
	if n > len(r.in)/readFactor {
		r.small = 0
	} else if r.small++; r.small >= smallReads {
		r.small, r.size = 0, max(leastRead, r.size/readFactor)
	}
	if n == len(r.in) {
		r.size = min(mostRead, r.size*readFactor)
	}
	return nil
}

// peek returns the first bytes of the connection without taking them.
func (r *rawConn) peek() ([]byte, error) {
	if r.from == r.to {
		if err := r.fill(); err != nil {
			return nil, err
		}
	}
	return r.in[r.from:r.to], nil
}

// Write implements net.Conn.
func (r *rawConn) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.corked == 0 {
		return r.Conn.Write(p)
	}
	if r.out == nil {
		r.out, _ = r.pool.Get().(*[]byte)
	}
	*r.out = append(*r.out, p...)
	if len(*r.out) >= corkLimit {
		return len(p), r.flush()
	}
	return len(p), nil
}

func (r *rawConn) cork() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.corked++
}

func (r *rawConn) uncork() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.corked--; r.corked > 0 {
		return nil
	}
	return r.flush()
}

// flush writes what was held back. r.mu is held: writes keep their order, and
// whoever waits for the lock would wait for the socket anyway.
func (r *rawConn) flush() error {
	if r.out == nil {
		return nil
	}
	_, err := r.Conn.Write(*r.out)
	*r.out = (*r.out)[:0]
	r.pool.Put(r.out)
	r.out = nil
	return err
}

// whenClosed sets what the first Close calls; false if that was already.
func (r *rawConn) whenClosed(then func()) bool {
	r.end.Lock()
	defer r.end.Unlock()
	r.then = then
	return !r.closed
}

// Close implements net.Conn.
func (r *rawConn) Close() error {
	err := r.Conn.Close()
	r.end.Lock()
	then, first := r.then, !r.closed
	r.closed = true
	r.end.Unlock()
	if first && then != nil {
		then()
	}
	return err
}
