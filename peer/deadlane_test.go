package peer

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"

	peerv1 "github.com/mccd/mccd/proto/mccd/peer/v1"
	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/test/faultorigin"
)

// One of several connections that dies without a word, while others go on,
// does not hold up the fills on it until keepalive finds it.
func TestDeadConnectionAmongOthers(t *testing.T) {
	dead := newWires()
	defer dead.thaw()
	var mu sync.Mutex
	dialled := 0
	c := newCluster(t, 2, func(n *node, cfg *Config) {
		cfg.Silence = 500 * time.Millisecond
		if n.i != 0 {
			return
		}
		dial := cfg.Dial
		cfg.Dial = func(ctx context.Context, id, addr string) (net.Conn, error) {
			conn, err := dial(ctx, id, addr)
			mu.Lock()
			defer mu.Unlock()
			if dialled++; err == nil && dialled == 1 {
				conn = dead.add(conn)
			}
			return conn, err
		}
	})
	n := c.nodes[0]
	path := c.path(1)
	const size = 8 << 20
	c.origin.Add(faultorigin.Object{Path: path, Size: size})
	ctx := within(t, time30)
	if _, err := c.nodes[1].read(ctx, c.request(path, storage.Span{End: size}), "1"); err != nil {
		t.Fatal(err)
	}
	if _, err := n.read(ctx, c.request(path, piece(0)), "1"); err != nil {
		t.Fatal(err)
	}
	owner, _ := n.View().ByID("n1")
	k, err := n.links.to(owner)
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the second connection answers", func() bool {
		k.lanes[1].conn.Connect()
		_, err := k.lanes[1].client.Ping(ctx, &peerv1.PingRequest{})
		return err == nil
	})
	dead.freeze()
	alive, stop := context.WithCancel(ctx)
	var talking sync.WaitGroup
	talking.Go(func() { // the second is heard all the time
		for alive.Err() == nil && pause(alive, 50*time.Millisecond) {
			_, _ = k.lanes[1].client.Ping(alive, &peerv1.PingRequest{})
		}
	})
	began := time.Now()
	if _, err := n.read(ctx, c.request(path, piece(3)), "1"); err != nil {
		t.Error(err)
	}
	if !k.lanes[0].out.Load() && time.Since(began) > keepaliveTime {
		t.Error("the dead connection was not found out, but for keepalive")
	}
	stop()
	talking.Wait()
	if got := c.origin.Ledger().MaxTimes(path); got != 1 {
		t.Errorf("a byte was fetched %d times", got)
	}
	if k.suspected() {
		t.Error("the owner is taken for silent")
	}
}
