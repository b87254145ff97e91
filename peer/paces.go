package peer

import (
	"sync"
	"time"

	"github.com/mccd/mccd/storage"
)

const (
	// pacesKept bounds the hosts whose pace is remembered.
	pacesKept = 1024
	// shortestAnswer is the length from which an answer says something of its
	// origin's pace.
	shortestAnswer = 4 * storage.BlockSize
)

// paces remember how fast origins' answers came, by host.
type paces struct {
	mu     sync.Mutex // guards perSec
	perSec map[string]float64
}

func newPaces() *paces { return &paces{perSec: make(map[string]float64)} }

// saw notes that an answer of host brought n bytes in took.
func (p *paces) saw(host string, n int64, took time.Duration) {
	if n < shortestAnswer {
		return
	}
	now := float64(n) / max(took, time.Microsecond).Seconds()
	p.mu.Lock()
	defer p.mu.Unlock()
	if was, ok := p.perSec[host]; ok {
		now = (was + now) / 2
	} else if len(p.perSec) >= pacesKept {
		for other := range p.perSec { // any
			delete(p.perSec, other)
			break
		}
	}
	p.perSec[host] = now
}

// request returns how much to ask host for by one request: what comes within
// about a second, at least a piece and at most a chunk, in whole pieces. Of a
// host that is not known it is a piece.
func (p *paces) request(host string) int64 {
	p.mu.Lock()
	perSec := p.perSec[host]
	p.mu.Unlock()
	n := int64(min(perSec, storage.ChunkSize)) / storage.PieceSize * storage.PieceSize
	return max(n, storage.PieceSize)
}
