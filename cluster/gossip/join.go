package gossip

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"time"
)

const (
	// firstPass and laterPass bound the addresses tried in one round of the
	// rejoin loop, atOnce those tried at the same time.
	firstPass, laterPass, atOnce = 256, 8, 16
)

// ErrNoPeer tells that no peer answered at any of the addresses.
var ErrNoPeer = errors.New("no peer answered")

// Join exchanges state with the nodes at addrs ("host" or "host:port"), which
// makes both sides one cluster, and returns how many answered. It is an error
// if none did. It waits until Run has begun.
func (g *Gossip) Join(ctx context.Context, addrs []string) (int, error) {
	var (
		n    int
		errs []error
	)
	for _, addr := range addrs {
		targets, err := g.resolve(ctx, addr)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		for _, target := range targets {
			if err := g.contact(ctx, target); err != nil {
				errs = append(errs, err)
				continue
			}
			n++
		}
	}
	if n == 0 {
		return 0, fmt.Errorf("%w: %w", ErrNoPeer, errors.Join(errs...))
	}
	return n, nil
}

// resolve returns the "ip:port"s of one address.
func (g *Gossip) resolve(ctx context.Context, addr string) ([]string, error) {
	addr, err := WithPort(addr)
	if err != nil {
		return nil, err
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, fmt.Errorf("address %q: %w", addr, err)
	}
	var targets []string
	for _, ip := range ips {
		ap, err := g.cfg.address("peer address", net.JoinHostPort(ip.Unmap().String(), port))
		if err != nil {
			return nil, err
		}
		if ap == g.tr.advertise || ap == g.tr.bound() {
			return nil, fmt.Errorf("address %q is this node itself", addr)
		}
		targets = append(targets, ap.String())
	}
	return targets, nil
}

// contact exchanges state with the node at addr. The exchange itself is
// bounded by Timing.Stream; where ctx ends first it goes on without a waiter.
func (g *Gossip) contact(ctx context.Context, addr string) error {
	if err := g.enter(ctx); err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() {
		defer g.calls.Done()
		_, err := g.ml.Join([]string{addr})
		done <- err
	}()
	select {
	case err := <-done:
		if err != nil {
			return fmt.Errorf("peer %s: %w", addr, cause(err))
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("peer %s: %w", addr, ctx.Err())
	}
}

// cause takes the library's wrapping of many lines off a single error.
func cause(err error) error {
	var many interface{ WrappedErrors() []error }
	if errors.As(err, &many) && len(many.WrappedErrors()) == 1 {
		return many.WrappedErrors()[0]
	}
	return err
}

// rejoin is the loop that heals what memberlist does not: it tries the known
// addresses at which nobody answers, more and more rarely; a node that is lost
// or comes back makes it quick again.
func (g *Gossip) rejoin(ctx context.Context) {
	settle := func() { g.once.settled.Do(func() { close(g.settled) }) }
	defer settle()
	wait, limit := g.cfg.Timing.RejoinMin, firstPass
	for {
		missing := g.missing()
		rand.Shuffle(len(missing), func(i, j int) { missing[i], missing[j] = missing[j], missing[i] })
		before := len(g.Members())
		if g.tryAll(ctx, missing[:min(limit, len(missing))]) > 0 || len(g.Members()) != before {
			wait = g.cfg.Timing.RejoinMin
		}
		settle()
		limit = laterPass
		// A tenth of jitter, so that nodes that failed together do not knock
		// together.
		timer := time.NewTimer(wait + rand.N(wait/10+1))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-g.lost:
			timer.Stop()
			wait = g.cfg.Timing.RejoinMin
			continue
		case <-timer.C:
		}
		wait = min(wait*3/2+1, g.cfg.Timing.RejoinMax)
	}
}

// missing returns the known addresses of nodes that do not answer.
func (g *Gossip) missing() []string {
	if g.cfg.Known == nil {
		return nil
	}
	alive := map[string]bool{g.Addr(): true}
	for _, m := range g.Members() {
		alive[m.GossipAddr] = true
	}
	known := slices.Clone(g.cfg.Known())
	slices.Sort(known)
	known = slices.Compact(known)
	return slices.DeleteFunc(known, func(addr string) bool {
		full, err := WithPort(addr)
		return err != nil || alive[full]
	})
}

// tryAll contacts addrs, some at a time, and returns how many answered.
func (g *Gossip) tryAll(ctx context.Context, addrs []string) int {
	var (
		wg      sync.WaitGroup
		mu      sync.Mutex
		n       int
		tickets = make(chan struct{}, atOnce)
	)
	for _, addr := range addrs {
		tickets <- struct{}{}
		wg.Go(func() {
			defer func() { <-tickets }()
			answered, err := g.Join(ctx, []string{addr})
			if err != nil {
				g.log.Debug("rejoin", "addr", addr, "err", err)
			}
			mu.Lock()
			n += answered
			mu.Unlock()
		})
	}
	wg.Wait()
	return n
}
