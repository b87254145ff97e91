package agent

import (
	"context"
	"time"

	"github.com/mccd/mccd/test/clients/wire"
)

// Times are the bounds and waits of the clients.
type Times struct {
	// Connect bounds a connection's beginning.
	Connect time.Duration
	// Pace is the least that a transfer may bring.
	Pace wire.Pace
	// FallBack passes between a status that sends a client to the CDN and its
	// request there; Step is the unit of the back-off 2, 4, 8, 16, 30, 30;
	// Again passes between two requests for piece hashes.
	FallBack, Step, Again time.Duration
}

// Contract returns the times of docs/clients.md sections 3 and 5.
func Contract() Times {
	return Times{
		Connect: 3 * time.Second, Pace: wire.Pace{Rate: 4000, For: 20 * time.Second},
		FallBack: 100 * time.Millisecond, Step: time.Second, Again: 3 * time.Second,
	}
}

// steps are the back-off in units of Step.
func steps() []int { return []int{2, 4, 8, 16, 30} }

// BackOff is the n-th wait of a back-off, n from 0.
func (t Times) BackOff(n int) time.Duration {
	all := steps()
	return time.Duration(all[min(n, len(all)-1)]) * t.Step
}

// Sleep waits for d; false means that ctx ended.
func Sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
