package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mccd/mccd/test/faultorigin"
	"github.com/mccd/mccd/test/process"
	"github.com/mccd/mccd/test/process/rows"
)

const (
	objectPath = "/filestreamingservice/files/object"
	objectHost = "au.download.windowsupdate.com"
	objectSize = 256 << 20
	startLimit = 2 * time.Minute
	stopGrace  = 15 * time.Second
)

// server is one of the two that are measured.
type server struct {
	name, addr, target, host string
	pid                      int
	stop                     func()
}

// load is one way to ask; a size of 0 is the whole object.
type load struct {
	name string
	size int64
}

// figures are what one measurement found.
type figures struct {
	mibPerSecond, cpuPerGiB float64
}

// inside runs the benchmark in its bed.
func inside(ctx context.Context, s settings, out io.Writer) error {
	bed, err := prepareBed()
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "Delivery of hits, mccd beside nginx: %d rounds, %d connections\nBed: %s\n", s.rounds, s.clients, bed)
	dir, err := os.MkdirTemp("", "mccd-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	startCtx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	ours, err := startNode(startCtx, dir)
	if err != nil {
		return err
	}
	defer ours.stop()
	servers := []*server{ours}
	if err := writeObject(filepath.Join(dir, "www")); err != nil {
		return err
	}
	if theirs, err := startNginx(startCtx, dir, "127.0.0.9:"+strings.Split(ours.addr, ":")[1]); err != nil {
		fmt.Fprintf(out, "Without a reference: %v\n", err)
	} else {
		defer theirs.stop()
		servers = append(servers, theirs)
	}
	var all []rows.Row
	for _, l := range []load{{"64KiB", 64 << 10}, {"1MiB", 1 << 20}, {"whole", 0}} {
		found, err := compare(ctx, s, l, servers)
		if err != nil {
			return err
		}
		for _, r := range found {
			fmt.Fprintf(out, "  %-24s mccd %9.3f  nginx %9.3f  ratio %6.3f  %s\n", r.Name, r.Value, r.Reference, r.Ratio, r.Unit)
		}
		all = append(all, found...)
	}
	return rows.Write(s.out, all)
}

// compare alternates between the servers and returns medians; the ratio is the
// median of the rounds' ratios.
func compare(ctx context.Context, s settings, l load, servers []*server) ([]rows.Row, error) {
	found := make([][]figures, len(servers))
	for round := range s.rounds + 1 {
		for i, srv := range servers {
			f, err := measure(ctx, s, l, srv)
			if err != nil {
				return nil, fmt.Errorf("%s, %s: %w", srv.name, l.name, err)
			}
			if round > 0 { // the first one warms up
				found[i] = append(found[i], f)
			}
		}
	}
	row := func(name, unit string, of func(figures) float64) rows.Row {
		pick := func(i int) []float64 {
			if i >= len(found) {
				return make([]float64, s.rounds)
			}
			values := make([]float64, 0, s.rounds)
			for _, f := range found[i] {
				values = append(values, of(f))
			}
			return values
		}
		ours, theirs := pick(0), pick(1)
		r := rows.New(name, median(ours), median(theirs), fmt.Sprintf("%s, median of %d rounds, %d connections", unit, s.rounds, s.clients))
		if len(found) > 1 {
			ratios := make([]float64, 0, s.rounds)
			for i := range ours {
				ratios = append(ratios, ours[i]/theirs[i])
			}
			r.Ratio = median(ratios)
		}
		return r
	}
	return []rows.Row{
		row("hits_cpu_"+l.name, "CPU-s per GiB", func(f figures) float64 { return f.cpuPerGiB }),
		row("hits_throughput_"+l.name, "MiB/s", func(f figures) float64 { return f.mibPerSecond }),
	}, nil
}

// measure moves s.bytes from srv over s.clients connections.
func measure(ctx context.Context, s settings, l load, srv *server) (figures, error) {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	n, status := l.size, "206"
	if n == 0 {
		n, status = objectSize, "200"
	}
	var left atomic.Int64
	left.Store(max(1, s.bytes/n))
	requests := left.Load()
	errs := make([]error, s.clients)
	clients := make([]*client, s.clients)
	for i := range clients {
		c, err := dial(srv.addr)
		if err != nil {
			return figures{}, err
		}
		defer func() { _ = c.conn.Close() }()
		clients[i] = c
	}
	before, err := cpuOf(srv.pid)
	if err != nil {
		return figures{}, err
	}
	begun := time.Now()
	var wg sync.WaitGroup
	for i, c := range clients {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(uint64(i), 1))
			for left.Add(-1) >= 0 && errs[i] == nil {
				if errs[i] = ctx.Err(); errs[i] == nil {
					errs[i] = c.get(srv.request(l.size, rnd), status, n)
				}
			}
		})
	}
	wg.Wait()
	took := time.Since(begun)
	after, err := cpuOf(srv.pid)
	if err != nil {
		return figures{}, err
	}
	for _, err := range errs {
		if err != nil {
			return figures{}, err
		}
	}
	moved := float64(requests * n)
	return figures{moved / (1 << 20) / took.Seconds(), (after - before) / (moved / (1 << 30))}, nil
}

// request asks for a random aligned range of the given size, or for all.
func (s *server) request(size int64, rnd *rand.Rand) []byte {
	text := "GET " + s.target + " HTTP/1.1\r\nHost: " + s.host + "\r\nUser-Agent: Microsoft-Delivery-Optimization/10.1\r\n"
	if size > 0 {
		off := rnd.Int64N(objectSize/size) * size
		text += fmt.Sprintf("Range: bytes=%d-%d\r\n", off, off+size-1)
	}
	return []byte(text + "\r\n")
}

// startNode starts one node and lets it fetch the object.
func startNode(ctx context.Context, dir string) (*server, error) {
	bin, err := process.Build(ctx, dir)
	if err != nil {
		return nil, err
	}
	origin, err := faultorigin.Listen(faultorigin.Config{Objects: []faultorigin.Object{{Path: objectPath, Size: objectSize}}})
	if err != nil {
		return nil, err
	}
	cluster, err := process.New(process.Config{
		Bin: bin, Dir: filepath.Join(dir, "node"), Nodes: 1,
		Origins: []process.Origin{{Name: "bench", Hosts: []string{objectHost}, Profile: "do", Connect: origin.Addr(), AllowPrivate: true}},
		Amend:   func(_ int, settings map[string]any) { delete(settings, "access_log") },
	})
	if err != nil {
		origin.Close()
		return nil, err
	}
	n := cluster.Nodes[0]
	s := &server{name: "mccd", addr: n.Addr, target: objectPath + "?cacheHostOrigin=" + objectHost, host: n.Addr, stop: func() {
		_ = cluster.Close(stopGrace)
		origin.Close()
	}}
	if err := cluster.Start(ctx); err != nil {
		s.stop()
		return nil, err
	}
	s.pid = n.PID()
	c, err := dial(n.Addr)
	if err == nil {
		err = c.get(s.request(0, nil), "200", objectSize)
		_ = c.conn.Close()
	}
	if err != nil {
		s.stop()
		return nil, fmt.Errorf("fill the node: %w", err)
	}
	return s, nil
}

// writeObject writes the object's bytes for nginx.
func writeObject(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	content := make([]byte, objectSize)
	faultorigin.Fill(content, objectPath, faultorigin.DefaultVersion, 0)
	return os.WriteFile(filepath.Join(dir, "object"), content, 0o644)
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	if n == 0 {
		return 0
	}
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}
