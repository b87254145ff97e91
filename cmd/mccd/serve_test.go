package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mccd/mccd/cluster/admin"
)

// startNode runs one command line that starts a node, on free ports of
// 127.0.0.1, until the test ends; it then must end with code 0.
func startNode(t *testing.T, environ []string, name string, args ...string) (socket string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "mccd") // t.TempDir is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket = filepath.Join(dir, "s")
	args = append(args, "--name", name, "--data-dir", dir, "--admin-socket", socket, "--listen", "127.0.0.1:0",
		"--ops-listen", "127.0.0.1:0", "--peer-listen", "127.0.0.1:0", "--gossip-listen", "127.0.0.1:0",
		"--drive", filepath.Join(dir, "cache")+"=64MiB", "--set", "timeouts.gossip_probe=100ms")
	ctx, cancel := context.WithCancel(context.Background())
	var stderr bytes.Buffer
	done := make(chan int, 1)
	go func() { done <- run(ctx, environ, args, &bytes.Buffer{}, &bytes.Buffer{}, &stderr) }()
	t.Cleanup(func() {
		cancel()
		if code := <-done; code != 0 {
			t.Errorf("%s ended with code %d:\n%s", name, code, stderr.String())
		}
		if !strings.Contains(stderr.String(), "DOCacheHost") || !strings.Contains(stderr.String(), "stopped") {
			t.Errorf("%s does not say where to point clients, or that it stopped:\n%s", name, stderr.String())
		}
	})
	return socket
}

// statusOf polls until the node at socket is as want says, and returns its
// status then.
func statusOf(t *testing.T, socket string, want func(admin.Status) bool) admin.Status {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(30 * time.Second)
	for {
		code, stdout, stderr := mccd(t, "status", "-o", "json", "--admin-socket", socket)
		var s admin.Status
		if code == 0 {
			if err := json.Unmarshal([]byte(stdout), &s); err != nil {
				t.Fatal(err)
			}
			if want(s) {
				return s
			}
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("not reached: code %d, %s%s", code, stdout, stderr)
		}
	}
}

func address(t *testing.T, s admin.Status, purpose string) string {
	t.Helper()
	for _, a := range s.Addresses {
		if a.Purpose == purpose {
			return a.Address
		}
	}
	t.Fatalf("no address for %s in %+v", purpose, s.Addresses)
	return ""
}

func TestServeAndJoin(t *testing.T) {
	if testing.Short() {
		t.Skip("starts two nodes")
	}
	first := startNode(t, nil, "first", "serve")
	alone := statusOf(t, first, func(s admin.Status) bool { return len(s.Nodes) == 1 && s.Cluster.Quorum.OK })
	resp, err := (&http.Client{Timeout: 10 * time.Second}).Get("http://" + address(t, alone, "clients") + "/x?cacheHostOrigin=nobody.example")
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusForbidden {
		t.Errorf("a host that is not served got %d", resp.StatusCode)
	}
	// No daemon runs at the second socket, so join runs a node.
	code, token, stderr := mccd(t, "token", "create", "--quiet", "--admin-socket", first)
	if code != 0 {
		t.Fatalf("token create: code %d, %s", code, stderr)
	}
	second := startNode(t, []string{"MCCD_TOKEN=" + strings.TrimSpace(token)}, "second", "join", address(t, alone, "peers"))
	both := func(s admin.Status) bool {
		return len(s.Nodes) == 2 && s.Nodes[0].State == "alive" && s.Nodes[1].State == "alive"
	}
	a, b := statusOf(t, first, both), statusOf(t, second, both)
	if a.ViewDigest != b.ViewDigest {
		t.Errorf("digests %s and %s", a.ViewDigest, b.ViewDigest)
	}
}

// The service manager learns when the node serves and when it begins to stop
// (sd_notify(3)).
func TestServiceManagerIsTold(t *testing.T) {
	dir, err := os.MkdirTemp("", "mccd")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, "notify")
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Skip("no datagram sockets:", err)
	}
	defer manager.Close()
	t.Setenv("NOTIFY_SOCKET", path)
	told := func(want string) {
		t.Helper()
		if err := manager.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 256)
		n, err := manager.Read(buf)
		if got := string(buf[:n]); err != nil || got != want {
			t.Errorf("told %q (%v), want %q", got, err, want)
		}
	}
	t.Run("node", func(t *testing.T) {
		socket := startNode(t, nil, "told", "serve")
		told("READY=1")
		statusOf(t, socket, func(s admin.Status) bool { return s.Name == "told" })
	})
	told("STOPPING=1")
}
