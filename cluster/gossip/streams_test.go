package gossip

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// came is an inbound connection from an address that brings zeros for ever.
type came struct {
	net.Conn
	from   string
	closed bool
}

func (c *came) RemoteAddr() net.Addr {
	return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(c.from))
}
func (c *came) Read(p []byte) (int, error) { return len(p), nil }
func (c *came) Close() error               { c.closed = true; return nil }

func TestStreamsMakeRoom(t *testing.T) {
	var s streams
	var flood []*came
	enter := func(from string) (*came, *stream) {
		c := &came{from: from}
		return c, s.add(c)
	}
	for i := range maxStreamsAddr + 1 {
		// One /64 counts as one address.
		c, _ := enter(fmt.Sprintf("[2001:db8::%x]:1", i+1))
		flood = append(flood, c)
	}
	if !flood[0].closed || flood[1].closed || len(s.open) != maxStreamsAddr {
		t.Errorf("the oldest of a busy address: %v, the next: %v, %d are open", flood[0].closed, flood[1].closed, len(s.open))
	}
	var others []*came
	for i := range maxStreams - maxStreamsAddr {
		c, _ := enter(fmt.Sprintf("192.0.2.%d:1", i))
		others = append(others, c)
	}
	c, last := enter("198.51.100.1:1")
	if !flood[1].closed || len(s.open) != maxStreams {
		t.Errorf("full: the busiest address does not make room, %d are open", len(s.open))
	}
	for _, o := range append(others, c) {
		if o.closed {
			t.Errorf("%s made room, which has but one", o.from)
		}
	}
	if err := last.Close(); err != nil || !c.closed || len(s.open) != maxStreams-1 {
		t.Errorf("after a close %d are open, %v", len(s.open), err)
	}
	// All of different addresses: the oldest goes.
	s.open = nil
	var single []*came
	for i := range maxStreams + 1 {
		c, _ := enter(fmt.Sprintf("203.0.113.%d:1", i))
		single = append(single, c)
	}
	if !single[0].closed || single[1].closed || len(s.open) != maxStreams {
		t.Errorf("of equals: %v, %v, %d", single[0].closed, single[1].closed, len(s.open))
	}
}

func TestStreamsAreShort(t *testing.T) {
	var s streams
	n, err := io.Copy(io.Discard, s.add(&came{from: "192.0.2.1:1"}))
	if n != maxStreamBytes || !errors.Is(err, errStreamLong) {
		t.Errorf("read %d bytes, %v", n, err)
	}
}

func TestLinesAlikeAreCounted(t *testing.T) {
	var out strings.Builder
	now := time.Unix(1e9, 0)
	w := newLineWriter(slog.New(slog.NewTextHandler(&out, nil)), func() time.Time { return now })
	line := func(format string, args ...any) { _, _ = fmt.Fprintf(w, format, args...) }
	for i := range 1000 {
		line("[ERR] memberlist: discarding packet with unacceptable label %q: from=192.0.2.%d:7946\n", fmt.Sprint("x", i), i%250)
		line("[ERR] memberlist: Decrypt packet failed: %v from=192.0.2.%d:7946\n", "no key", i%250)
	}
	if got := strings.Count(out.String(), "\n"); got != 2 {
		t.Errorf("%d lines", got)
	}
	now = now.Add(sameEvery)
	line("[ERR] memberlist: Decrypt packet failed: no key from=192.0.2.1:7946\n")
	if got := out.String(); strings.Count(got, "\n") != 3 || !strings.Contains(got, `"alike and not written"=999`) {
		t.Errorf("after a minute: %s", got)
	}
	for i := range 2 * maxBeginnings {
		line("[WARN] memberlist: %s\n", strings.Repeat("y", i+1))
	}
	if len(w.seen) > maxBeginnings+1 {
		t.Errorf("%d are remembered", len(w.seen))
	}
}
