package admin

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/mccd/mccd/cluster/state"
)

// fake is a node behind the service: it remembers what it was asked, and
// fails with err where that is set.
type fake struct {
	status Status
	err    error

	mu    sync.Mutex
	asked []any
}

// call is what the node was asked: its method and arguments.
type call struct {
	method string
	args   []any
}

func (f *fake) ask(method string, args ...any) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, call{method, args})
	return f.err
}

func (f *fake) Status(context.Context) (Status, error) { return f.status, f.err }

func (f *fake) Join(ctx context.Context, peers []string, token string) error {
	if err := f.ask("Join", peers, token); err != nil {
		return err
	}
	if peers[0] == "hang" {
		<-ctx.Done()
		return ctx.Err()
	}
	if peers[0] == "bad" {
		return errors.New("join: no peer answered: check that mccd runs there")
	}
	return nil
}

func (f *fake) Leave(context.Context) error { return f.ask("Leave") }

func aToken() state.Token {
	return state.Token{ID: "0badcafe", Hash: "00", Note: "rack 7", CreatedUnix: 1000, ExpiresUnix: 4600, Uses: 3, Joined: []string{"k"}}
}

func (f *fake) CreateToken(_ context.Context, spec state.TokenSpec) (string, state.Token, error) {
	return "MCCD1-secret", aToken(), f.ask("CreateToken", spec)
}

func (f *fake) Tokens(context.Context) ([]state.Token, error) {
	return []state.Token{aToken(), {ID: "00000000", Uses: -1, Revoked: true}}, f.ask("Tokens")
}

func (f *fake) RevokeToken(_ context.Context, id string) error { return f.ask("RevokeToken", id) }

func (f *fake) Remove(_ context.Context, node string, compromised bool) error {
	return f.ask("Remove", node, compromised)
}

func (f *fake) SetNode(_ context.Context, node string, s state.NodeSettings) error {
	return f.ask("SetNode", node, s)
}

func (f *fake) PreCreate(_ context.Context, s state.NodeSettings) error { return f.ask("PreCreate", s) }

func (f *fake) Rotate(_ context.Context, what string) error { return f.ask("Rotate", what) }

func aConfig() state.Config {
	return state.Config{
		Revision: 7, Origins: []state.Origin{{Name: "debian", Hosts: []string{"deb.debian.org"}, YAML: "profile: http\n"}},
		Limits: state.Limits{WANBytesPerSecond: 1 << 20, RequestsPerOrigin: 9},
	}
}

func (f *fake) Config(_ context.Context, local bool) (state.Config, error) {
	return aConfig(), f.ask("Config", local)
}

func (f *fake) SetConfig(_ context.Context, expect uint64, c state.Config) (uint64, error) {
	return expect + 1, f.ask("SetConfig", expect, c)
}

func aReport() state.RecoverReport {
	return state.RecoverReport{
		Survivor: "aa", Generation: 2, Applied: 10, LastIndex: 13, Uncommitted: 3,
		LostVoters: []string{"bb", "cc"}, Text: []string{"Two voters are lost."},
	}
}

func (f *fake) Recover(_ context.Context, spec state.RecoverSpec) (state.RecoverReport, error) {
	return aReport(), f.ask("Recover", spec)
}

func (f *fake) Backup(_ context.Context, passphrase string) ([]byte, error) {
	return []byte("sealed"), f.ask("Backup", passphrase)
}

func (f *fake) Restore(_ context.Context, backup []byte, passphrase string) error {
	return f.ask("Restore", backup, passphrase)
}

func (f *fake) FreeDrive(_ context.Context, path string, room int64) (Freed, error) {
	return Freed{Chunks: 3, Bytes: 1 << 20, Room: 2 << 20, Busy: 1, Pinned: 2}, f.ask("FreeDrive", path, room)
}

func (f *fake) Purge(_ context.Context, spec state.PurgeSpec) (uint64, error) {
	return 42, f.ask("Purge", spec)
}

func (f *fake) Purges(context.Context) ([]state.PurgeStatus, uint64, error) {
	return []state.PurgeStatus{
		{Mark: state.PurgeMark{Index: 9, ID: "00000000000000a9", Product: "Xbox", Path: "/", Prefix: true, CreatedUnix: 1000}, Done: []string{"a"}, Waiting: []string{"b"}, Away: []string{"c"}},
		{Mark: state.PurgeMark{Index: 7, ID: "00000000000000a7", Host: "h", Path: "/p"}, Done: []string{"a", "b"}},
	}, 5, f.ask("Purges")
}

func (f *fake) Product(name string) (string, []string, error) {
	if name != "xbox" {
		return "", nil, errors.New("there is no product of that name; there are Office, Xbox")
	}
	return "Xbox", []string{"*.xboxlive.com"}, nil
}

func (f *fake) AddDrive(_ context.Context, path string, size int64) error {
	return f.ask("AddDrive", path, size)
}

func (f *fake) RemoveDrive(_ context.Context, path string, drop bool, progress func(done, total int64)) error {
	progress(1, 3)
	return f.ask("RemoveDrive", path, drop)
}

func (f *fake) ReplaceDrive(_ context.Context, old, path string, size int64, progress func(done, total int64)) error {
	progress(2, 3)
	return f.ask("ReplaceDrive", old, path, size)
}

func (f *fake) DrivesYAML() string { return "drives: []\n" }

func aTLSStatus() state.TLSStatus {
	return state.TLSStatus{
		Certificate: &state.TLSCertificate{
			Names: []string{"cache.example.com"}, Issuer: "Example CA", Key: "RSA 2048", Fingerprint: "ab",
			NotBefore: time.Unix(1000, 0).UTC(), NotAfter: time.Unix(2000, 0).UTC(),
		},
		Requested: &state.TLSRequested{Names: []string{"next.example.com"}, Key: "Ed25519", CSR: []byte("csr")},
		Nodes: []state.TLSNode{
			{ID: "aa", Name: "n1", Served: state.ServedTLS{Addr: ":443", Source: "cluster", Fingerprint: "ab", NotAfter: time.Unix(2000, 0).UTC()}},
			{ID: "bb", Name: "n2", Silent: true},
			{ID: "cc", Name: "n3", Served: state.ServedTLS{Addr: ":443", Error: "it cannot be unsealed"}},
		},
	}
}

func (f *fake) CreateTLSKey(_ context.Context, spec state.TLSKeySpec) ([]byte, error) {
	return []byte("csr"), f.ask("CreateTLSKey", spec)
}

func (f *fake) ImportTLS(_ context.Context, chain, key []byte) (state.TLSStatus, error) {
	return aTLSStatus(), f.ask("ImportTLS", string(chain), string(key))
}

func (f *fake) TLSStatus(context.Context) (state.TLSStatus, error) { return aTLSStatus(), f.err }
