package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/mccd/mccd/test/bench/figures"
	"github.com/mccd/mccd/test/bench/load"
	"github.com/mccd/mccd/test/bench/rival"
	"github.com/mccd/mccd/test/faultorigin"
	"github.com/mccd/mccd/test/process"
)

// tlsName is the name on the certificate of both servers.
const tlsName = "cache.example.com"

// tlsFlags are the flags of the target.
type tlsFlags struct {
	gib float64
}

func newTLS(flags *flag.FlagSet) target {
	var f tlsFlags
	flags.Float64Var(&f.gib, "tls-gib", 1, "GiB that each measurement moves")
	return target{name: "tls", about: "delivery of what is held by TLS 1.3 with AES-128-GCM, CPU-s per GiB of the server and throughput", run: f.run}
}

func (f *tlsFlags) run(ctx context.Context, b *bench) ([]figures.Finding, error) {
	size, window, conns := int64(256<<20), int64(f.gib*(1<<30)), []int{16, 256}
	if b.smoke {
		size, window, conns = 9<<20, 48<<20, []int{4}
	}
	h := &hits{out: b.out, size: size, prefix: "tls"}
	defer h.stop()
	if err := b.fillTLS(ctx, h); err != nil {
		return nil, err
	}
	var found []figures.Finding
	for _, n := range conns {
		for _, l := range []hitLoad{{"64KiB", 64 << 10, n}, {"1MiB", 1 << 20, n}, {"whole", 0, n}} {
			more, err := h.compare(ctx, l, b.plan(5), window)
			if err != nil {
				return nil, err
			}
			found = append(found, more...)
		}
	}
	return found, h.held(ctx)
}

// fillTLS starts mccd, which fetches the object by http and holds it for https
// too, and nginx with the same file, certificate and key.
func (b *bench) fillTLS(ctx context.Context, h *hits) (err error) {
	o := objects{path: "/filestreamingservice/files/tls", count: 1, size: h.size}
	h.path = o.at(0)
	if h.origin, err = startOrigin(ctx, o); err != nil {
		return err
	}
	root := filepath.Join(b.dir, "wwwtls")
	if err := writeObject(root, h.path, h.size); err != nil {
		return err
	}
	authority, err := process.NewAuthority()
	if err != nil {
		return err
	}
	chain, key, err := authority.Issue(time.Now().Add(24*time.Hour), tlsName)
	if err != nil {
		return err
	}
	cert := rival.Certificate{Chain: filepath.Join(b.dir, "chain.pem"), Key: filepath.Join(b.dir, "key.pem")}
	for name, text := range map[string][]byte{cert.Chain: chain, cert.Key: key} {
		if err := os.WriteFile(name, text, 0o600); err != nil {
			return err
		}
	}
	p := place{origin: h.origin, root: root, size: 4 * h.size, cert: cert}
	ours, err := b.startNodes(ctx, "mccd", 1, p)
	if err != nil {
		return err
	}
	h.subjects = append(h.subjects, ours)
	if err := ours.warm(ctx, h.origin, h.path, h.size); err != nil {
		return err
	}
	ours.addrs = ours.https
	kind := rival.NginxTLS()
	if _, err := kind.Find(); err != nil {
		fmt.Fprintf(b.out, "  SKIPPED: %s: %v (make deps-bench installs it as root)\n", kind.Name, err)
	} else {
		s, err := b.startRival(ctx, kind, p)
		if err != nil {
			return err
		}
		h.subjects = append(h.subjects, s)
	}
	client := &tls.Config{RootCAs: authority.Pool(), ServerName: tlsName}
	for _, s := range h.subjects {
		s.tls = client
		if err := s.verifyTLS(ctx, h.path, h.size); err != nil {
			return err
		}
	}
	return h.origin.reset(ctx)
}

// verifyTLS reads the whole object from s and checks each byte.
func (s *subject) verifyTLS(ctx context.Context, path string, size int64) error {
	conn, err := (&tls.Dialer{Config: s.tls}).DialContext(ctx, "tcp", s.addrs[0])
	if err != nil {
		return fmt.Errorf("verify %s: %w", s.name, err)
	}
	defer func() { _ = conn.Close() }()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	if _, err := conn.Write(load.Request(s.target(path), tlsName, 0, 0)); err != nil {
		return fmt.Errorf("verify %s: %w", s.name, err)
	}
	return s.checkAnswer(conn, path, size)
}

// checkAnswer reads an answer of n bytes from conn.
func (s *subject) checkAnswer(conn net.Conn, path string, n int64) error {
	in := bufio.NewReaderSize(conn, 256<<10)
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		return fmt.Errorf("verify %s: %w", s.name, err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK || resp.ContentLength != n {
		return fmt.Errorf("verify %s: %s, %d bytes", s.name, resp.Status, resp.ContentLength)
	}
	buf := make([]byte, 256<<10)
	for at := int64(0); at < n; {
		got, err := resp.Body.Read(buf)
		if bad := faultorigin.Check(buf[:got], path, faultorigin.DefaultVersion, at); bad >= 0 {
			return fmt.Errorf("verify %s: byte %d is wrong", s.name, at+bad)
		}
		if at += int64(got); err != nil && at < n {
			return fmt.Errorf("verify %s: %w", s.name, err)
		}
	}
	return nil
}

// tlsGoal is what docs/benchmarks.md asks for beside nginx.
func tlsGoal() goal {
	return goal{cpuAim: figures.AtMost(1), speed: figures.AtLeast(0.9), speedAim: figures.AtLeast(1)}
}
