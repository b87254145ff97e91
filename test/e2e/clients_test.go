package e2e_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mccd/mccd/test/clients"
	"github.com/mccd/mccd/test/clients/agent"
	"github.com/mccd/mccd/test/faultorigin"
	"github.com/mccd/mccd/test/process"
)

var downloads = flag.Int("downloads", 120, "TestClients: how many downloads; 1000 for the full form")

const (
	// softShare is how likely a request at the origin meets a fault that the next
	// one does not; hardShare of the objects are under trouble that lasts.
	softShare, hardShare = 0.6, 0.08
	// hardPath begins the paths of the latter.
	hardPath = "/hard/"
	// crowdRate is the origin's, so that transfers are in progress when a node is
	// restarted.
	crowdRate = 48 * mib
	// closedHost is a host whose origin nobody listens for.
	closedHost = "dl.delivery.mp.microsoft.com"
)

// softFaults are those that a retry covers, more or less as they are met.
func softFaults() []faultorigin.Behaviour {
	return []faultorigin.Behaviour{
		{Drop: true},
		{Break: faultorigin.Reset},
		{Break: faultorigin.Reset, After: 1000},
		{Break: faultorigin.Reset, After: 200_000},
		{Break: faultorigin.Short},
		{Break: faultorigin.Short, After: 30_000},
		{Break: faultorigin.Short, After: 500_000},
		{Status: http.StatusInternalServerError},
		{Status: http.StatusBadGateway},
		{Status: http.StatusServiceUnavailable},
		{Delay: 5 * time.Second},
		{Pause: 3 * time.Second, PauseAfter: 100},
		{Pause: 5 * time.Second, PauseAfter: 100_000},
	}
}

// hardFaults last for the first requests at an object.
func hardFaults() []faultorigin.Behaviour {
	first := []int{1, 2, 3, 4, 5, 6}
	return []faultorigin.Behaviour{
		{Requests: first, Status: http.StatusNotFound},
		{Requests: first, Status: http.StatusServiceUnavailable},
		{Requests: []int{1, 2}, Break: faultorigin.Stall, After: 1000},
		{Requests: first, Drop: true},
	}
}

// crowd is a bed with a name for its nodes and a CDN of its own that is well.
type crowd struct {
	*bed
	cdn  *faultorigin.Server
	name *agent.Name
}

func newCrowd(t *testing.T, weather faultorigin.Weather) *crowd {
	t.Helper()
	b := prepareBed(t, setting{nodes: 3, rate: crowdRate, choose: func(path string, n int) faultorigin.Behaviour {
		if strings.HasPrefix(path, hardPath) {
			return faultorigin.Behaviour{}
		}
		return weather.Behaviour(path, n)
	}, origins: []process.Origin{{Name: "closed", Hosts: []string{closedHost}, Profile: "do", Connect: closedPort(t), AllowPrivate: true}}})
	if err := b.Start(b.ctx); err != nil {
		t.Fatal(err)
	}
	c := &crowd{bed: b, cdn: faultorigin.New(faultorigin.Config{}), name: agent.NewName("cache.test", 2)}
	t.Cleanup(c.cdn.Close)
	for _, n := range b.Nodes {
		c.name.Add(n.Addr)
	}
	return c
}

// add makes an object at origin and CDN, and returns it as clients know it.
func (c *crowd) add(o faultorigin.Object, host string, versions ...string) *agent.Object {
	c.Helper()
	c.origin.Add(o)
	c.cdn.Add(o)
	out := &agent.Object{Host: host, Path: o.Path, Size: o.Size}
	for _, name := range append([]string{faultorigin.DefaultVersion}, versions...) {
		v, err := agent.Digest(name, &content{path: o.Path, version: name}, o.Size)
		if err != nil {
			c.Fatal(err)
		}
		out.Versions = append(out.Versions, v)
	}
	return out
}

// content reads one version of one path, without an end.
type content struct {
	path, version string
	off           int64
}

func (r *content) Read(p []byte) (int, error) {
	faultorigin.Fill(p, r.path, r.version, r.off)
	r.off += int64(len(p))
	return len(p), nil
}

// TestClients: downloads by simulated clients of both kinds under origin faults
// and graceful restarts. No ban, no wrong byte, no fall-back for what a retry
// covers. -downloads=1000 is the full form.
func TestClients(t *testing.T) {
	luck := seed(t)
	c := newCrowd(t, faultorigin.Weather{Seed: luck, Share: softShare, Faults: softFaults()})
	objects := c.objects(*downloads/3, luck)

	times := agent.Contract()
	if *downloads < 1000 {
		times.Step /= 20 // of a back-off between a cache and a CDN that both fail
	}
	ctx, cancel := context.WithCancel(c.ctx)
	rotated := make(chan int, 1)
	go func() { rotated <- c.rotate(ctx) }()
	result := clients.Run(c.ctx, clients.Config{
		Names: []*agent.Name{c.name}, CDN: c.cdn.Addr(), Objects: objects,
		Downloads: *downloads, Machines: 24, Pauses: 0.5, Seed: luck, Times: times,
	})
	cancel()
	restarts := <-rotated
	var text bytes.Buffer
	result.Print(&text)
	c.troubles(&text)
	t.Logf("%d downloads in %v, %d restarts\n%s", len(result.Reports), result.Took.Round(time.Millisecond), restarts, &text)
	if len(result.Reports) != *downloads || restarts == 0 {
		t.Errorf("%d downloads, %d restarts", len(result.Reports), restarts)
	}
	faults := result.Faults(func(r *agent.Report, _ agent.FallBack) bool {
		return strings.HasPrefix(r.Object.Path, hardPath)
	})
	for _, f := range faults {
		t.Error(f)
	}
	c.told(result, faults)
}

// told logs, for the objects that faults name, what the origin did and the lines
// of the access logs.
func (c *crowd) told(result *clients.Result, faults []string) {
	c.Helper()
	shown := map[string]bool{}
	for _, r := range result.Reports {
		path := r.Object.Path
		if shown[path] || !slices.ContainsFunc(faults, func(f string) bool { return strings.Contains(f, path+":") }) {
			continue
		}
		shown[path] = true
		for _, e := range c.origin.Ledger().Requests(path) {
			c.Logf("%s %s: origin, request %d by %q: asked %s, status %d, sent %v, ended %v",
				e.Began.UTC().Format(time.StampMilli), path, e.PathN, e.Header.Get("Via"), e.Asked, e.Status, e.Sent, e.Done)
		}
		for _, n := range c.Nodes {
			lines, _ := os.ReadFile(filepath.Join(n.Dir, "access.log"))
			for line := range strings.Lines(string(lines)) {
				if strings.Contains(line, strconv.Quote(path)) {
					c.Logf("%s: %s", n.Name, line)
				}
			}
		}
	}
}

// objects makes count objects of up to 12 MiB, of which some are under trouble
// that lasts.
func (c *crowd) objects(count int, luck uint64) []*agent.Object {
	rnd := rand.New(rand.NewPCG(luck, 3))
	hard := hardFaults()
	var out []*agent.Object
	for i := range count {
		size := 1 + rnd.Int64N(1<<(10+rnd.IntN(14)))
		if i%20 == 0 {
			size += 8 * mib // into the second chunk
		}
		path := fmt.Sprintf("/filestreamingservice/files/%04d", i)
		host := cdn
		if rnd.Float64() < hardShare {
			path = fmt.Sprintf("%s%04d", hardPath, i)
			if kind := rnd.IntN(len(hard) + 1); kind < len(hard) {
				c.origin.Script(path, hard[kind])
			} else {
				host = closedHost
			}
		}
		out = append(out, c.add(faultorigin.Object{Path: path, Size: size}, host))
		if i%3 == 0 {
			c.origin.Add(faultorigin.Object{Path: path + "/pieceshash", Size: 1000})
		}
	}
	return out
}

// rotate restarts one node after the other, as an update does, until ctx ends:
// out of the name first, then SIGTERM, which lets responses finish.
func (c *crowd) rotate(ctx context.Context) (restarts int) {
	const ttl = 500 * time.Millisecond // of the name
	for i := 0; ; i++ {
		n := c.Nodes[i%len(c.Nodes)]
		c.name.Remove(n.Addr)
		if !agent.Sleep(ctx, ttl) {
			c.name.Add(n.Addr)
			return restarts
		}
		if err := n.Stop(c.ctx); err != nil {
			c.Errorf("restart: %v", err)
			return restarts
		}
		if err := n.Restart(c.ctx); err != nil {
			c.Errorf("restart: %v", err)
			return restarts
		}
		c.name.Add(n.Addr)
		restarts++
		if !agent.Sleep(ctx, ttl) {
			return restarts
		}
	}
}

// troubles says what the origin did.
func (c *crowd) troubles(w io.Writer) {
	requests, cut, failed := 0, 0, 0
	for _, e := range c.origin.Ledger().Entries() {
		requests++
		var sent int64
		for _, s := range e.Sent {
			sent += s.Len()
		}
		switch {
		case e.Status == 0 || e.Status >= 400:
			failed++
		case sent < e.Asked.Len():
			cut++
		}
	}
	fmt.Fprintf(w, "  origin: %d requests, of them %d without an answer or with an error, %d cut\n", requests, failed, cut)
}

// closedPort returns an address where nobody listens.
func closedPort(t *testing.T) string {
	t.Helper()
	l, err := process.ListenOrigin("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}
