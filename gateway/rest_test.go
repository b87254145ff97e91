package gateway

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/mccd/mccd/storage"
)

// resting makes contents that can rest, and tells of it.
type resting struct {
	Source
	rested chan struct{}
}

func (s *resting) Open(ctx context.Context, req storage.Request) (Content, error) {
	c, err := s.Source.Open(ctx, req)
	if err != nil {
		return nil, err
	}
	return &restingContent{c, s}, nil
}

type restingContent struct {
	Content
	s *resting
}

func (c *restingContent) Rest() { c.s.rested <- struct{}{} }

// TestRest: what a client is sent is let go of when it takes nothing, and goes
// on when it does; a client that takes little keeps it.
func TestRest(t *testing.T) {
	if !hasSendfile {
		t.Skip("runs are copied on this system")
	}
	const size = 12 << 20
	for _, tt := range []struct {
		name  string
		ticks int
		rests bool
	}{{"nothing", 0, true}, {"little", 40, false}} {
		t.Run(tt.name, func(t *testing.T) {
			s := &resting{rested: make(chan struct{}, 1000)}
			n := startNode(t, size, func(c *Config) {
				s.Source, c.Source = c.Source, s
				c.SlowWindow, c.SlowBytes = 30*time.Second, 1 // nobody is cut on a busy machine
			})
			c := dial(t, n)
			if err := tcp(c).SetReadBuffer(256 << 10); err != nil {
				t.Fatal(err)
			}
			ask(t, c, request("GET", doHost, "/a"))
			r := newReader(c)
			resp, err := http.ReadResponse(r, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			var got bytes.Buffer
			if tt.rests {
				<-s.rested
			}
			// The longest time in which the client took 128 KiB or less: its
			// system tells the other end of as much at once.
			var gap time.Duration
			took := []time.Time{time.Now()}
			for i := range tt.ticks {
				if _, err := io.CopyN(&got, resp.Body, 64<<10); err != nil {
					t.Fatal(err)
				}
				took = append(took, time.Now())
				gap = max(gap, took[i+1].Sub(took[max(0, i-2)]))
				<-time.After(50 * time.Millisecond) // a slow client is what is tested
			}
			if !tt.rests && len(s.rested) > 0 && gap < restAfter*4/5 { // else the machine did not let it take
				t.Error("a client that takes was let go of")
			}
			if _, err := got.ReadFrom(resp.Body); err != nil || !bytes.Equal(got.Bytes(), n.source.data) {
				t.Errorf("%d bytes: %v", got.Len(), err)
			}
		})
	}
}
