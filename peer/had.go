package peer

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"time"

	"github.com/mccd/mccd/storage"
)

const (
	// renewHad is when a client that goes on is noted, and told of, anew.
	renewHad = storage.ResumeWindow / 3

	hadSets = 4096
	hadWays = 8
)

// had remembers which version of an object a client had, for
// storage.ResumeWindow after it asked: of clients that resume by their address
// alone. It holds 32,768 of them at most, 48 bytes each; who asked longest ago is
// forgotten first.
type had struct {
	seed maphash.Seed
	sets [hadSets]hadSet
}

type hadSet struct {
	mu   sync.Mutex // guards ways
	ways [hadWays]hadEntry
}

type hadEntry struct {
	hadKey
	version storage.VersionID
	at      int64 // Unix nanoseconds; 0 = the place is free
}

type hadKey struct {
	object storage.ObjectID
	client [16]byte
}

// hadVersion is a version that a client had, and when it asked for it last.
type hadVersion struct {
	version storage.VersionID
	at      time.Time
}

func newHad() *had { return &had{seed: maphash.MakeSeed()} }

func (t *had) set(key hadKey) *hadSet {
	return &t.sets[maphash.Comparable(t.seed, key)%hadSets]
}

// note notes that client had v of an object at a time, and reports whether that
// was not known, or is worth being told anew.
func (t *had) note(object storage.ObjectID, client netip.Addr, v storage.VersionID, at time.Time) bool {
	key, now := hadKey{object, client.As16()}, at.UnixNano()
	set := t.set(key)
	set.mu.Lock()
	defer set.mu.Unlock()
	oldest := &set.ways[0]
	for i := range set.ways {
		w := &set.ways[i]
		if w.at != 0 && w.version == v && w.hadKey == key {
			news := now-w.at >= int64(renewHad)
			if news || now < w.at { // the clock was set back
				w.at = now
			}
			return news
		}
		if w.at < oldest.at {
			oldest = w
		}
	}
	*oldest = hadEntry{hadKey: key, version: v, at: now}
	return true
}

// of returns what client had lately of an object.
func (t *had) of(object storage.ObjectID, client netip.Addr, now time.Time) (out []hadVersion) {
	key := hadKey{object, client.As16()}
	set := t.set(key)
	set.mu.Lock()
	defer set.mu.Unlock()
	for i := range set.ways {
		w := &set.ways[i]
		if w.at == 0 || w.hadKey != key {
			continue
		}
		// It may have gone on for renewHad without being noted anew.
		if at := time.Unix(0, w.at); now.Sub(at) < storage.ResumeWindow+renewHad {
			out = append(out, hadVersion{w.version, at})
		}
	}
	return out
}
