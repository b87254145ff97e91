package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mccd/mccd/cluster/admin"
	"github.com/mccd/mccd/cluster/state"
)

// fakeNode answers the admin socket in place of a node: it remembers what it
// was asked, and fails with err where that is set.
type fakeNode struct {
	err   error
	mu    sync.Mutex
	asked []string
}

func (f *fakeNode) ask(format string, args ...any) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, fmt.Sprintf(format, args...))
	return f.err
}

// take returns what was asked since it was called last.
func (f *fakeNode) take() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	asked := strings.Join(f.asked, "; ")
	f.asked = nil
	return asked
}

func (f *fakeNode) Join(_ context.Context, peers []string, token string) error {
	if strings.HasPrefix(peers[0], "192.0.2.") {
		return errors.New("no peer answers")
	}
	return f.ask("join %s by %s", peers, token)
}

func (f *fakeNode) Leave(context.Context) error { return f.ask("leave") }

func (f *fakeNode) CreateToken(_ context.Context, spec state.TokenSpec) (string, state.Token, error) {
	return "MCCD1-the-token", state.Token{ID: "0badcafe", Note: spec.Note, Uses: spec.Uses, ExpiresUnix: 4102444800},
		f.ask("token %s %d %q", spec.TTL, spec.Uses, spec.Note)
}

func (f *fakeNode) Tokens(context.Context) ([]state.Token, error) {
	return []state.Token{
		{ID: "00000001", Note: "rack 7", Uses: 1, ExpiresUnix: 4102444800}, {ID: "00000002", Uses: -1},
		{ID: "00000003", ExpiresUnix: 1000, Uses: 2}, {ID: "00000004", Joined: []string{"a", "b"}}, {ID: "00000005", Uses: 1, Revoked: true},
	}, f.ask("tokens")
}

func (f *fakeNode) RevokeToken(_ context.Context, id string) error { return f.ask("revoke %s", id) }

func (f *fakeNode) Remove(_ context.Context, node string, compromised bool) error {
	return f.ask("remove %s %v", node, compromised)
}

func (f *fakeNode) SetNode(_ context.Context, node string, s state.NodeSettings) error {
	return f.ask("set %s %s", node, told(s))
}

func (f *fakeNode) PreCreate(_ context.Context, s state.NodeSettings) error {
	return f.ask("create %s", told(s))
}

func told(s state.NodeSettings) string {
	var parts []string
	if s.Name != nil {
		parts = append(parts, "name="+*s.Name)
	}
	if s.Zone != nil {
		parts = append(parts, "zone="+*s.Zone)
	}
	if s.Weight != nil {
		parts = append(parts, fmt.Sprint("weight=", *s.Weight))
	}
	return strings.Join(parts, " ")
}

func (f *fakeNode) Rotate(_ context.Context, what string) error { return f.ask("rotate %s", what) }

func (f *fakeNode) Config(_ context.Context, local bool) (state.Config, error) {
	return state.Config{Revision: 1}, f.ask("config %v", local)
}

func (f *fakeNode) SetConfig(_ context.Context, expect uint64, _ state.Config) (uint64, error) {
	return 2, f.ask("set config %d", expect)
}

func (f *fakeNode) Recover(_ context.Context, spec state.RecoverSpec) (state.RecoverReport, error) {
	return state.RecoverReport{
		Survivor: "00112233445566778899aabbccddeeff", Generation: 2, Applied: 10, LastIndex: 13, Uncommitted: 3,
		LostVoters: []string{"ffeeddccbbaa99887766554433221100"}, Text: []string{"Changes that only beta had are lost."},
	}, f.ask("recover %s dry=%v", spec.Supersede, spec.DryRun)
}

func (f *fakeNode) Backup(_ context.Context, passphrase string) ([]byte, error) {
	return []byte("sealed"), f.ask("backup by %s", passphrase)
}

func (f *fakeNode) Restore(_ context.Context, backup []byte, passphrase string) error {
	return f.ask("restore %s by %s", backup, passphrase)
}

func (f *fakeNode) FreeDrive(_ context.Context, path string, room int64) (admin.Freed, error) {
	return admin.Freed{Chunks: 3, Bytes: 24 << 20, Room: 1 << 30, Busy: 1, Pinned: 2}, f.ask("free %s %d", path, room)
}

func (f *fakeNode) Purge(_ context.Context, s state.PurgeSpec) (uint64, error) {
	return 42, f.ask("purge %q %q %q %v", s.Product, s.Host, s.Path, s.Prefix)
}

func (f *fakeNode) Purges(context.Context) ([]state.PurgeStatus, uint64, error) {
	return []state.PurgeStatus{
		{
			Mark: state.PurgeMark{Index: 9, ID: "00000000000000a9", Product: "Xbox", Path: "/", Prefix: true, CreatedUnix: 90000},
			Done: []string{"alpha"}, Waiting: []string{"beta"}, Away: []string{"gamma", "delta"},
		},
		{Mark: state.PurgeMark{Index: 7, ID: "00000000000000a7", Host: "deb.debian.org", Path: "/debian/dists/stable/InRelease", CreatedUnix: 80000}, Done: []string{"alpha", "beta", "gamma", "delta"}},
		{Mark: state.PurgeMark{Index: 6, ID: "00000000000000a6", Path: "/x", Prefix: true, CreatedUnix: 70000}, Done: []string{"alpha", "beta", "gamma"}, Away: []string{"delta"}},
	}, 3, f.ask("purges")
}

func (f *fakeNode) Product(name string) (string, []string, error) {
	if name != "xbox" {
		return "", nil, errors.New("there is no product of that name; there are: Office, Xbox")
	}
	return "Xbox", []string{"*.assets1.xboxlive.com", "xvc-origin.xboxlive.com"}, nil
}

func (f *fakeNode) Explain(_ context.Context, url, rng string) (*admin.Explanation, error) {
	if strings.HasPrefix(url, "nonsense") {
		return nil, errors.New("this is no URL")
	}
	e := sampleExplanations()["part"]
	return &e, f.ask("explain %s %q", url, rng)
}

func (f *fakeNode) Status(context.Context) (admin.Status, error) {
	s := sampleStatus()
	s.Started = time.Now().Add(-90 * time.Minute)
	return s, nil
}

// sampleStatus is of a node that started at the epoch.
func sampleStatus() admin.Status {
	return admin.Status{
		NodeID: "00112233445566778899aabbccddeeff", Name: "alpha", Zone: "hall", Version: "v1", Started: time.Unix(0, 0),
		Addresses:  []admin.Address{{Purpose: "clients", Address: "127.0.0.1:80"}},
		ViewDigest: "00000000deadbeef", ViewSerial: 7,
		Cluster: admin.ClusterInfo{
			ID: "c0ffee00c0ffee00c0ffee00c0ffee00", Epoch: "1.17", LeaderID: "00112233445566778899aabbccddeeff", LeaderName: "alpha",
			Role: "leader", Quorum: admin.Quorum{OK: true}, AppliedIndex: 40, ConfigRevision: 12,
		},
		Nodes: []admin.Node{
			{
				ID: "00112233445566778899aabbccddeeff", Name: "alpha", Zone: "hall", State: "alive", Stage: "active", Self: true, Owned: 0.5,
				Weight: 2, Voter: true, Leader: true, PeerAddr: "10.20.30.40:7947", GossipAddr: "10.20.30.40:7946", DriveBytes: 2 << 40,
				CertificateEnd: time.Unix(61*86400, 0), Release: "v1",
			},
			{
				ID: "ffeeddccbbaa99887766554433221100", Name: "beta", Zone: "yard", State: "failed", Stage: "active", Owned: 0.25, Weight: 1,
				PeerAddr: "10.20.30.41:7947", GossipAddr: "10.20.30.41:7946", DriveBytes: 1 << 40, CertificateEnd: time.Unix(3600, 0), Release: "v1",
			},
			{ID: "0123456789abcdef0123456789abcdef", Name: "gamma", State: "alive", Stage: "joining", Weight: 1, PeerAddr: "10.20.30.42:7947"},
			{Name: "delta", Zone: "yard", State: "none", Stage: "pre-created", Weight: 1},
			{ID: "89abcdef0123456789abcdef01234567", Name: "omega", State: "none", Stage: "removed"},
		},
		Drives: []admin.Drive{{Path: "/srv/cache", Size: 100 << 30, Used: 1 << 30, Chunks: 128, State: "read-only", Reason: "disk full"}},
		Cache:  admin.Cache{HitBytes: 3 << 30, PeerBytes: 1 << 30, Requests: 42, OriginBytes: 5 << 20, Flights: 2},
		Warnings: []string{
			"The drive /srv/cache takes nothing.",
			"The certificate of beta ends within the hour, and beta does not answer: start it, or join it again with a new token.",
		},
	}
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
	server, err := admin.New(admin.Config{Listener: ln, Cluster: f, Status: f, Freer: f, Products: f, Explainer: f})
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
	if len(got.Nodes) != 5 || got.Nodes[1].State != "failed" || got.Cache["hit_bytes"] != 3<<30 {
		t.Errorf("got %+v", got)
	}
}

func TestJoinTellsTheDaemon(t *testing.T) {
	f := &fakeNode{}
	socket := daemonSocket(t, f)
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("MCCD1-file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	env := []string{"MCCD_TOKEN=MCCD1-env"}
	for _, c := range []struct {
		name, stdin string
		environ     []string
		args        string
		asked       string
	}{
		{"environment", "", env, "127.0.0.2", "join [127.0.0.2:7947] by MCCD1-env"},
		{"file over environment", "", env, "127.0.0.2:7000 --token-file " + file, "join [127.0.0.2:7000] by MCCD1-file"},
		{"standard input", "MCCD1-in\n", env, "::1 --token-file -", "join [[::1]:7947] by MCCD1-in"},
		{"flag over all", "", env, "node2 --token MCCD1-flag --token-file " + file, "join [node2:7947] by MCCD1-flag"},
	} {
		t.Run(c.name, func(t *testing.T) {
			args := append([]string{"join", "--admin-socket", socket}, strings.Fields(c.args)...)
			code, stdout, stderr := mccdWith(t, c.stdin, c.environ, args...)
			if got := f.take(); code != 0 || got != c.asked {
				t.Fatalf("code %d, asked %q; %s", code, got, stderr)
			}
			if !strings.Contains(stdout, "joined") || !strings.Contains(stdout, "beta") || strings.Contains(stdout+stderr, "MCCD1-") {
				t.Errorf("says %q, %q", stdout, stderr)
			}
		})
	}
	code, _, stderr := mccdWith(t, "", env, "join", "192.0.2.1:7000", "--admin-socket", socket)
	if code != exitFailure || !strings.Contains(stderr, "no peer answers") {
		t.Errorf("code %d, %q", code, stderr)
	}
	code, _, stderr = mccd(t, "join", "127.0.0.2", "--admin-socket", socket)
	if code != exitUsage || !strings.Contains(stderr, "mccd token create") || f.take() != "" {
		t.Errorf("without a token: code %d, %q", code, stderr)
	}
	if err := os.Chmod(file, 0o644); err != nil {
		t.Fatal(err)
	}
	code, _, stderr = mccd(t, "join", "127.0.0.2", "--admin-socket", socket, "--token-file", file)
	if code != exitFailure || !strings.Contains(stderr, "chmod 600") || f.take() != "" {
		t.Errorf("with a token that others may read: code %d, %q", code, stderr)
	}
}
