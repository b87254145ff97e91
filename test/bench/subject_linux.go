package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"time"

	"github.com/mccd/mccd/test/bench/load"
	"github.com/mccd/mccd/test/bench/rival"
	"github.com/mccd/mccd/test/faultorigin"
	"github.com/mccd/mccd/test/process"
)

const (
	originHost = "au.download.windowsupdate.com"
	startLimit = 2 * time.Minute
	stopGrace  = 15 * time.Second
)

// subject is a server, or a cluster of nodes, that is measured.
type subject struct {
	name string
	// addrs are where clients ask, groups the process groups.
	addrs  []string
	groups []int
	// https are where https clients ask; tls is how they do, nil = they do not.
	https []string
	tls   *tls.Config
	query string
	stop  func()
}

// target returns what is asked for to get the object at path.
func (s *subject) target(path string) string { return path + s.query }

// place says how a subject is started.
type place struct {
	origin *origin
	root   string // of static files
	size   int64  // that a cache, or each node's drive, may hold
	files  int    // limit of open files; 0 = none
	// cert is what https is served with; zero = it is not.
	cert rival.Certificate
}

// startNodes starts a cluster of n nodes in a new folder.
func (b *bench) startNodes(ctx context.Context, name string, n int, p place) (*subject, error) {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	dir, err := b.folder("n")
	if err != nil {
		return nil, err
	}
	cfg := process.Config{
		Bin: b.bin, Dir: dir, Nodes: n, DriveSize: fmt.Sprintf("%dMiB", max(p.size, 1<<30)>>20),
		Origins: []process.Origin{{Name: "bench", Hosts: []string{originHost}, Profile: "do", Connect: p.origin.addr, AllowPrivate: true, JoinSchemes: true}},
		Amend: func(_ int, settings map[string]any) {
			delete(settings, "access_log")
			if p.cert != (rival.Certificate{}) {
				settings["tls"] = map[string]string{"cert_file": p.cert.Chain, "key_file": p.cert.Key}
			}
		},
	}
	if p.files > 0 {
		cfg.Host = func(i int) (string, []string) { return fmt.Sprintf("127.0.0.%d", i+1), rival.Limited(p.files) }
	}
	cluster, err := process.New(cfg)
	if err != nil {
		return nil, err
	}
	s := &subject{name: name, query: "?cacheHostOrigin=" + originHost, stop: func() {
		_ = cluster.Close(stopGrace)
		b.discard(dir)
	}}
	if err := cluster.Start(ctx); err != nil {
		cluster.DumpLogs(b.out)
		s.stop()
		return nil, err
	}
	for _, node := range cluster.Nodes {
		s.addrs, s.https, s.groups = append(s.addrs, node.Addr), append(s.https, node.HTTPS), append(s.groups, node.PID())
	}
	return s, nil
}

// startRival starts a rival in a new folder.
func (b *bench) startRival(ctx context.Context, kind rival.Kind, p place) (*subject, error) {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	dir, err := b.folder("r")
	if err != nil {
		return nil, err
	}
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	server, err := kind.Start(ctx, rival.Config{
		Dir: filepath.Join(dir, kind.Name), Addr: addr, Origin: p.origin.addr, Root: p.root, Size: p.size, Files: p.files, Cert: p.cert,
	})
	if err != nil {
		return nil, err
	}
	return &subject{name: kind.Name, addrs: []string{addr}, groups: []int{server.Group()}, stop: func() {
		server.Stop()
		b.discard(dir)
	}}, nil
}

// rivals returns those that are installed, the static one only with static,
// and says which are not.
func (b *bench) rivals(static bool) []rival.Kind {
	var found []rival.Kind
	for _, kind := range rival.Kinds() {
		if !kind.Cache && !static {
			continue
		}
		if _, err := kind.Find(); err != nil {
			fmt.Fprintf(b.out, "  SKIPPED: %s: %v (make deps-bench installs it as root)\n", kind.Name, err)
			continue
		}
		found = append(found, kind)
	}
	return found
}

func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// verify reads the whole object at path from s and checks each byte.
func (s *subject) verify(ctx context.Context, path string, size int64) error {
	c, err := load.Dial(ctx, s.addrs[0])
	if err != nil {
		return err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, c.Close)()
	var at int64
	_, err = c.Read(load.Request(s.target(path), s.addrs[0], 0, 0), "200", size, func(p []byte) error {
		if bad := faultorigin.Check(p, path, faultorigin.DefaultVersion, at); bad >= 0 {
			return fmt.Errorf("byte %d is wrong", bad)
		}
		at += int64(len(p))
		return nil
	})
	if err != nil {
		return fmt.Errorf("verify %s: %w", s.name, err)
	}
	return nil
}

// warm has s fetch the object until it needs the origin no more.
func (s *subject) warm(ctx context.Context, o *origin, path string, size int64) error {
	for range 5 {
		if err := o.reset(ctx); err != nil {
			return err
		}
		if err := s.verify(ctx, path, size); err != nil {
			return err
		}
		if sent, err := o.sent(ctx, path); err != nil || sent.Bytes == 0 {
			return err
		}
	}
	return errors.New(s.name + " fetches again what it should hold")
}
