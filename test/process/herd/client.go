package herd

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/mccd/mccd/storage"
)

// agent is what the Windows agent calls itself (docs/clients.md section 3).
const agent = "Microsoft-Delivery-Optimization/10.1"

// Client is one reader. Its fields are not changed while it reads.
type Client struct {
	// Nodes are the addresses to ask, in order: the next one takes over when
	// one fails, as with a list in DOCacheHost.
	Nodes []string
	// Rate is the pace of each stream in bytes per second; 0 = no pace.
	Rate int64
	// Probe asks for bytes=0-1 first in each stream, as the Windows agent does.
	Probe bool
	// Tries is how many requests in a row may fail before a span is given up;
	// 0 = 8.
	Tries int
	// Arrived is told of bytes as they arrive, by the node that sent them;
	// may be nil. It is called by all streams at once.
	Arrived func(addr string, n int)
}

// Job is one object and the spans of it that are wanted, in order.
type Job struct {
	Object *Object
	Plan   []storage.Span
}

// Read reads the spans of plan over the given number of streams, which take
// them in turn, and returns when all are read or given up.
func (c *Client) Read(ctx context.Context, o *Object, plan []storage.Span, streams int) *Result {
	return c.ReadAll(ctx, []Job{{o, plan}}, streams)
}

// ReadAll is Read for one object after another, over connections that are kept.
func (c *Client) ReadAll(ctx context.Context, jobs []Job, streams int) *Result {
	wants := make(chan want)
	go func() {
		defer close(wants)
		for _, job := range jobs {
			for _, span := range job.Plan {
				wants <- want{job.Object, span}
			}
		}
	}()
	total := &Result{Begun: time.Now()}
	var mu sync.Mutex // guards total
	var wg sync.WaitGroup
	for range max(1, streams) {
		wg.Go(func() {
			s := newStream(c)
			defer s.close()
			s.read(ctx, wants)
			mu.Lock()
			defer mu.Unlock()
			total.Add(&s.result)
		})
	}
	wg.Wait()
	total.End = time.Now()
	return total
}

// receiveBuffer keeps the kernel from hiding a gap behind seconds of bytes
// that it holds for a slow reader.
const receiveBuffer = 128 << 10

// newTransport returns a transport of one stream: its own connection, no
// second try, no compression.
func newTransport(paced bool) *http.Transport {
	dialer := &net.Dialer{Timeout: 3 * time.Second}
	return &http.Transport{
		DisableCompression:  true,
		MaxIdleConnsPerHost: 1,
		ReadBufferSize:      readBuffer,
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := dialer.DialContext(ctx, network, addr)
			if tcp, ok := conn.(*net.TCPConn); ok && paced {
				_ = tcp.SetReadBuffer(receiveBuffer)
			}
			return conn, err
		},
		// The agent takes less than 4,000 B/s for 20 s as a failure; so do we.
		ResponseHeaderTimeout: 20 * time.Second,
	}
}
