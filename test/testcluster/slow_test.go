package testcluster_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/mccd/mccd/cmd/mccd/node"
	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/storage/catalogue"
	"github.com/mccd/mccd/test/faultorigin"
	"github.com/mccd/mccd/test/testcluster"
)

// Clients that stop reading hold their sockets and nothing else: no fill, no
// request at the origin, no chunk in memory.
func TestClientsThatStopReading(t *testing.T) {
	const clients, objects = 500, 8
	var all []faultorigin.Object
	for i := range objects + 1 {
		all = append(all, faultorigin.Object{Path: fmt.Sprintf("/%d", i), Size: storage.ChunkSize})
	}
	o, c := served(t, testcluster.Config{Nodes: 1, Edit: func(_ int, cfg *node.Config) {
		cfg.Limits.FreeBytes = 1 << 50 // the drive takes nothing: all is in memory,
		cfg.Limits.MemoryBytes = objects * storage.ChunkSize
	}}, all...)
	ctx := timeout(t)
	n := c.Nodes[0]
	conns := make([]net.Conn, clients)
	bodies := make([]*bufio.Reader, clients)
	for i := range clients {
		d := net.Dialer{Timeout: 10 * time.Second}
		conn, err := d.DialContext(ctx, "tcp", n.Addr())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		if i < clients-1 { // the last one is to go on
			_ = conn.(*net.TCPConn).SetReadBuffer(16 << 10)
		}
		fmt.Fprintf(conn, "GET /%d HTTP/1.1\r\nHost: %s\r\n\r\n", i%objects, host)
		conns[i], bodies[i] = conn, bufio.NewReader(conn)
	}
	for i := range clients {
		resp, err := http.ReadResponse(bodies[i], nil) // closing the body would read it
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("client %d: %+v, %v", i, resp, err)
		}
	}
	spent(ctx, t, o, c, "") // no fill goes on
	if n := sum(t, c, "mccd_origin_requests_in_flight", ""); n != 0 {
		t.Errorf("%v requests at origins", n)
	}
	// What they were being sent gives its memory to another object, while all
	// of them are still there.
	last := fmt.Sprintf("/%d", objects)
	for end := time.Now().Add(25 * time.Second); ; {
		err := get(ctx, n, last, "1", storage.Span{})
		if err == nil {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("a new object while %d clients read nothing: %v", clients, err)
		}
		time.Sleep(100 * time.Millisecond) //nolint:forbidigo // as a client does
	}
	// Who goes on gets the rest, right to the end.
	if err := check(bodies[clients-1], fmt.Sprintf("/%d", (clients-1)%objects), "1", 0, storage.ChunkSize); err != nil {
		t.Error(err)
	}
}

// An origin that hangs, at its bound of requests with a queue, leaves another to
// be served at full speed, at all nodes.
func TestHangingOriginLeavesOthersAlone(t *testing.T) {
	hung, live := faultorigin.New(faultorigin.Config{}), faultorigin.New(faultorigin.Config{})
	defer hung.Close()
	defer live.Close()
	gate := faultorigin.NewGate()
	defer gate.Open()
	hung.Script(faultorigin.AnyPath, faultorigin.Behaviour{Gate: gate})
	cfg := testcluster.Config{Edit: func(_ int, cfg *node.Config) {
		cfg.Limits.RequestsPerOrigin, cfg.Limits.OriginRequests = 4, 8
		cfg.Limits.Flights, cfg.Limits.FlightsPerOrigin, cfg.Limits.FillsPerPeer = 32, 16, 16
	}}
	for name, o := range map[string]*faultorigin.Server{"hung.test": hung, "live.test": live} {
		rule := catalogue.Defaults(storage.ProfileDO)
		rule.Name, rule.Hosts, rule.Connect, rule.AllowPrivate = name, []string{name}, o.Addr(), true
		cfg.Origins = append(cfg.Origins, rule)
	}
	c := testcluster.New(t, cfg)
	ctx := timeout(t)
	const stuck, objects = 90, 24
	ended := make(chan error, stuck)
	for i := range stuck {
		path := fmt.Sprintf("/stuck/%d", i)
		hung.Add(faultorigin.Object{Path: path, Size: 4 << 20})
		go func() { ended <- getFrom(ctx, c.Nodes[i%3], "hung.test", path, "1", storage.Span{}) }()
	}
	if err := hung.Ledger().WaitRequests(ctx, "", 12); err != nil { // all nodes are at the bound
		t.Fatal(err)
	}
	for i := range objects {
		live.Add(faultorigin.Object{Path: fmt.Sprintf("/live/%d", i), Size: 4 << 20})
	}
	// All of it comes while the other origin answers nothing.
	together(t, objects, func(i int) error {
		return getFrom(ctx, c.Nodes[i%3], "live.test", fmt.Sprintf("/live/%d", i), "1", storage.Span{})
	})
	gate.Open()
	for range stuck {
		<-ended // served, or told 503: the origin may have been too late
	}
}
