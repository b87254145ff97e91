package peer

import "sync"

// detached counts the goroutines that belong to no request. The zero value is
// ready.
type detached struct {
	mu     sync.Mutex // guards closed, and starting against waiting
	closed bool
	wg     sync.WaitGroup
}

// start runs work in a goroutine of its own; after wait was called it does
// nothing and returns false.
func (d *detached) start(work func()) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return false
	}
	d.wg.Go(work)
	return true
}

// wait lets nothing start any more and returns when all has ended.
func (d *detached) wait() {
	d.mu.Lock()
	d.closed = true
	d.mu.Unlock()
	d.wg.Wait()
}

// admitted counts the FILLs being served, by caller, and by caller and origin.
type admitted struct {
	mu       sync.Mutex // guards byCaller
	byCaller map[admission]int
}

// admission is a caller, and an origin's host; host is empty for all of them.
type admission struct{ caller, host string }

func newAdmitted() *admitted { return &admitted{byCaller: make(map[admission]int)} }

// take reports whether one more of caller is within limit, and within three
// quarters of it at host, so that a slow origin leaves room for others; it
// counts it.
func (a *admitted) take(caller, host string, limit int) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.byCaller[admission{caller, ""}] >= limit || a.byCaller[admission{caller, host}] >= max(1, limit-limit/4) {
		return false
	}
	a.byCaller[admission{caller, ""}]++
	if host != "" {
		a.byCaller[admission{caller, host}]++
	}
	return true
}

// busy reports whether a FILL is being served.
func (a *admitted) busy() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.byCaller) > 0
}

// give takes back a take.
func (a *admitted) give(caller, host string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, k := range []admission{{caller, ""}, {caller, host}} {
		if a.byCaller[k]--; a.byCaller[k] <= 0 {
			delete(a.byCaller, k)
		}
		if host == "" {
			return
		}
	}
}
