package peer

import (
	"context"
	"sync"
)

// How many messages of data may be on their way out of this node's memory, to
// one peer and to all: 4 and 16 MiB.
const (
	outPerPeer = 16
	outInAll   = 64
)

// pacer bounds the messages of data that are read from drives and not yet
// ciphered and written, for one peer and for all, so that slow peers do not fill
// the memory, one does not take the place of the others, and those who serve
// clients wait for few of them. Peers that wait take turns, the calls of one in
// the order in which they came. A place is held while bytes that are here leave,
// never while any are waited for.
type pacer struct {
	perPeer, inAll int

	mu    sync.Mutex // guards what follows
	out   int
	peers map[string]*pacedPeer
	// turns are the peers with calls that wait, the next one first.
	turns []*pacedPeer
}

// pacedPeer is a peer with messages on their way, or calls that wait to send.
type pacedPeer struct {
	id      string
	out     int
	waiting []chan struct{}
}

func newPacer(perPeer, inAll int) *pacer {
	return &pacer{perPeer: perPeer, inAll: inAll, peers: make(map[string]*pacedPeer)}
}

// take waits for a place for one message to the peer; give ends it.
func (p *pacer) take(ctx context.Context, id string) error {
	p.mu.Lock()
	peer := p.peers[id]
	if peer == nil {
		peer = &pacedPeer{id: id}
		p.peers[id] = peer
	}
	if len(peer.waiting) == 0 && peer.out < p.perPeer && p.out < p.inAll {
		peer.out++
		p.out++
		p.mu.Unlock()
		return nil
	}
	granted := make(chan struct{})
	if len(peer.waiting) == 0 {
		p.turns = append(p.turns, peer)
	}
	peer.waiting = append(peer.waiting, granted)
	p.mu.Unlock()
	select {
	case <-granted:
		return nil
	case <-ctx.Done():
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, w := range peer.waiting {
		if w == granted {
			peer.waiting = append(peer.waiting[:i], peer.waiting[i+1:]...)
			if len(peer.waiting) == 0 {
				p.leave(peer)
			}
			return context.Cause(ctx)
		}
	}
	p.returned(peer) // it was granted meanwhile
	return context.Cause(ctx)
}

// give returns a place.
func (p *pacer) give(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.returned(p.peers[id])
}

// returned takes a place back and passes on what is free. mu is held.
func (p *pacer) returned(peer *pacedPeer) {
	peer.out--
	p.out--
	for i := 0; i < len(p.turns) && p.out < p.inAll; {
		next := p.turns[i]
		if next.out >= p.perPeer {
			i++
			continue
		}
		close(next.waiting[0])
		next.waiting = next.waiting[1:]
		next.out++
		p.out++
		p.turns = append(p.turns[:i], p.turns[i+1:]...)
		if len(next.waiting) > 0 {
			p.turns = append(p.turns, next) // behind the others
		}
	}
	if peer.out == 0 && len(peer.waiting) == 0 {
		delete(p.peers, peer.id)
	}
}

// leave ends the wait of a peer whose calls have gone. mu is held.
func (p *pacer) leave(peer *pacedPeer) {
	for i, t := range p.turns {
		if t == peer {
			p.turns = append(p.turns[:i], p.turns[i+1:]...)
			break
		}
	}
	if peer.out == 0 {
		delete(p.peers, peer.id)
	}
}

// idle reports whether nothing is on its way and nobody waits.
func (p *pacer) idle() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out == 0 && len(p.peers) == 0
}
