package peer

import "sync"

// framePool lends memory for one message's data. It does not clear it: every
// byte is overwritten before it is sent.
type framePool struct{ pool sync.Pool }

// frames is shared by all calls.
var frames = &framePool{pool: sync.Pool{New: func() any { //nolint:gochecknoglobals // a pool
	b := make([]byte, frameBytes)
	return &b
}}}

// Get returns memory of at least n bytes; n is at most frameBytes.
func (p *framePool) Get(int) *[]byte {
	b := p.pool.Get().(*[]byte)
	*b = (*b)[:cap(*b)]
	return b
}

// Put takes memory back.
func (p *framePool) Put(b *[]byte) { p.pool.Put(b) }
