package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/mccd/mccd/test/faultorigin"
	"github.com/mccd/mccd/test/process"
)

// origin is the scripted CDN in a process of its own.
type origin struct {
	addr   string // host:port
	ledger string
	cmd    *exec.Cmd
}

// objects are those that an origin serves: path0, path1 ...
type objects struct {
	path  string
	count int
	size  int64
	// rate bounds all its answers together, bytes/s; 0 = none.
	rate int64
}

// at returns the path of object i.
func (o objects) at(i int) string { return o.path + strconv.Itoa(i) }

// startOrigin starts an origin that ends with ctx or by stop.
func startOrigin(ctx context.Context, o objects) (*origin, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self, "-path", o.path, "-count", strconv.Itoa(o.count),
		"-size", strconv.FormatInt(o.size, 10), "-rate", strconv.FormatInt(o.rate, 10))
	cmd.Env = append(os.Environ(), roleEnv+"="+roleOrigin)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	// It ends when its standard input does, and so with this process.
	if _, err := cmd.StdinPipe(); err != nil {
		return nil, err
	}
	said, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start origin: %w", err)
	}
	line, err := bufio.NewReader(said).ReadString('\n')
	words := strings.Fields(line)
	if err != nil || len(words) != 2 {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		return nil, fmt.Errorf("start origin: it said %q: %w", line, err)
	}
	return &origin{addr: words[0], ledger: "http://" + words[1] + "/_ledger", cmd: cmd}, nil
}

func (o *origin) stop() {
	_ = o.cmd.Process.Kill()
	_ = o.cmd.Wait()
}

// sent returns what the origin sent of path ("" = all) since the last reset.
func (o *origin) sent(ctx context.Context, path string) (faultorigin.Sum, error) {
	text, err := o.ask(ctx, http.MethodGet, "?sums")
	if err != nil {
		return faultorigin.Sum{}, err
	}
	var report faultorigin.Report
	if err := json.Unmarshal(text, &report); err != nil {
		return faultorigin.Sum{}, fmt.Errorf("read the origin's ledger: %w", err)
	}
	if path == "" {
		return report.Total, nil
	}
	return report.Paths[path], nil
}

// reset makes the ledger forget.
func (o *origin) reset(ctx context.Context) error {
	_, err := o.ask(ctx, http.MethodDelete, "")
	return err
}

func (o *origin) ask(ctx context.Context, method, query string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, o.ledger+query, nil)
	if err != nil {
		return nil, err
	}
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		return nil, fmt.Errorf("ask the origin's ledger: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	return io.ReadAll(resp.Body)
}

// serveOrigin is the origin's process: it says where it serves and where its
// ledger is, and ends with its standard input.
func serveOrigin(ctx context.Context, args []string, stdout io.Writer) error {
	var o objects
	flags := flag.NewFlagSet("origin", flag.ContinueOnError)
	flags.StringVar(&o.path, "path", "", "beginning of all paths")
	flags.IntVar(&o.count, "count", 1, "number of objects")
	flags.Int64Var(&o.size, "size", 0, "bytes of each object")
	flags.Int64Var(&o.rate, "rate", 0, "bytes/s")
	if err := flags.Parse(args); err != nil {
		return err
	}
	listener, err := process.ListenOrigin("127.0.0.1")
	if err != nil {
		return err
	}
	cfg := faultorigin.Config{Listener: listener, Rate: o.rate}
	for i := range o.count {
		cfg.Objects = append(cfg.Objects, faultorigin.Object{
			Path: o.at(i), Size: o.size,
			// Caches that go by the letter need it.
			Header: http.Header{"Cache-Control": {"public, max-age=86400"}},
		})
	}
	s, err := faultorigin.Listen(cfg)
	if err != nil {
		return err
	}
	defer s.Close()
	ledger, err := process.ListenOrigin("127.0.0.1")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: s.Ledger().Handler(), ReadHeaderTimeout: 10 * time.Second}
	defer func() { _ = server.Close() }()
	go func() { _ = server.Serve(ledger) }()
	fmt.Fprintln(stdout, s.Addr(), ledger.Addr())
	ended := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		close(ended)
	}()
	select {
	case <-ctx.Done():
	case <-ended:
	}
	return nil
}
