package process

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"time"
)

// askTimeout bounds one question to a node; a paused node does not answer.
const askTimeout = 10 * time.Second

// Ready waits until the node answers /readyz with 200, or its process ends.
func (n *Node) Ready(ctx context.Context) error {
	ctx, cancel := n.whileRunning(ctx)
	defer cancel(nil)
	err := Poll(ctx, func(ctx context.Context) error {
		_, err := n.get(ctx, "/readyz")
		return err
	})
	if err != nil {
		return fmt.Errorf("wait until %s is ready: %w", n.Name, err)
	}
	return nil
}

// whileRunning returns a context that also ends with the process.
func (n *Node) whileRunning(ctx context.Context) (context.Context, context.CancelCauseFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	exited := n.Exited()
	go func() {
		select {
		case <-exited:
			cancel(fmt.Errorf("%s: %w", n.Name, ErrNotRunning))
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

// get returns the operators' page at path; any status but 200 is an error.
func (n *Node) get(ctx context.Context, path string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+n.Ops+path, nil)
	if err != nil {
		return nil, err
	}
	// A question now and then: no idle connections to care for.
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 16<<20))
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return body, fmt.Errorf("%s: %s: %s", path, resp.Status, body[:min(len(body), 200)])
	}
	return body, nil
}

// Metrics returns the node's /metrics.
func (n *Node) Metrics(ctx context.Context) (Metrics, error) {
	text, err := n.get(ctx, "/metrics")
	if err != nil {
		return nil, fmt.Errorf("metrics of %s: %w", n.Name, err)
	}
	return parseMetrics(text), nil
}

// Command runs the program with args and returns its output, both streams
// together, and its exit code.
func (n *Node) Command(ctx context.Context, args ...string) (string, int, error) {
	return Command(ctx, n.bin, args...)
}

// Command runs bin with args; an exit code other than 0 is no error.
func Command(ctx context.Context, bin string, args ...string) (string, int, error) {
	cmd := exec.CommandContext(ctx, bin, args...)
	cmd.SysProcAttr = ownGroup()
	cmd.Env = environment(os.Environ())
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil || cmd.ProcessState.ExitCode() < 0 {
		return string(out), -1, fmt.Errorf("run %s: %w", bin, err)
	}
	return string(out), cmd.ProcessState.ExitCode(), nil
}

// URL returns the address at which this node serves path of the origin host;
// path may carry a query.
func (n *Node) URL(path, host string) string { return URL(n.Addr, path, host) }

// URL returns the address at which the node at addr serves path of host, in
// the form of Delivery Optimization (docs/clients.md section 1).
func URL(addr, path, host string) string {
	sep := "?"
	for i := range len(path) {
		if path[i] == '?' {
			sep = "&"
		}
	}
	return "http://" + addr + path + sep + "cacheHostOrigin=" + url.QueryEscape(host)
}
