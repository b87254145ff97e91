package cluster

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mccd/mccd/cluster/gossip"
	"github.com/mccd/mccd/ring"
)

func TestAloneFromTheStart(t *testing.T) {
	c, err := New(config(t, "solo"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}()
	v := c.View()
	if len(v.Nodes()) != 1 || v.SelfIndex() != 0 || v.Nodes()[0].State != ring.Alive || v.Nodes()[0].Name != "solo" {
		t.Fatalf("first view: %+v", v.Nodes())
	}
	if o := v.Order(1); len(o) != 1 || o[0] != 0 {
		t.Fatalf("a cluster of one places chunks at %v", o)
	}
}

func TestKillAndRestartKeepThePlace(t *testing.T) {
	nodes := group(t, 5, nil)
	whole := nodes[0].View().Digest()
	victim, rest := nodes[2], nodes[:0:0]
	rest = append(rest, without(nodes, victim)...)

	victim.kill()
	digest := await(t, rest, "victim failed", func(v *ring.View) bool { return stateOf(v, victim.ID()) == ring.Failed })
	if digest != whole {
		t.Error("a death changed the ring")
	}

	cfg := victim.cfg
	cfg.PeerAddr = "127.0.0.1:17947"
	back := start(t, cfg) // no seeds: the data directory knows the others
	if back.ID() != victim.ID() {
		t.Fatal("the restarted node has another id")
	}
	if back.GossipAddr() == victim.GossipAddr() {
		t.Log("the restarted node got the same port")
	}
	if v := back.View(); v.Digest() != whole || count(v, ring.Alive) != 5 {
		t.Errorf("first view after the restart: %+v", v.Nodes())
	}
	digest = await(t, append(rest, back), "victim back", func(v *ring.View) bool {
		n, ok := v.ByID(back.ID())
		return ok && n.State == ring.Alive && n.PeerAddr == cfg.PeerAddr && count(v, ring.Alive) == 5
	})
	if digest != whole {
		t.Error("a restart changed the ring")
	}
}

func TestJoinWhileOneIsDead(t *testing.T) {
	nodes := group(t, 3, nil)
	before := nodes[0].View().Digest()
	dead := nodes[1]
	dead.kill()
	rest := without(nodes, dead)
	await(t, rest, "dead one failed", func(v *ring.View) bool { return stateOf(v, dead.ID()) == ring.Failed })

	late := start(t, config(t, "late"))
	late.join(nodes[2])
	digest := await(t, append(rest, late), "four members", func(v *ring.View) bool {
		return len(v.Nodes()) == 4 && count(v, ring.Alive) == 3 && stateOf(v, dead.ID()) == ring.Failed
	})
	if digest == before {
		t.Error("a join did not change the ring")
	}
}

func TestLeave(t *testing.T) {
	nodes := group(t, 4, nil)
	before := nodes[0].View().Digest()
	leaver, rest := nodes[3], nodes[:3]
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := leaver.Leave(ctx); err != nil {
		t.Fatal(err)
	}
	digest := await(t, rest, "three members", func(v *ring.View) bool { return len(v.Nodes()) == 3 && count(v, ring.Alive) == 3 })
	if digest == before {
		t.Error("leaving did not change the ring")
	}
	if v := leaver.View(); len(v.Nodes()) != 1 || v.Nodes()[0].ID != leaver.ID() {
		t.Errorf("the leaver sees %+v", v.Nodes())
	}
	if err := leaver.Join(ctx, []string{nodes[0].GossipAddr()}); !errors.Is(err, ErrLeft) {
		t.Errorf("Join after Leave: %v", err)
	}
	leaver.kill()

	back := start(t, leaver.cfg)
	if len(back.View().Nodes()) != 1 {
		t.Fatal("a node that left remembers its cluster")
	}
	back.join(nodes[0])
	if got := await(t, append(rest, back), "four again", func(v *ring.View) bool { return count(v, ring.Alive) == 4 }); got != before {
		t.Error("the same members have another ring")
	}
}

// TestDepartureReachesThoseAway: a node that was dead while another left
// agrees after it is back, and does not bring the departed back.
func TestDepartureReachesThoseAway(t *testing.T) {
	nodes := group(t, 3, nil)
	away, leaver, stay := nodes[1], nodes[2], nodes[0]
	away.kill()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := leaver.Leave(ctx); err != nil {
		t.Fatal(err)
	}
	back := start(t, away.cfg)
	// One exchange at least, also while the leaver is still winding up.
	back.join(stay)
	await(t, []*node{stay, back}, "two members", func(v *ring.View) bool { return len(v.Nodes()) == 2 && count(v, ring.Alive) == 2 })
}

func TestDraining(t *testing.T) {
	nodes := group(t, 3, nil)
	before := nodes[0].View().Digest()
	nodes[1].SetDraining(true)
	digest := await(t, nodes, "draining", func(v *ring.View) bool { return stateOf(v, nodes[1].ID()) == ring.Draining })
	if digest != before {
		t.Error("draining changed the ring")
	}
	nodes[1].SetDraining(false)
	await(t, nodes, "not draining", func(v *ring.View) bool { return stateOf(v, nodes[1].ID()) == ring.Alive })
}

// TestPartitionHeals: both sides keep the whole ring while they are apart,
// longer than memberlist itself still talks to the dead, and find each other
// by the rejoin loop.
func TestPartitionHeals(t *testing.T) {
	var cut atomic.Bool
	sides := make(map[string]int)
	var ready atomic.Bool
	nodes := group(t, 4, func(i int, cfg *Config) {
		cfg.Timing.GossipToDead = 200 * time.Millisecond
		cfg.Allow = func(addr string) bool {
			return !cut.Load() || !ready.Load() || sides[addr] == i%2
		}
	})
	for i, n := range nodes {
		sides[n.GossipAddr()] = i % 2
	}
	ready.Store(true)
	whole := nodes[0].View().Digest()
	cut.Store(true)
	digest := await(t, nodes, "apart", func(v *ring.View) bool { return count(v, ring.Failed) == 2 && count(v, ring.Alive) == 2 })
	if digest != whole {
		t.Error("a partition changed the ring")
	}
	cut.Store(false)
	await(t, nodes, "together", func(v *ring.View) bool { return count(v, ring.Alive) == 4 && v.Digest() == whole })
}

// TestForget: a node that is missed for long loses its place everywhere; when
// it is back after all, it gets it again.
func TestForget(t *testing.T) {
	nodes := group(t, 3, func(i int, cfg *Config) {
		cfg.ForgetAfter = time.Hour
		if i == 0 {
			cfg.ForgetAfter = 400 * time.Millisecond
		}
	})
	whole := nodes[0].View().Digest()
	gone, rest := nodes[2], nodes[:2]
	gone.kill()
	await(t, rest, "forgotten", func(v *ring.View) bool { return len(v.Nodes()) == 2 })
	back := start(t, gone.cfg)
	await(t, append(rest, back), "remembered", func(v *ring.View) bool { return count(v, ring.Alive) == 3 && v.Digest() == whole })
}

// TestSeeds: a node with seeds finds them whenever they come up.
func TestSeeds(t *testing.T) {
	first := start(t, config(t, "first"))
	addr := first.GossipAddr()
	first.kill()
	cfg := config(t, "second")
	cfg.Seeds = []string{addr}
	second := start(t, cfg)
	<-second.gossip.Settled()
	again := first.cfg
	again.Bind = addr
	back := start(t, again)
	await(t, []*node{second, back}, "two", func(v *ring.View) bool { return count(v, ring.Alive) == 2 })
}

func TestJoinErrorsSayWhatToDo(t *testing.T) {
	n := start(t, config(t, "n"))
	free := start(t, config(t, "gone"))
	dead := free.GossipAddr()
	free.kill()
	for _, tc := range []struct {
		name  string
		addrs []string
		want  string
	}{
		{"none", nil, "no peer named"},
		{"nobody there", []string{dead}, "gossip_listen"},
		{"itself", []string{n.GossipAddr()}, "this node itself"},
		{"not loopback", []string{"192.0.2.1"}, "loopback"},
		{"nonsense", []string{"a b"}, "want host or host:port"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			err := n.Join(ctx, tc.addrs)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("Join(%q) = %v, want it to say %q", tc.addrs, err, tc.want)
			}
		})
	}
}

func TestNewRefuses(t *testing.T) {
	for _, tc := range []struct {
		name string
		edit func(*Config)
		want string
	}{
		{"all interfaces", func(c *Config) { c.Bind = "0.0.0.0:0" }, "encrypted gossip"},
		{"public", func(c *Config) { c.Bind = "192.0.2.1:7946" }, "encrypted gossip"},
		{"advertised", func(c *Config) { c.Advertise = "192.0.2.1:7946" }, "encrypted gossip"},
		{"no port", func(c *Config) { c.Bind = "127.0.0.1" }, "ip:port"},
		{"long name", func(c *Config) { c.Name = strings.Repeat("x", 65) }, "65 bytes"},
		{"control", func(c *Config) { c.Zone = "a\nb" }, "does not print"},
		{"peer address", func(c *Config) { c.PeerAddr = "127.0.0.1:0" }, "host:port"},
		{"data directory", func(c *Config) { c.DataDir = "" }, "data directory"},
		{"seed", func(c *Config) { c.Seeds = []string{"x:99999"} }, "host:port"},
		{"key", func(c *Config) { c.SecretKey = []byte("short") }, "16, 24 or 32"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cfg := config(t, "n")
			tc.edit(&cfg)
			c, err := New(cfg)
			if err == nil {
				_ = c.Close()
				t.Fatal("New took it")
			}
			if !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("error %q does not say %q", err, tc.want)
			}
		})
	}
	cfg := config(t, "n")
	cfg.Bind = "10.0.0.1:7946"
	if _, err := New(cfg); !errors.Is(err, gossip.ErrNotLoopback) {
		t.Errorf("error is not ErrNotLoopback: %v", err)
	}
}

func TestPortInUse(t *testing.T) {
	n := start(t, config(t, "n"))
	cfg := config(t, "m")
	cfg.Bind = n.GossipAddr()
	if c, err := New(cfg); err == nil {
		_ = c.Close()
		t.Fatal("two nodes on one port")
	}
}
