package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mccd/mccd/cluster/admin"
)

// fakeNode answers the admin socket in place of a node.
type fakeNode struct{ joined chan []string }

func (f *fakeNode) Join(_ context.Context, peers []string) error {
	if strings.HasPrefix(peers[0], "192.0.2.") {
		return errors.New("no peer answers")
	}
	f.joined <- peers
	return nil
}

func (f *fakeNode) Status(context.Context) (admin.Status, error) {
	return admin.Status{
		NodeID: "00112233445566778899aabbccddeeff", Name: "alpha", Zone: "hall", Version: "v1",
		Started:   time.Now().Add(-90 * time.Minute),
		Addresses: []admin.Address{{Purpose: "clients", Address: "127.0.0.1:80"}},
		Nodes: []admin.Node{
			{Name: "alpha", State: "alive", Self: true, Owned: 0.5, PeerAddr: "127.0.0.1:7947"},
			{Name: "beta", State: "failed", Owned: 0.5, PeerAddr: "127.0.0.2:7947"},
		},
		Drives: []admin.Drive{{Path: "/srv/cache", Size: 100 << 30, Used: 1 << 30, Chunks: 128, State: "read-only", Reason: "disk full"}},
		Cache:  admin.Cache{HitBytes: 3 << 30, PeerBytes: 1 << 30, Requests: 42, OriginBytes: 5 << 20, Flights: 2},
		Warnings: []string{
			"The drive /srv/cache takes nothing.",
		},
	}, nil
}

// daemonSocket serves f on a socket until the test ends.
func daemonSocket(t *testing.T, f *fakeNode) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "mccd") // t.TempDir is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, "s")
	ln, err := admin.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	server, err := admin.New(admin.Config{Listener: ln, Joiner: f, Status: f})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- server.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return path
}

func TestStatusOfADaemon(t *testing.T) {
	socket := daemonSocket(t, &fakeNode{})
	code, stdout, stderr := mccd(t, "status", "--admin-socket", socket)
	if code != 0 || stderr != "" {
		t.Fatalf("code %d, %q", code, stderr)
	}
	for _, want := range []string{"Node alpha in zone hall, mccd v1, up 1h30m", "alpha (this)", "failed", "read-only",
		"1.0 GiB", "100 GiB", "disk full", "75.0 %", "42 requests", "Warning: The drive", "127.0.0.1:80"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("the table lacks %q:\n%s", want, stdout)
		}
	}
	code, stdout, _ = mccd(t, "status", "--admin-socket", socket, "-o", "json")
	var got struct {
		Nodes []struct{ State string }
		Cache map[string]int64
	}
	if err := json.Unmarshal([]byte(stdout), &got); code != 0 || err != nil {
		t.Fatalf("code %d, %v: %s", code, err, stdout)
	}
	if len(got.Nodes) != 2 || got.Nodes[1].State != "failed" || got.Cache["hit_bytes"] != 3<<30 {
		t.Errorf("got %+v", got)
	}
}

func TestJoinTellsTheDaemon(t *testing.T) {
	f := &fakeNode{joined: make(chan []string, 1)}
	socket := daemonSocket(t, f)
	code, stdout, stderr := mccd(t, "join", "127.0.0.2", "--admin-socket", socket)
	if code != 0 || !strings.Contains(stdout, "joined 127.0.0.2:7946") || !strings.Contains(stdout, "beta") {
		t.Fatalf("code %d, %q, %q", code, stdout, stderr)
	}
	if peers := <-f.joined; len(peers) != 1 || peers[0] != "127.0.0.2:7946" {
		t.Errorf("joined %q", peers)
	}
	code, _, stderr = mccd(t, "join", "192.0.2.1:7000", "--admin-socket", socket)
	if code != exitFailure || !strings.Contains(stderr, "no peer answers") {
		t.Errorf("code %d, %q", code, stderr)
	}
}
