package peer

import "fmt"

// errBroken is the end of a call whose connection broke because this process
// stood still, so that it did not answer its peers' keepalive: the peer is to be
// asked again. Who does not, takes it for errSilent.
var errBroken = fmt.Errorf("connection broke while this node stood still: %w", errSilent)

// brokenByPause reports whether a call that ended with its connection over k is
// to be made again, over a new one: this process stood still a moment ago. It
// does so once for each pause and peer, and for the calls that end with the
// connections which that replaces.
func (f *Filler) brokenByPause(k *link) bool {
	f.noticePause()
	return f.stoodStill() && f.links.remake(k, f.paused.Load())
}

// remake replaces the connections of k, unless it did so for this pause or they
// were replaced before; false means that those in use are as new as they can be.
func (l *links) remake(k *link, pause int64) bool {
	k.remaking.Lock()
	defer k.remaking.Unlock()
	if !l.current(k) {
		return true
	}
	if k.remade == pause {
		return false
	}
	k.remade = pause
	return l.renew(k) != k
}
