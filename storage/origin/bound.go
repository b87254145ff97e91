package origin

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/mccd/mccd/storage"
)

// bound limits the requests at each host. A host that nobody asks takes no
// memory.
type bound struct {
	mu    sync.Mutex // guards hosts
	hosts map[string]*places
}

// places are those at one host: one token in free per request in progress.
type places struct {
	free  chan struct{}
	users int // requests in progress or waiting; guarded by bound.mu
}

func newBound() *bound { return &bound{hosts: make(map[string]*places)} }

// acquire takes one of limit places at host, waiting for it at most wait. It
// fails with storage.ErrBusy or ctx's error. release gives it back; it may be
// called once.
func (b *bound) acquire(ctx context.Context, host string, limit int, wait time.Duration) (release func(), err error) {
	b.mu.Lock()
	p := b.hosts[host]
	if p == nil || cap(p.free) != limit { // a changed limit: those inside keep their old places
		p = &places{free: make(chan struct{}, limit)}
		b.hosts[host] = p
	}
	p.users++
	b.mu.Unlock()
	leave := func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if p.users--; p.users == 0 && b.hosts[host] == p {
			delete(b.hosts, host)
		}
	}
	release = func() {
		<-p.free
		leave()
	}
	select {
	case p.free <- struct{}{}:
		return release, nil
	default:
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case p.free <- struct{}{}:
		return release, nil
	case <-t.C:
		err = fmt.Errorf("%w: %d requests at this origin already", storage.ErrBusy, limit)
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	leave()
	return nil, err
}
