package ops_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/mccd/mccd/gateway/ops"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start runs a server on loopback until the test ends and returns its URL.
func start(t *testing.T, cfg ops.Config) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cfg.Listener = l
	s, err := ops.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return "http://" + s.Addr().String()
}

func get(t *testing.T, method, url string) (int, string) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func TestPages(t *testing.T) {
	reg := prometheus.NewRegistry()
	count := prometheus.NewCounter(prometheus.CounterOpts{Name: "mccd_test_total", Help: "A test."})
	reg.MustRegister(count)
	count.Add(7)
	well := func(context.Context) error { return nil }
	url := start(t, ops.Config{
		Gatherer: reg, Node: "n1",
		Health:  map[string]ops.Probe{"loop": well},
		Ready:   map[string]ops.Probe{"disk": func(context.Context) error { return errors.New("drive /a failed\nsecond") }, "view": well, "origin": func(context.Context) error { return errors.New("no route") }},
		Summary: func() ops.Summary { return ops.Summary{HitBytes: 300, MissBytes: 100, EgressBytes: 401} },
	})
	for _, tt := range []struct {
		method, path string
		status       int
		body         string // a part of it
	}{
		{"GET", "/", 200, "/readyz"},
		{"GET", "/", 200, "mccd n1"},
		{"GET", "/metrics", 200, "mccd_test_total 7"},
		{"GET", "/healthz", 200, "ok\n"},
		{"GET", "/readyz", 503, "disk: drive /a failed; second\norigin: no route\n"},
		{"GET", "/summary", 200, `{"hitBytes":300,"missBytes":100,"egressBytes":401,"hitRatioBytes":0.75}`},
		{"GET", "/other", 404, ""},
		{"POST", "/summary", 405, ""},
	} {
		status, body := get(t, tt.method, url+tt.path)
		if status != tt.status || !strings.Contains(body, tt.body) {
			t.Errorf("%s %s = %d %q, want %d with %q", tt.method, tt.path, status, body, tt.status, tt.body)
		}
	}
}

func TestSummaryOfNothing(t *testing.T) {
	url := start(t, ops.Config{})
	if _, body := get(t, "GET", url+"/summary"); !strings.Contains(body, `"hitRatioBytes":0}`) {
		t.Errorf("summary = %q", body)
	}
}

func TestSlowProbe(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	url := start(t, ops.Config{
		ProbeTime: 20 * time.Millisecond,
		Ready:     map[string]ops.Probe{"stuck": func(context.Context) error { <-release; return nil }},
	})
	if status, body := get(t, "GET", url+"/readyz"); status != 503 || body != "stuck: no answer in time\n" {
		t.Errorf("readyz = %d %q", status, body)
	}
}

func TestNewRefuses(t *testing.T) {
	if _, err := ops.New(ops.Config{}); err == nil {
		t.Error("New without a listener succeeded")
	}
}
