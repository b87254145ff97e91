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

// admitted counts the FILLs being served, by caller.
type admitted struct {
	mu       sync.Mutex // guards byCaller
	byCaller map[string]int
}

func newAdmitted() *admitted { return &admitted{byCaller: make(map[string]int)} }

// take reports whether one more of caller is within limit, and counts it.
func (a *admitted) take(caller string, limit int) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.byCaller[caller] >= limit {
		return false
	}
	a.byCaller[caller]++
	return true
}

// busy reports whether a FILL is being served.
func (a *admitted) busy() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.byCaller) > 0
}

func (a *admitted) give(caller string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.byCaller[caller]--; a.byCaller[caller] <= 0 {
		delete(a.byCaller, caller)
	}
}
