package peer

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/storage/disk"
	"github.com/mccd/mccd/test/faultorigin"
)

// slowStore is a drive that takes its time.
type slowStore struct {
	Store
	delay atomic.Int64
}

func (s *slowStore) Lookup(key storage.ChunkKey) (*disk.Chunk, error) {
	time.Sleep(time.Duration(s.delay.Load())) //nolint:forbidigo // the slowness itself, not a wait
	return s.Store.Lookup(key)
}

func (s *slowStore) Create(ctx context.Context, key storage.ChunkKey, v storage.Version) (*disk.Chunk, error) {
	time.Sleep(time.Duration(s.delay.Load())) //nolint:forbidigo // the slowness itself, not a wait
	return s.Store.Create(ctx, key, v)
}

// A slow drive at the owner is slowness, not silence.
func TestSlowDriveIsNotSilence(t *testing.T) {
	slow := new(slowStore)
	c := newCluster(t, 3, func(n *node, cfg *Config) {
		cfg.Silence = 500 * time.Millisecond
		if n.i == 1 {
			slow.Store = cfg.Store
			cfg.Store = slow
		}
	})
	path := c.path(1)
	c.origin.Add(faultorigin.Object{Path: path, Size: 3 << 20})
	ctx := within(t, 30*time.Second)
	if _, err := c.nodes[1].read(ctx, c.request(path, storage.Span{End: 3 << 20}), "1"); err != nil {
		t.Fatal(err)
	}
	if _, err := c.nodes[0].read(ctx, c.request(path, piece(0)), "1"); err != nil {
		t.Fatal(err)
	}
	slow.delay.Store(int64(1200 * time.Millisecond))
	defer slow.delay.Store(0)
	if _, err := c.nodes[0].read(ctx, c.request(path, piece(1)), "1"); err != nil {
		t.Fatal(err)
	}
	owner, _ := c.nodes[0].View().ByID("n1")
	if !c.nodes[0].links.usable(owner) {
		t.Error("the owner is taken for silent")
	}
	if n := c.origin.Ledger().MaxTimes(path); n != 1 {
		t.Errorf("a byte was fetched %d times", n)
	}
}

// A slow network is slowness, not silence.
func TestSlowNetworkIsNotSilence(t *testing.T) {
	c := newCluster(t, 3, func(_ *node, cfg *Config) { cfg.Silence = 500 * time.Millisecond })
	path := c.path(1)
	c.origin.Add(faultorigin.Object{Path: path, Size: 3 << 20})
	ctx := within(t, 30*time.Second)
	if _, err := c.nodes[1].read(ctx, c.request(path, storage.Span{End: 3 << 20}), "1"); err != nil {
		t.Fatal(err)
	}
	if _, err := c.nodes[0].read(ctx, c.request(path, piece(0)), "1"); err != nil {
		t.Fatal(err)
	}
	c.nodes[0].wires.pace.Store(int64(40 * time.Millisecond)) // 400 KiB/s: a message takes longer than Silence
	if _, err := c.nodes[0].read(ctx, c.request(path, piece(1)), "1"); err != nil {
		t.Fatal(err)
	}
	owner, _ := c.nodes[0].View().ByID("n1")
	if !c.nodes[0].links.usable(owner) {
		t.Error("the owner is taken for silent")
	}
}
