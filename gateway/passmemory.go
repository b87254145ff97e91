package gateway

import (
	"net/http"
	"sync"
	"time"

	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/storage/httpcache"
)

const (
	// passFor is how long an object that could not be stored is passed on
	// without asking whether it can by now.
	passFor = 2 * time.Minute
	// passMost bounds the objects remembered.
	passMost = 4096
)

// passMemory remembers which objects of profile http had to be passed on, so
// that the next who asks waits for one trip to the origin and not for two. The
// zero passMemory is empty.
type passMemory struct {
	mu    sync.Mutex // guards until
	until map[storage.ObjectID]time.Time
}

func (m *passMemory) has(id storage.ObjectID, now time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return now.Before(m.until[id])
}

func (m *passMemory) add(id storage.ObjectID, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.until == nil || len(m.until) >= passMost {
		m.until = make(map[storage.ObjectID]time.Time) // to forget costs one more trip each
	}
	m.until[id] = now.Add(passFor)
}

func (m *passMemory) drop(id storage.ObjectID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.until, id)
}

// storable reports whether an answer that was passed on is one that the fill
// could have stored.
func storable(resp *http.Response) bool {
	fields, _ := httpcache.Vary(resp.Header)
	for _, f := range fields {
		if f != "accept-encoding" {
			return false
		}
	}
	return resp.ContentLength >= 0 && len(resp.Header["Content-Encoding"]) == 0 && httpcache.Storable(resp.StatusCode, resp.Header)
}
