package gateway

import (
	"bufio"
	"fmt"
	"net"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

// rawClient asks on one connection and drops bodies without allocating.
type rawClient struct {
	c   net.Conn
	r   *bufio.Reader
	req []byte
}

func newRawClient(tb testing.TB, n *node, line string) *rawClient {
	tb.Helper()
	c, err := n.dial()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { c.Close() })
	req := "GET /a HTTP/1.1\r\nHost: " + doHost + "\r\n" + line + "\r\n\r\n"
	return &rawClient{c: c, r: bufio.NewReaderSize(c, 256<<10), req: []byte(req)}
}

func (c *rawClient) do(tb testing.TB) {
	if _, err := c.c.Write(c.req); err != nil {
		tb.Fatal(err)
	}
	length := 0
	for {
		line, err := c.r.ReadSlice('\n')
		if err != nil {
			tb.Fatal(err)
		}
		if len(line) == 2 {
			break
		}
		if strings.HasPrefix(string(line), "Content-Length: ") {
			length, _ = strconv.Atoi(strings.TrimSpace(string(line[16:])))
		}
	}
	if n, err := c.r.Discard(length); n != length || err != nil {
		tb.Fatal(n, err)
	}
}

// TestNoAllocationPerRun: a response of many runs allocates what one of few
// does.
func TestNoAllocationPerRun(t *testing.T) {
	if !hasSendfile {
		t.Skip("runs are copied on this system")
	}
	const size, runs = 2 << 20, 2048
	n := startNode(t, size, nil)
	if underRace && n.client != nil {
		t.Skip("a run takes three buffers of pools, of which the race detector drops one in four")
	}
	c := newRawClient(t, n, "X: y")
	mallocs := func(longest int64) uint64 {
		n.source.mu.Lock()
		n.source.every = step{max: longest}
		n.source.mu.Unlock()
		c.do(t)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		c.do(t)
		runtime.ReadMemStats(&after)
		return after.Mallocs - before.Mallocs
	}
	few, many := mallocs(size), mallocs(size/runs)
	// Under the race detector a sync.Pool, net/http's too, drops one of four.
	if many > few+runs/2 {
		t.Errorf("%d allocations for one run, %d for %d runs", few, many, runs)
	}
}

func BenchmarkHit(b *testing.B) {
	for _, size := range []int64{64 << 10, 1 << 20} {
		b.Run(fmt.Sprintf("%dKiB", size>>10), func(b *testing.B) {
			n := startNode(b, 1<<20, func(c *Config) { c.AccessLog = nil })
			c := newRawClient(b, n, fmt.Sprintf("Range: bytes=0-%d", size-1))
			b.SetBytes(size)
			b.ReportAllocs()
			for b.Loop() {
				c.do(b)
			}
		})
	}
}
