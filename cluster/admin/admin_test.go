package admin

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc/health/grpc_health_v1"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 20 * time.Second

func full() Status {
	return Status{
		NodeID: "0123456789abcdef0123456789abcdef", Name: "a", Zone: "z", Version: "v1",
		Started:    time.Date(2026, 11, 22, 1, 2, 3, 4, time.UTC),
		Addresses:  []Address{{Purpose: "clients", Address: "127.0.0.1:8080"}, {Purpose: "admin", Address: "/run/mccd.sock"}},
		ViewDigest: "00000000deadbeef", ViewSerial: 7,
		Cluster: ClusterInfo{
			ID: "c1", Epoch: "3.17", LeaderID: "i", LeaderName: "a", Role: "leader",
			Quorum:       Quorum{Reason: "2 of 3 voters do not answer", Seconds: 1.5},
			AppliedIndex: 20, ConfigRevision: 19,
			Join: &JoinProgress{Peers: []string{"127.0.0.2:7947"}, Step: "asking", Error: "refused", Seconds: 2},
		},
		Nodes: []Node{
			{
				ID: "i", Name: "a", Zone: "z", PeerAddr: "p:1", GossipAddr: "g:1", State: "alive", Stage: "active", Self: true,
				Owned: 0.5, Weight: 4, Voter: true, Leader: true, DriveBytes: 1 << 40, Release: "v1",
				CertificateEnd: time.Date(2027, 2, 20, 0, 0, 0, 0, time.UTC),
			},
			{ID: "j", Name: "b", PeerAddr: "p:2", State: "draining", Stage: "draining", Owned: 0.25},
			{ID: "k", Name: "c", PeerAddr: "p:3", State: "failed", Stage: "active", Owned: 0.25},
			{Name: "d", State: "none", Stage: "pre-created", Weight: 1},
			{ID: "l", Name: "e", State: "none", Stage: "removed"},
		},
		Drives: []Drive{
			{Path: "/a", Size: 100, Used: 50, Chunks: 3, State: "ok"},
			{Path: "/b", Size: 100, State: "read-only", Reason: "no space left"},
			{Path: "/d", Size: 9, Used: 9, State: "full"},
			{Path: "/c", State: "failed", Reason: "input/output error"},
		},
		Cache:    Cache{HitBytes: 1, PeerBytes: 2, MissBytes: 3, Requests: 4, OriginBytes: 5, Flights: 6},
		Warnings: []string{"drive /b is full"},
	}
}

// serve runs a server on a real Unix socket and returns a client of it.
func serve(t *testing.T, f *fake) *Client {
	t.Helper()
	path := filepath.Join(t.TempDir(), "mccd.sock")
	ln, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(Config{Listener: ln, Cluster: f, Status: f, Freer: f, Drives: f, Products: f, Explainer: f})
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	c, err := Dial(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		end()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the socket is still there: %v", err)
		}
	})
	return c
}

func TestStatus(t *testing.T) {
	for name, want := range map[string]Status{"full": full(), "empty": {}} {
		t.Run(name, func(t *testing.T) {
			c := serve(t, &fake{status: want})
			got, err := c.Status(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, want) {
				t.Fatalf("got  %+v\nwant %+v", got, want)
			}
		})
	}
}

func TestStatusError(t *testing.T) {
	c := serve(t, &fake{err: errors.New("drive list is gone")})
	if _, err := c.Status(t.Context()); err == nil || err.Error() != "drive list is gone" {
		t.Fatalf("error %v", err)
	}
}

func TestJoin(t *testing.T) {
	f := &fake{status: full()}
	c := serve(t, f)
	nodes, err := c.Join(t.Context(), []string{"127.0.0.2", "127.0.0.3:7947"}, "MCCD1-t")
	if err != nil || !reflect.DeepEqual(nodes, full().Nodes) {
		t.Fatalf("Join = %+v, %v", nodes, err)
	}
	if want := []any{call{"Join", []any{[]string{"127.0.0.2", "127.0.0.3:7947"}, "MCCD1-t"}}}; !reflect.DeepEqual(f.asked, want) {
		t.Fatalf("the node was asked %v", f.asked)
	}
	for _, tc := range []struct {
		name  string
		addrs []string
		want  string
	}{
		{"refused", []string{"bad"}, "check that mccd runs there"},
		{"nobody named", nil, "name 1 to 64 peers"},
		{"too many", make([]string, 65), "name 1 to 64 peers"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := c.Join(t.Context(), tc.addrs, "")
			if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "rpc error") {
				t.Fatalf("Join = %v, want it to say %q", err, tc.want)
			}
		})
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := c.Join(ctx, []string{"hang"}, ""); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("a join that hangs: %v", err)
	}
}

func TestHealthAndReflection(t *testing.T) {
	c := serve(t, &fake{})
	h, err := grpc_health_v1.NewHealthClient(c.conn).Check(t.Context(), &grpc_health_v1.HealthCheckRequest{Service: "mccd.admin.v1.Admin"})
	if err != nil || h.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING {
		t.Fatalf("health: %v, %v", h, err)
	}
	stream, err := reflectionv1.NewServerReflectionClient(c.conn).ServerReflectionInfo(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&reflectionv1.ServerReflectionRequest{
		MessageRequest: &reflectionv1.ServerReflectionRequest_ListServices{},
	}); err != nil {
		t.Fatal(err)
	}
	answer, err := stream.Recv()
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, s := range answer.GetListServicesResponse().GetService() {
		names = append(names, s.GetName())
	}
	for _, want := range []string{"mccd.admin.v1.Admin", "grpc.health.v1.Health"} {
		if !slices.Contains(names, want) {
			t.Errorf("reflection does not list %s: %q", want, names)
		}
	}
}

// TestListenUnderAnyUmask: only the owner may use the socket, and the
// directory in which it was made is gone.
func TestListenUnderAnyUmask(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no file modes")
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "mccd.sock")
	ln, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Lstat(path)
	if err != nil || info.Mode() != fs.ModeSocket|0o600 {
		t.Fatalf("socket: %v, %v", info.Mode(), err)
	}
	if ln.Addr().String() != path {
		t.Errorf("Addr = %v", ln.Addr())
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Fatalf("left behind: %v, %v", entries, err)
	}
	if err := ln.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Fatal("the socket is still there")
	}
}

func TestListenOnWhatIsThere(t *testing.T) {
	dir := t.TempDir()

	t.Run("stale", func(t *testing.T) {
		path := filepath.Join(dir, "stale")
		old, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
		if err != nil {
			t.Fatal(err)
		}
		old.SetUnlinkOnClose(false)
		_ = old.Close()
		ln, err := Listen(path)
		if err != nil {
			t.Fatal(err)
		}
		_ = ln.Close()
	})
	t.Run("answered", func(t *testing.T) {
		path := filepath.Join(dir, "live")
		first, err := Listen(path)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = first.Close() }()
		if _, err := Listen(path); !errors.Is(err, ErrInUse) {
			t.Fatalf("second Listen: %v", err)
		}
		if _, err := os.Lstat(path); err != nil {
			t.Fatal("the live socket is gone")
		}
	})
	t.Run("no socket", func(t *testing.T) {
		path := filepath.Join(dir, "file")
		if err := os.WriteFile(path, []byte("keep me"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Listen(path); err == nil {
			t.Fatal("a file was replaced")
		}
		if b, err := os.ReadFile(path); err != nil || string(b) != "keep me" {
			t.Fatalf("file now holds %q, %v", b, err)
		}
	})
	t.Run("too long", func(t *testing.T) {
		if _, err := Listen(filepath.Join(dir, strings.Repeat("x", 120))); err == nil || !strings.Contains(err.Error(), "admin_socket") {
			t.Fatalf("error %v", err)
		}
	})
	t.Run("no directory", func(t *testing.T) {
		if _, err := Listen(filepath.Join(dir, "none", "s")); !errors.Is(err, fs.ErrNotExist) {
			t.Fatalf("error %v", err)
		}
	})
	t.Run("replaced meanwhile", func(t *testing.T) {
		path := filepath.Join(dir, "replaced")
		ln, err := Listen(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		_ = ln.Close()
		if _, err := os.Lstat(path); err != nil {
			t.Fatal("Close removed a file that is not its own")
		}
	})
}

func TestDialNobody(t *testing.T) {
	_, err := Dial(t.Context(), filepath.Join(t.TempDir(), "none"))
	if !errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), "mccd serve") {
		t.Fatalf("Dial = %v", err)
	}
}

func TestNewRefusesHalf(t *testing.T) {
	if _, err := New(Config{}); err == nil {
		t.Fatal("New took an empty configuration")
	}
}

func TestCloseWithoutRun(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	ln, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(Config{Listener: ln, Cluster: &fake{}, Status: &fake{}})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Fatal("the socket is still there")
	}
}

// TestRunEndsAHangingCall: the end of a server does not wait for a call that
// hangs any longer than the grace.
func TestRunEndsAHangingCall(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	ln, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	f := &fake{}
	s, err := New(Config{Listener: ln, Cluster: f, Status: f, Freer: f, Drives: f, Products: f, Explainer: f})
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	c, err := Dial(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if _, err := c.Status(t.Context()); err != nil {
		t.Fatal(err)
	}
	hung := make(chan error, 1)
	go func() {
		_, err := c.Join(t.Context(), []string{"hang"}, "")
		hung <- err
	}()
	end()
	select {
	case err := <-ended:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(patience):
		t.Fatal("Run waits for a call that hangs")
	}
	if err := <-hung; !errors.Is(err, ErrUnreachable) {
		t.Errorf("the call ended with %v", err)
	}
}
