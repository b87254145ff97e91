package main

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// crowd is all clients. Six of ten runs go through the content in order,
// together, so that all of it passes; the others go where many go.
type crowd struct {
	content *content
	addrs   []string
	cursor  atomic.Int64

	// cut counts answers that ended early: a node closes the connection of a
	// client that had no byte for 10 s.
	bytes, requests, busy, cut, failed, wrong atomic.Int64

	mu    sync.Mutex // guards first
	first []error
}

var errBusy = errors.New("503")

// run lets n clients read until ctx ends.
func (c *crowd) run(ctx context.Context, n int) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { c.client(ctx, i) })
	}
	wg.Wait()
}

func (c *crowd) client(ctx context.Context, i int) {
	transport := &http.Transport{MaxIdleConnsPerHost: 1, DisableCompression: true}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	addr := c.addrs[i%len(c.addrs)]
	rng := rand.New(rand.NewPCG(uint64(i), 11))
	buf := make([]byte, 64<<10)
	for ctx.Err() == nil {
		first := c.next(rng)
		for piece := first; piece < min(first+runPieces, c.content.pieces()) && ctx.Err() == nil; piece++ {
			err := c.get(ctx, client, addr, piece, buf)
			switch {
			case err == nil || ctx.Err() != nil:
			case errors.Is(err, errBusy):
				c.busy.Add(1)
				wait(ctx, time.Second)
			case errors.Is(err, io.ErrUnexpectedEOF):
				c.cut.Add(1)
				wait(ctx, time.Second)
			default:
				c.failed.Add(1)
				c.note(fmt.Errorf("piece %d at %s: %w", piece, addr, err))
				wait(ctx, time.Second)
			}
		}
	}
}

// next returns the first piece of a client's next run.
func (c *crowd) next(rng *rand.Rand) int {
	runs := c.content.pieces() / runPieces
	if rng.IntN(10) < 6 {
		return int((c.cursor.Add(1)-1)%int64(runs)) * runPieces
	}
	// About Zipf 0.9: the density of run k falls with k^-0.9.
	k := int(math.Pow(rng.Float64(), 10) * float64(runs))
	return k * 7919 % runs * runPieces
}

func (c *crowd) get(ctx context.Context, client *http.Client, addr string, piece int, buf []byte) error {
	path, span := c.content.of(piece)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+path+"?cacheHostOrigin="+cdn, http.NoBody)
	if err != nil {
		return err
	}
	req.Header.Set("User-Agent", "Microsoft-Delivery-Optimization/10.1")
	req.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", span.Off, span.End-1))
	c.requests.Add(1)
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	switch resp.StatusCode {
	case http.StatusPartialContent:
	case http.StatusServiceUnavailable:
		return errBusy
	default:
		return fmt.Errorf("status %s", resp.Status)
	}
	sum, total := uint32(0), int64(0)
	for {
		n, err := resp.Body.Read(buf)
		sum = crc32.Update(sum, castagnoli, buf[:n])
		total += int64(n)
		c.bytes.Add(int64(n))
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return err
		}
	}
	if total != span.Len() || !c.content.right(piece, sum) {
		c.wrong.Add(1)
		return fmt.Errorf("wrong bytes, %d of them", total)
	}
	return nil
}

// note keeps the first few errors.
func (c *crowd) note(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.first) < 5 {
		c.first = append(c.first, err)
	}
}

func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
