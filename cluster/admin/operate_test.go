package admin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/mccd/mccd/cluster/state"
	"github.com/mccd/mccd/ring"
)

// an operation is one call of the client, what it returns beside an error, and
// what the node is asked.
type operation struct {
	name   string
	do     func(ctx context.Context, c *Client) (any, error)
	want   any
	method string
	args   []any
}

func none(err error) (any, error) { return nil, err }

func second[T any](_ T, err error) error { return err }

func operations() []operation {
	name, zone, weight := "n", "", 3
	some := state.NodeSettings{Name: &name, Zone: &zone, Weight: &weight}
	token := Token{
		ID: "0badcafe", Note: "rack 7", Created: time.Unix(1000, 0).UTC(), Expires: time.Unix(4600, 0).UTC(), Uses: 3, Admitted: 1,
	}
	return []operation{
		{"free drive", func(ctx context.Context, c *Client) (any, error) { return c.FreeDrive(ctx, "/srv/a", 5) },
			Freed{Chunks: 3, Bytes: 1 << 20, Room: 2 << 20, Busy: 1, Pinned: 2}, "FreeDrive", []any{"/srv/a", int64(5)}},
		{"free all of a drive", func(ctx context.Context, c *Client) (any, error) {
			return none(second(c.FreeDrive(ctx, "/srv/a", AllRoom)))
		},
			nil, "FreeDrive", []any{"/srv/a", int64(AllRoom)}},
		{"leave", func(ctx context.Context, c *Client) (any, error) { return none(c.Leave(ctx)) }, nil, "Leave", nil},
		{"create token", func(ctx context.Context, c *Client) (any, error) {
			text, info, err := c.CreateToken(ctx, state.TokenSpec{TTL: time.Hour, Uses: -1, Note: "n"})
			return []any{text, info}, err
		}, []any{"MCCD1-secret", token}, "CreateToken", []any{state.TokenSpec{TTL: time.Hour, Uses: -1, Note: "n"}}},
		{"create token by default", func(ctx context.Context, c *Client) (any, error) {
			_, info, err := c.CreateToken(ctx, state.TokenSpec{})
			return info, err
		}, token, "CreateToken", []any{state.TokenSpec{Uses: 1}}},
		{"tokens", func(ctx context.Context, c *Client) (any, error) { return c.Tokens(ctx) },
			[]Token{token, {ID: "00000000", Uses: -1, Revoked: true}}, "Tokens", nil},
		{"revoke", func(ctx context.Context, c *Client) (any, error) { return none(c.RevokeToken(ctx, "0badcafe")) }, nil, "RevokeToken", []any{"0badcafe"}},
		{"remove", func(ctx context.Context, c *Client) (any, error) { return none(c.Remove(ctx, "beta", true)) }, nil, "Remove", []any{"beta", true}},
		{"set node", func(ctx context.Context, c *Client) (any, error) { return none(c.SetNode(ctx, "beta", some)) }, nil, "SetNode", []any{"beta", some}},
		{"set zone alone", func(ctx context.Context, c *Client) (any, error) {
			return none(c.SetNode(ctx, "beta", state.NodeSettings{Zone: &zone}))
		}, nil, "SetNode", []any{"beta", state.NodeSettings{Zone: &zone}}},
		{"create node", func(ctx context.Context, c *Client) (any, error) { return none(c.PreCreate(ctx, some)) }, nil, "PreCreate", []any{some}},
		{"rotate gossip", func(ctx context.Context, c *Client) (any, error) { return none(c.Rotate(ctx, "gossip")) }, nil, "Rotate", []any{"gossip"}},
		{"rotate sealing", func(ctx context.Context, c *Client) (any, error) { return none(c.Rotate(ctx, "sealing")) }, nil, "Rotate", []any{"sealing"}},
		{"rotate ca", func(ctx context.Context, c *Client) (any, error) { return none(c.Rotate(ctx, "ca")) }, nil, "Rotate", []any{"ca"}},
		{"config", func(ctx context.Context, c *Client) (any, error) { return c.Config(ctx, true) }, aConfig(), "Config", []any{true}},
		{"set config", func(ctx context.Context, c *Client) (any, error) { return c.SetConfig(ctx, 7, aConfig()) }, uint64(8), "SetConfig", []any{uint64(7), aConfig()}},
		{"recover", func(ctx context.Context, c *Client) (any, error) {
			return c.Recover(ctx, state.RecoverSpec{Supersede: []string{"bb"}, DryRun: true})
		}, aReport(), "Recover", []any{state.RecoverSpec{Supersede: []string{"bb"}, DryRun: true}}},
		{"add drive", func(ctx context.Context, c *Client) (any, error) { return c.AddDrive(ctx, "/d", 9) },
			"drives: []\n", "AddDrive", []any{"/d", int64(9)}},
		{"remove drive", func(ctx context.Context, c *Client) (any, error) {
			var told []int64
			yaml, err := c.RemoveDrive(ctx, "/d", true, func(done, total int64) { told = append(told, done, total) })
			return []any{yaml, told}, err
		}, []any{"drives: []\n", []int64{1, 3}}, "RemoveDrive", []any{"/d", true}},
		{"replace drive", func(ctx context.Context, c *Client) (any, error) {
			return c.ReplaceDrive(ctx, "/d", "/e", 9, func(int64, int64) {})
		}, "drives: []\n", "ReplaceDrive", []any{"/d", "/e", int64(9)}},
		{"backup", func(ctx context.Context, c *Client) (any, error) { return c.Backup(ctx, "passphrase") }, []byte("sealed"), "Backup", []any{"passphrase"}},
		{"restore", func(ctx context.Context, c *Client) (any, error) {
			return none(c.Restore(ctx, []byte("sealed"), "passphrase"))
		},
			nil, "Restore", []any{[]byte("sealed"), "passphrase"}},
		{"create tls key", func(ctx context.Context, c *Client) (any, error) {
			return c.CreateTLSKey(ctx, state.TLSKeySpec{Names: []string{"a"}})
		}, []byte("csr"), "CreateTLSKey", []any{state.TLSKeySpec{Names: []string{"a"}, Kind: "rsa"}}},
		{"import tls", func(ctx context.Context, c *Client) (any, error) {
			return c.ImportTLS(ctx, []byte("chain"), []byte("key"))
		}, aTLSAnswer(), "ImportTLS", []any{"chain", "key"}},
		{"purge", func(ctx context.Context, c *Client) (any, error) {
			return c.Purge(ctx, state.PurgeSpec{Host: "h", Path: "/p", Prefix: true}, false)
		}, Purged{Index: 42}, "Purge", []any{state.PurgeSpec{Host: "h", Path: "/p", Prefix: true}}},
		{"purge a product", func(ctx context.Context, c *Client) (any, error) {
			return c.Purge(ctx, state.PurgeSpec{Product: "xbox", Path: "/", Prefix: true}, false)
		}, Purged{Index: 42, Product: "Xbox", Hosts: []string{"*.xboxlive.com"}}, "Purge", []any{state.PurgeSpec{Product: "Xbox", Path: "/", Prefix: true}}},
		{"purges", func(ctx context.Context, c *Client) (any, error) { return c.Purges(ctx) }, PurgeList{Dropped: 5, Marks: []PurgeMark{
			{
				Index: 9, ID: "00000000000000a9", Product: "Xbox", Path: "/", Prefix: true, Created: time.Unix(1000, 0).UTC(),
				Done: []string{"a"}, Waiting: []string{"b"}, Away: []string{"c"},
			},
			{Index: 7, ID: "00000000000000a7", Host: "h", Path: "/p", Done: []string{"a", "b"}},
		}}, "Purges", nil},
	}
}

func TestOperations(t *testing.T) {
	f := &fake{}
	c := serve(t, f)
	for _, o := range operations() {
		t.Run(o.name, func(t *testing.T) {
			f.asked = nil
			got, err := o.do(t.Context(), c)
			if err != nil || !reflect.DeepEqual(got, o.want) {
				t.Errorf("got %+v, %v, want %+v", got, err, o.want)
			}
			if want := []any{call{o.method, o.args}}; !reflect.DeepEqual(f.asked, want) {
				t.Errorf("the node was asked %+v, want %+v", f.asked, want)
			}
		})
	}
}

// TestErrorsKeepTextAndIdentity: whatever a node refuses with comes out of
// every call as it was.
func TestErrorsKeepTextAndIdentity(t *testing.T) {
	f := &fake{}
	c := serve(t, f)
	for _, r := range refusals() {
		t.Run(r.reason, func(t *testing.T) {
			f.err = fmt.Errorf("submit: %w, says \"beta\"\nin 2 lines", r.err)
			for _, o := range operations() {
				_, err := o.do(t.Context(), c)
				if !errors.Is(err, r.err) || err.Error() != f.err.Error() || errors.Is(err, ErrUnreachable) {
					t.Errorf("%s: got %v", o.name, err)
				}
				for _, other := range refusals() {
					if !errors.Is(other.err, r.err) && errors.Is(err, other.err) {
						t.Errorf("%s: it is %v, too", o.name, other.err)
					}
				}
			}
		})
	}
	f.err = errors.New("something else")
	for _, o := range operations() {
		if _, err := o.do(t.Context(), c); err == nil || err.Error() != "something else" {
			t.Errorf("%s: got %v", o.name, err)
		}
	}
}

func TestCodes(t *testing.T) {
	want := map[error]codes.Code{
		state.ErrNoQuorum: codes.Unavailable, state.ErrUnknownOutcome: codes.Unknown, state.ErrConflict: codes.Aborted,
		state.ErrTokenUnknown: codes.PermissionDenied, state.ErrTokenExpired: codes.PermissionDenied,
		state.ErrTokenUsedUp: codes.PermissionDenied, state.ErrTokenRevoked: codes.PermissionDenied,
		state.ErrNodeRemoved: codes.PermissionDenied, state.ErrPassphrase: codes.PermissionDenied,
		state.ErrNodeUnknown: codes.NotFound, state.ErrNotFound: codes.NotFound, state.ErrInvalid: codes.InvalidArgument,
		state.ErrNoCluster: codes.FailedPrecondition, state.ErrInCluster: codes.FailedPrecondition,
		state.ErrNameTaken: codes.FailedPrecondition, state.ErrVersion: codes.FailedPrecondition,
		state.ErrIncompatible: codes.FailedPrecondition, state.ErrRecoverRefused: codes.FailedPrecondition,
		errors.New("other"): codes.FailedPrecondition, context.DeadlineExceeded: codes.DeadlineExceeded,
	}
	reasons := make(map[string]bool)
	for err, code := range want {
		if got := status.Code(wireError(t.Context(), fmt.Errorf("wrapped: %w", err))); got != code {
			t.Errorf("%v: code %v, want %v", err, got, code)
		}
	}
	for _, r := range refusals() {
		if _, ok := want[r.err]; !ok || reasons[r.reason] {
			t.Errorf("%s is not tested, or stands twice", r.reason)
		}
		reasons[r.reason] = true
		if state.Code(r.err) == state.CodeOther && !errors.Is(r.err, state.ErrUnknownOutcome) {
			t.Errorf("%s has no code between nodes", r.reason)
		}
	}
	both := fmt.Errorf("%w: %w", state.ErrUnknownOutcome, state.ErrNoQuorum)
	if got := plain(wireError(t.Context(), both)); !errors.Is(got, state.ErrUnknownOutcome) || errors.Is(got, state.ErrNoQuorum) {
		t.Errorf("an unknown outcome became %v", got)
	}
	if wireError(t.Context(), nil) != nil {
		t.Error("no error became one")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got := status.Code(wireError(ctx, state.ErrConflict)); got != codes.Canceled {
		t.Errorf("after the caller went: %v", got)
	}
}

// TestRefusedBeforeTheNode: what makes no sense is refused by the service.
func TestRefusedBeforeTheNode(t *testing.T) {
	f := &fake{}
	c := serve(t, f)
	empty := ""
	for name, do := range map[string]func(ctx context.Context) error{
		"negative time": func(ctx context.Context) error { _, _, err := c.CreateToken(ctx, state.TokenSpec{TTL: -1}); return err },
		"negative uses": func(ctx context.Context) error {
			_, _, err := c.CreateToken(ctx, state.TokenSpec{Uses: -2})
			return err
		},
		"no token id":       func(ctx context.Context) error { return c.RevokeToken(ctx, "") },
		"no node to remove": func(ctx context.Context) error { return c.Remove(ctx, "", false) },
		"no node to set":    func(ctx context.Context) error { return c.SetNode(ctx, "", state.NodeSettings{Zone: &empty}) },
		"nothing to set":    func(ctx context.Context) error { return c.SetNode(ctx, "a", state.NodeSettings{}) },
		"no name":           func(ctx context.Context) error { return c.PreCreate(ctx, state.NodeSettings{Name: &empty}) },
		"no such key":       func(ctx context.Context) error { return c.Rotate(ctx, "all") },
		"no passphrase":     func(ctx context.Context) error { _, err := c.Backup(ctx, ""); return err },
		"no backup":         func(ctx context.Context) error { return c.Restore(ctx, nil, "passphrase") },
		"no name for https": func(ctx context.Context) error { _, err := c.CreateTLSKey(ctx, state.TLSKeySpec{}); return err },
		"no certificate":    func(ctx context.Context) error { _, err := c.ImportTLS(ctx, nil, nil); return err },
		"no path":           func(ctx context.Context) error { return second(c.Purge(ctx, state.PurgeSpec{Host: "h"}, false)) },
		"everything":        func(ctx context.Context) error { return second(c.Purge(ctx, state.PurgeSpec{Prefix: true}, false)) },
		"host and product": func(ctx context.Context) error {
			return second(c.Purge(ctx, state.PurgeSpec{Host: "h", Product: "xbox", Path: "/"}, false))
		},
		"no such product": func(ctx context.Context) error {
			return second(c.Purge(ctx, state.PurgeSpec{Product: "x", Path: "/"}, false))
		},
		"only told": func(ctx context.Context) error {
			if err := second(c.Purge(ctx, state.PurgeSpec{Product: "xbox", Path: "/"}, true)); err != nil {
				return err
			}
			return ErrUnreachable // nobody was asked
		},
		"too many superseded": func(ctx context.Context) error {
			_, err := c.Recover(ctx, state.RecoverSpec{Supersede: make([]string, maxSupersede+1)})
			return err
		},
	} {
		if err := do(t.Context()); err == nil || strings.Contains(err.Error(), "rpc error") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if len(f.asked) != 0 {
		t.Errorf("the node was asked %v", f.asked)
	}
}

// TestLogKeepsSecrets: changes are logged, what is in them is not, and reads
// are not.
func TestLogKeepsSecrets(t *testing.T) {
	var log bytes.Buffer
	path := filepath.Join(t.TempDir(), "s")
	ln, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	f := &fake{}
	s, err := New(Config{Listener: ln, Cluster: f, Status: f, Freer: f, Drives: f, Products: f, Explainer: f, Logger: slog.New(slog.NewTextHandler(&log, nil))})
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
	if _, err := c.Join(t.Context(), []string{"a"}, "MCCD1-secret"); err != nil {
		t.Error(err)
	}
	for _, o := range operations() {
		if _, err := o.do(t.Context(), c); err != nil {
			t.Errorf("%s: %v", o.name, err)
		}
	}
	_ = c.Close()
	end()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	text := log.String()
	for _, secret := range []string{"MCCD1", "secret", "passphrase", "sealed"} {
		if strings.Contains(text, secret) {
			t.Errorf("the log holds %q:\n%s", secret, text)
		}
	}
	if !strings.Contains(text, "Admin/Restore") || strings.Contains(text, "GetConfig") || strings.Contains(text, "ListTokens") {
		t.Errorf("the log is\n%s", text)
	}
}

func TestFromCluster(t *testing.T) {
	c, nodes := FromCluster(state.ClusterStatus{
		ClusterID: "c1", Epoch: ring.Epoch{Cluster: "c1", Generation: 2, Index: 9}, Role: state.RoleFollower,
		Quorum: state.QuorumStatus{Reason: "alone", For: 1500 * time.Millisecond}, AppliedIndex: 5, ConfigRevision: 4,
		Join: &state.JoinStatus{Peers: []string{"p:1"}, Step: "asking", For: time.Second},
		Nodes: []state.NodeStatus{
			{Node: state.Node{ID: "a", Name: "alpha", Weight: 2, State: state.Active, CertNotAfter: 60, PeerAddr: "p:1"}, Alive: "alive", Self: true, Voter: true},
			{Node: state.Node{ID: "b", State: state.Left}},
			{Node: state.Node{ID: "c", State: state.Left, Removed: true}},
		},
	})
	want := ClusterInfo{
		ID: "c1", Epoch: "2.9", Role: "follower", Quorum: Quorum{Reason: "alone", Seconds: 1.5}, AppliedIndex: 5, ConfigRevision: 4,
		Join: &JoinProgress{Peers: []string{"p:1"}, Step: "asking", Seconds: 1},
	}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("got %+v, want %+v", c, want)
	}
	if !reflect.DeepEqual(nodes, []Node{
		{ID: "a", Name: "alpha", Weight: 2, State: "alive", Stage: "active", Self: true, Voter: true, PeerAddr: "p:1", CertificateEnd: time.Unix(60, 0).UTC()},
		{ID: "b", State: "none", Stage: "left"},
		{ID: "c", State: "none", Stage: "removed"},
	}) {
		t.Errorf("nodes %+v", nodes)
	}
	for _, s := range []state.NodeState{state.PreCreated, state.Joining, state.Active, state.Draining, state.Left} {
		if word(stages(), number[int32](stages(), s.String())) != s.String() {
			t.Errorf("%s does not cross the wire", s)
		}
	}
}

func aTLSAnswer() TLSStatus {
	end := time.Unix(2000, 0).UTC()
	return TLSStatus{
		Certificate: &TLSCertificate{
			Names: []string{"cache.example.com"}, Issuer: "Example CA", Key: "RSA 2048", Fingerprint: "ab",
			NotBefore: time.Unix(1000, 0).UTC(), NotAfter: end,
		},
		Requested: &TLSRequested{Names: []string{"next.example.com"}, Key: "Ed25519", CSR: "csr"},
		Nodes: []TLSNode{
			{ID: "aa", Name: "n1", Address: ":443", Source: "cluster", Fingerprint: "ab", NotAfter: end},
			{ID: "bb", Name: "n2", Silent: true},
			{ID: "cc", Name: "n3", Address: ":443", Error: "it cannot be unsealed"},
		},
	}
}

func TestTLSStatus(t *testing.T) {
	got, err := serve(t, &fake{}).TLSStatus(t.Context())
	if err != nil || !reflect.DeepEqual(got, aTLSAnswer()) {
		t.Errorf("got %+v, %v", got, err)
	}
}
