package origin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/mccd/mccd/storage"
)

// parentAgain is how long a parent cache that failed is passed over before one
// request tries it again.
const parentAgain = 5 * time.Second

// parents remember which parent caches failed of late.
type parents struct {
	mu   sync.Mutex // guards down
	down map[string]time.Time
}

func newParents() *parents { return &parents{down: make(map[string]time.Time)} }

// ask reports whether the parent at host is to be asked at now. Of those who
// come while it is down one in parentAgain tries it.
func (p *parents) ask(host string, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	until, down := p.down[host]
	if !down {
		return true
	}
	if now.Before(until) {
		return false
	}
	p.down[host] = now.Add(parentAgain)
	return true
}

// failed notes that host failed; first = it had not before.
func (p *parents) failed(host string, now time.Time) (first bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, down := p.down[host]
	p.down[host] = now.Add(parentAgain)
	return !down
}

// works notes that host works; again = it had not.
func (p *parents) works(host string) (again bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, again = p.down[host]
	delete(p.down, host)
	return again
}

// heard judges what a parent cache answered: nil for what stands in place of
// the origin's own answer.
func (c *Client) heard(ctx context.Context, r *route, x *exchange, err error) error {
	if err != nil {
		if fault(err) && ctx.Err() == nil {
			c.parentFailed(r, err)
		}
		return err
	}
	if c.parents.works(r.host) {
		c.cfg.Logger.Info("parent cache answers again", slog.String("parent", r.host))
	}
	if speaksForOrigin(x.resp.StatusCode) {
		return nil
	}
	status := &storage.StatusError{Code: x.resp.StatusCode}
	err = status
	switch status.Code {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound:
		// It may be the origin's own word, which counts where nobody else is asked.
	default:
		err = fmt.Errorf("%w: parent cache answered %d", storage.ErrUpstream, status.Code)
	}
	x.body.refuse(err)
	x.discard()
	return err
}

// speaksForOrigin reports whether a parent's status is what the origin would
// have answered. Others may be the parent's own: 403 and 404 tell of a host that it
// does not serve, 502 and 503 of its trouble and of statuses that it does not
// hand on, 508 of a loop.
func speaksForOrigin(status int) bool {
	return status < 400 || status == http.StatusGone || status == http.StatusRequestedRangeNotSatisfiable
}

// fault reports whether err is a parent's failure rather than this node's
// bound or the caller's end.
func fault(err error) bool {
	return errors.Is(err, storage.ErrUpstream) && !errors.Is(err, errClosed)
}

// passable reports whether the origin may be asked after a parent ended with
// err.
func passable(ctx context.Context, err error) bool {
	if ctx.Err() != nil {
		return false
	}
	_, status := errors.AsType[*storage.StatusError](err)
	return status || fault(err)
}

// bodyEnded notes how an answer of a parent cache ended on the way.
func (c *Client) bodyEnded(r *route, err error) {
	if errors.Is(err, ErrStall) || errors.Is(err, ErrBroken) {
		c.parentFailed(r, err)
	}
}

func (c *Client) parentFailed(r *route, err error) {
	if !c.parents.failed(r.host, c.cfg.Now()) {
		return
	}
	c.cfg.Logger.Warn("parent cache fails", slog.String("parent", r.host), slog.Bool("origins_asked", !r.only), slog.Any("error", err))
}
