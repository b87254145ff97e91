package load

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// Steady is a load of Clients connections that each ask again and again.
type Steady struct {
	// Addr is the server, Target what is asked of it, Object its size.
	Addr, Target string
	Object       int64
	// Size is that of the aligned ranges asked for, at random; 0 = the whole
	// object.
	Size    int64
	Clients int
	// Bytes are moved while it is measured, after some more to warm up.
	Bytes int64
	// Groups are the process groups of the server.
	Groups []int
	// TLS, if not nil, has the connections speak TLS 1.3.
	TLS *tls.Config
}

// asker is one connection of a load.
type asker interface {
	Get(request []byte, status string, n int64, moved func(int64)) error
	Close()
}

func (s Steady) dial(ctx context.Context) (asker, error) {
	if s.TLS != nil {
		return DialTLS(ctx, s.Addr, s.TLS)
	}
	return Dial(ctx, s.Addr)
}

// Figures are what a load found.
type Figures struct {
	MiBPerSecond, CPUPerGiB float64
}

// Measure runs the load. All connections are there before it begins, and none
// ends before the figures are taken, so that what lies in buffers is the same
// at both ends of the window.
func (s Steady) Measure(ctx context.Context) (Figures, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	clients := make([]asker, 0, s.Clients)
	defer func() {
		for _, c := range clients {
			c.Close()
		}
	}()
	for range s.Clients {
		c, err := s.dial(ctx)
		if err != nil {
			return Figures{}, err
		}
		clients = append(clients, c)
	}
	warm := s.Bytes / 4
	if s.Size == 0 {
		warm = s.Bytes / 2 // until the buffers of the connections are full
	}
	w := window{from: warm, to: warm + s.Bytes, begun: make(chan struct{}), ended: make(chan struct{})}
	var wg sync.WaitGroup
	for i, c := range clients {
		wg.Go(func() {
			if err := s.ask(c, uint64(i), &w); err != nil {
				cancel(err)
			}
		})
	}
	figures, err := w.figures(ctx, s.Groups)
	w.over.Store(true)
	if s.Size == 0 || err != nil {
		for _, c := range clients {
			c.Close()
		}
	}
	wg.Wait()
	return figures, err
}

// ask sends requests until the window is over.
func (s Steady) ask(c asker, seed uint64, w *window) error {
	rnd := rand.New(rand.NewPCG(seed, 1))
	n, status := s.Size, "206"
	if n == 0 {
		n, status = s.Object, "200"
	}
	for !w.over.Load() {
		var off int64
		if s.Size > 0 {
			off = rnd.Int64N(s.Object/s.Size) * s.Size
		}
		if err := c.Get(Request(s.Target, s.Addr, off, s.Size), status, n, w.moved); err != nil {
			if w.over.Load() {
				return nil // cut off, as nobody counts any more
			}
			return err
		}
	}
	return nil
}

// window is the part of a load in which it is measured.
type window struct {
	from, to     int64 // bytes
	total        atomic.Int64
	begun, ended chan struct{}
	over         atomic.Bool
}

// moved counts n bytes.
func (w *window) moved(n int64) {
	after := w.total.Add(n)
	if before := after - n; before < w.to {
		if before < w.from && after >= w.from {
			close(w.begun)
		}
		if after >= w.to {
			close(w.ended)
		}
	}
}

// figures waits for the window and returns what passed in it.
func (w *window) figures(ctx context.Context, groups []int) (Figures, error) {
	var at [2]time.Time
	var used [2]time.Duration
	var total [2]int64
	for i, edge := range []chan struct{}{w.begun, w.ended} {
		select {
		case <-edge:
		case <-ctx.Done():
			return Figures{}, context.Cause(ctx)
		}
		var err error
		if used[i], err = CPU(groups...); err != nil {
			return Figures{}, err
		}
		at[i], total[i] = time.Now(), w.total.Load()
	}
	took, bytes := at[1].Sub(at[0]).Seconds(), float64(total[1]-total[0])
	if took <= 0 || bytes <= 0 {
		return Figures{}, errors.New("the window is too short to measure anything")
	}
	if used[1] <= used[0] {
		return Figures{}, fmt.Errorf("the server of groups %v used no CPU time", groups)
	}
	return Figures{MiBPerSecond: bytes / (1 << 20) / took, CPUPerGiB: (used[1] - used[0]).Seconds() / (bytes / (1 << 30))}, nil
}
