package peer

import (
	"errors"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/storage/origin"
)

const (
	// headTries bounds the requests for one answer of which no head comes.
	headTries = 3
	// firstAgain is about how long the second one waits; the next three times as
	// long. They wait for seconds in all at most, since clients do.
	firstAgain = 100 * time.Millisecond
	patience   = 4 * time.Second
	// downAfter is how many requests in a row a host has to fail until it counts
	// as down: then nothing is asked twice.
	downAfter = 16
)

// passing reports whether err is a trouble of the origin's that another request
// may well not meet: a connection that failed or ended early, silence, a 5xx that
// says so. Lies, refusals and what is not there are no such trouble.
func passing(err error) bool {
	if status, ok := errors.AsType[*storage.StatusError](err); ok {
		switch status.Code {
		case http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
			return true
		}
		return false
	}
	return errors.Is(err, origin.ErrBroken) || errors.Is(err, origin.ErrStall) || errors.Is(err, origin.ErrConnect)
}

// troubles count, by host, the requests in a row that met a passing trouble.
type troubles struct {
	mu    sync.Mutex // guards inRow
	inRow map[string]int
}

func newTroubles() *troubles { return &troubles{inRow: make(map[string]int)} }

// met notes the end of a request at host, and reports whether the host failed
// rarely enough to be asked again after err. A request that was never sent tells
// nothing of the host.
func (t *troubles) met(host string, err error) bool {
	if errors.Is(err, origin.ErrUnwanted) {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if !passing(err) {
		delete(t.inRow, host)
		return false
	}
	if len(t.inRow) >= pacesKept && t.inRow[host] == 0 {
		clear(t.inRow)
	}
	t.inRow[host]++
	return t.inRow[host] <= downAfter
}

// askAgain notes how the try-th request at an origin ended, the first of which
// began at began, and reports, after a pause, whether there is to be one more.
func (f *Filler) askAgain(req *origin.Request, try int, began time.Time, err error) bool {
	if !f.troubles.met(req.Ref.Host, err) || try >= headTries || try > 1 && time.Since(began) > patience {
		return false
	}
	f.metrics.again.Inc()
	wait := firstAgain
	for range try - 1 {
		wait *= 3
	}
	timer := time.NewTimer(wait/2 + rand.N(wait))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-req.Unwanted:
	case <-f.ctx.Done():
	}
	return false
}
