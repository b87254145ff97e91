package wire

import (
	"bytes"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"
)

// from is a connection that comes from an address.
type from struct {
	net.Conn
	addr string
}

func (f from) RemoteAddr() net.Addr {
	return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(f.addr))
}

func TestGateMakesRoom(t *testing.T) {
	g := newGate(8, 2) // two of one address
	var entries []*entry
	enter := func(addr string) net.Conn {
		e, evicted := g.enter(from{addr: addr}, nil)
		entries = append(entries, e)
		return evicted
	}
	first := "192.0.2.1:1"
	for _, addr := range []string{first, "192.0.2.1:2", "[2001:db8::1]:1", "[2001:db8::2]:1"} {
		if evicted := enter(addr); evicted != nil {
			t.Fatalf("%s: %v made room", addr, evicted.RemoteAddr())
		}
	}
	if evicted := enter("192.0.2.1:3"); evicted == nil || evicted.RemoteAddr().String() != first {
		t.Errorf("the oldest of the address did not make room: %v", evicted)
	}
	if evicted := enter("[2001:db8::3]:1"); evicted == nil || evicted.RemoteAddr().String() != "[2001:db8::1]:1" {
		t.Errorf("one /64 counts as more than one address: %v", evicted)
	}
	for _, addr := range []string{"192.0.2.2:1", "192.0.2.3:1", "192.0.2.4:1", "192.0.2.5:1"} {
		if evicted := enter(addr); evicted != nil {
			t.Fatalf("%s: %v made room", addr, evicted.RemoteAddr())
		}
	}
	// Full: whoever has the most makes room.
	if evicted := enter("192.0.2.6:1"); evicted == nil || g.count != 8 {
		t.Errorf("%v made room, %d are in", evicted, g.count)
	} else if addr := caller(evicted); addr != netip.MustParseAddr("192.0.2.1") && addr != netip.MustParseAddr("2001:db8::") {
		t.Errorf("%v made room, which has but one", addr)
	}
	out := 0
	for _, e := range entries {
		if g.leave(e) {
			out++
		}
	}
	if out != 3 || g.count != 0 || len(g.pending) != 0 {
		t.Errorf("%d made room, %d and %d addresses are left", out, g.count, len(g.pending))
	}
}

func TestComplaintsAreBounded(t *testing.T) {
	now := time.Unix(1e9, 0)
	c := newComplaints(func() time.Time { return now })
	addr := netip.MustParseAddr("192.0.2.1")
	if !c.due(addr, "a") || c.due(addr, "a") || !c.due(addr, "b") {
		t.Error("not once for each address and reason")
	}
	now = now.Add(complainEvery)
	if !c.due(addr, "a") {
		t.Error("not again after a minute")
	}
	written := 0
	next := netip.MustParseAddr("198.18.0.0")
	for range 3 * maxComplaints {
		if c.due(next, "a") {
			written++
		}
		next = next.Next()
	}
	if len(c.last) > maxComplaints || written > maxComplaints {
		t.Errorf("%d are remembered, %d were written", len(c.last), written)
	}
	now = now.Add(2 * complainEvery)
	if !c.due(next, "a") {
		t.Error("no room after a minute")
	}
}

// counted counts the writes to a connection.
type counted struct {
	net.Conn
	writes int
	got    bytes.Buffer
}

func (c *counted) Write(p []byte) (int, error) {
	c.writes++
	return c.got.Write(p)
}

func (c *counted) Read(p []byte) (int, error) { return c.got.Read(p) }
func (c *counted) Close() error               { return nil }

func TestCorkedWritesGoOutTogether(t *testing.T) {
	under := new(counted)
	r := newRaw(under, newCorks())
	var want []byte
	write := func(n int) {
		p := bytes.Repeat([]byte{byte(n)}, n)
		want = append(want, p...)
		if k, err := r.Write(p); k != n || err != nil {
			t.Fatal(k, err)
		}
	}
	write(10)
	r.cork()
	for range 10 {
		write(oneRecord)
	}
	if under.writes != 1 {
		t.Errorf("corked: %d writes", under.writes)
	}
	if err := r.uncork(); err != nil || under.writes != 2 || r.out != nil {
		t.Errorf("uncorked: %d writes, %v", under.writes, err)
	}
	r.cork()
	r.cork()
	for range 20 { // over the limit once
		write(oneRecord)
	}
	if err := r.uncork(); err != nil || under.writes != 3 {
		t.Errorf("one cork is left: %d writes, %v", under.writes, err)
	}
	if err := r.uncork(); err != nil || under.writes != 4 {
		t.Errorf("uncorked: %d writes, %v", under.writes, err)
	}
	write(1)
	if under.writes != 5 || !bytes.Equal(under.got.Bytes(), want) {
		t.Error("what went out is not what was written")
	}
}

func TestReadBufferFollowsTheTraffic(t *testing.T) {
	under := new(counted)
	r := newRaw(under, newCorks())
	want := make([]byte, 1<<20)
	for i := range want {
		want[i] = byte(i * 7)
	}
	under.got.Write(want)
	first, err := r.peek()
	if err != nil || !bytes.Equal(first, want[:leastRead]) {
		t.Fatal(len(first), err)
	}
	got, err := io.ReadAll(io.LimitReader(r, 1<<20))
	if err != nil || !bytes.Equal(got, want) {
		t.Fatal(len(got), err)
	}
	if r.size != mostRead {
		t.Errorf("after bulk the buffer has %d", r.size)
	}
	for range 4 * smallReads {
		under.got.WriteString("ping")
		if n, err := r.Read(make([]byte, 100)); n != 4 || err != nil {
			t.Fatal(n, err)
		}
	}
	if r.size != leastRead {
		t.Errorf("after small reads the buffer has %d", r.size)
	}
}

func TestLooksLikeHTTP(t *testing.T) {
	for text, want := range map[string]bool{
		"GET / HTTP/1.1": true, "OPTIONS * HTTP/1.1": true, "GET": true, "PROPFIND /": true,
		"": false, "get /": false, "hello world": false, "SSH-2.0-OpenSSH": false, "AAAAAAAAAAAAAAAAAAAAAAA": false, "\x16\x03": false,
	} {
		if looksLikeHTTP([]byte(text)) != want {
			t.Errorf("%q: %v", text, !want)
		}
	}
}

func FuzzLooksLikeHTTP(f *testing.F) {
	f.Add([]byte("GET / HTTP/1.1"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if looksLikeHTTP(b) && b[0] == tlsHandshake {
			t.Error("TLS taken for HTTP")
		}
	})
}
