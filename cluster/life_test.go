package cluster

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mccd/mccd/cluster/identity"
	"github.com/mccd/mccd/cluster/state"
	"github.com/mccd/mccd/ring"
	"github.com/mccd/mccd/test/loopback"
)

// TestReplace: a node of a dead one's name takes its place, one of a living
// one's does not.
func TestReplace(t *testing.T) {
	w := newWorld(t)
	all := w.form(3)
	token := all[0].token(state.TokenSpec{Uses: -1})
	twin := w.start(w.config("c"))
	before := twin.snapshot()
	w.wants(w.firm(func() error { return twin.Join(w.ctx(), []string{all[0].addr}, token) }), "a node of this name is in the cluster", "--name")
	if twin.snapshot() != before {
		t.Error("the refusal changed something")
	}
	all[2].halt()
	w.await("it may come in", func() error { return twin.Join(w.ctx(), []string{all[1].addr}, token) })
	w.agreed(all[0], all[1], twin)
	// The former one is back: it is refused, and serves alone.
	all[2].restart()
	w.await("the former one knows", func() error {
		if !all[2].current.Load().removed() {
			return errors.New("not yet")
		}
		return nil
	})
	w.agreed(all[0], all[1], twin)
}

// TestNewAddresses: all nodes come back elsewhere and find each other by one
// seed.
func TestNewAddresses(t *testing.T) {
	w := newWorld(t)
	all := w.form(3)
	w.voters(3, all...)
	cluster, digest := all[0].State().ClusterID, all[0].View().Digest()
	for _, n := range all {
		n.halt()
		n.addr = loopback.Any(t)
	}
	all[0].restart()
	for _, n := range all[1:] {
		n.cfg.Join = []string{all[0].addr}
		n.restart()
	}
	w.agreed(all...)
	for _, n := range all {
		n.writes()
		if n.State().ClusterID != cluster || n.View().Digest() != digest {
			t.Errorf("%s: another cluster or ring", n.cfg.Name)
		}
	}
	w.await("the new addresses are recorded", func() error {
		for _, n := range all {
			if rec, _ := all[0].State().Node(n.ID()); rec.PeerAddr != n.addr {
				return fmt.Errorf("%s at %s", n.cfg.Name, rec.PeerAddr)
			}
		}
		return nil
	})
}

// TestMovedUnheard: a node that missed what gossip told of another's new address
// learns it from a third.
func TestMovedUnheard(t *testing.T) {
	w := newWorld(t)
	all := w.form(3)
	a, b, moved := all[0].current.Load(), all[1].current.Load(), all[2]
	moved.halt()
	w.await("it is missed", func() error {
		if a.alive(moved.ID()) || b.alive(moved.ID()) {
			return errors.New("it is alive still")
		}
		return nil
	})
	p, _ := a.book.of(moved.ID())
	p.Peer, p.Incarnation = "127.0.0.1:1", p.Incarnation+1
	if !b.book.say(moved.ID(), p) {
		t.Fatal("b does not take it")
	}
	w.await("the new address is known", func() error {
		if at, _ := a.where(moved.ID()); at != p.Peer {
			return fmt.Errorf("a looks for it at %s", at)
		}
		return nil
	})
}

// TestCertificates: they are renewed by themselves, while a node runs and
// where one expired while it was down.
func TestCertificates(t *testing.T) {
	const life = 6 * time.Second
	w := newWorld(t)
	all := w.form(2, func(_ int, cfg *Config) { cfg.CertLife = life })
	leads, rest := w.leader(all...)
	serial := func(n *member) string {
		rec, _ := leads.State().Node(n.ID())
		return rec.CertSerial
	}
	first, second := serial(leads), serial(rest[0])
	w.await("both renewed and recorded", func() error {
		if serial(leads) == first || serial(rest[0]) == second {
			return errors.New("not yet")
		}
		return nil
	})
	rest[0].halt()
	held := rest[0].certificate(t)
	w.await("it expires", func() error {
		if time.Now().Before(held.NotAfter) {
			return errors.New("not yet")
		}
		return nil
	})
	rest[0].restart()
	w.agreed(all...)
	if now := rest[0].certificate(t); !now.NotAfter.After(held.NotAfter) {
		t.Error("it shows the expired one")
	}
}

// certificate is what n's files hold.
func (n *member) certificate(t *testing.T) *x509.Certificate {
	t.Helper()
	leaf, err := x509.ParseCertificate(n.current.Load().id.Load().Cert)
	if err != nil {
		t.Fatal(err)
	}
	return leaf
}

// TestClocks: nodes whose clocks are hours apart join, renew and rotate; when
// a token ends is the leader's to say.
func TestClocks(t *testing.T) {
	w := newWorld(t)
	off := []time.Duration{0, 6 * time.Hour, -6 * time.Hour}
	all := w.form(3, func(i int, cfg *Config) {
		cfg.Now = func() time.Time { return time.Now().Add(off[i]) }
	})
	w.voters(3, all...)
	for i, what := range []string{"ca", "sealing", "gossip"} {
		w.await("rotate "+what, func() error { return all[i].Rotate(w.ctx(), what) })
		w.settled(all...)
	}
	w.agreed(all...)
	for _, n := range all {
		n.halt()
	}
	for _, n := range all {
		n.restart()
	}
	w.agreed(all...)
	d := w.config("d")
	d.Now = func() time.Time { return time.Now().Add(5 * time.Hour) }
	late := w.start(d)
	w.await("an hour's token, by a clock that is five ahead", func() error {
		return late.Join(w.ctx(), []string{all[2].addr}, all[1].token(state.TokenSpec{TTL: time.Hour}))
	})
	w.agreed(append(all, late)...)
}

// TestLearn: a told placement is the View until this node's state reaches it.
func TestLearn(t *testing.T) {
	w := newWorld(t)
	a := w.start(w.config("a"))
	a.writes()
	own := a.View().Epoch
	other := "0123456789abcdef0123456789abcdef"
	tell := func(e ring.Epoch) {
		a.Learn(e, []ring.Node{{ID: a.ID(), Name: "a"}, {ID: other, Name: "x", PeerAddr: "127.0.0.1:9"}},
			[]ring.Member{{ID: a.ID(), Weight: 1}, {ID: other, Weight: 1}})
	}
	for name, e := range map[string]ring.Epoch{
		"another cluster":    {Cluster: other, Generation: own.Generation, Index: own.Index + 9},
		"older":              {Cluster: own.Cluster, Generation: own.Generation - 1, Index: own.Index + 9},
		"the same":           own,
		"a later generation": {Cluster: own.Cluster, Generation: own.Generation + 1, Index: own.Index + 9},
	} {
		if tell(e); a.View().Epoch != own || len(a.View().Nodes()) != 1 {
			t.Errorf("%s: the view is of %v", name, a.View().Epoch)
		}
	}
	newer := own
	newer.Index += 3
	if tell(newer); a.View().Epoch != newer || len(a.View().Nodes()) != 2 {
		t.Fatalf("the view is of %v, want %v", a.View().Epoch, newer)
	}
	// One that its state does not reach counts for a while only, and so do
	// those that follow it.
	stale := *a.offered.Load()
	stale.at = time.Now().Add(-offeredFor - time.Second)
	a.offered.Store(&stale)
	later := newer
	later.Index += 1000
	tell(later)
	a.nudge()
	w.await("its own placement", func() error {
		if v := a.View(); v.Epoch != own {
			return fmt.Errorf("%v", v.Epoch)
		}
		return nil
	})
	// Its own state comes to a later placement.
	for i := range 4 {
		w.must(func() error { return a.PreCreate(w.ctx(), state.NodeSettings{Name: ptr(fmt.Sprint("p", i))}) })
	}
	w.must(func() error { return a.SetNode(w.ctx(), "a", state.NodeSettings{Weight: ptr(3)}) })
	w.await("its own placement", func() error {
		if v := a.View(); v.Epoch != a.State().Epoch() || len(v.Nodes()) != 1 || !v.Epoch.Newer(newer) {
			return fmt.Errorf("%v", v.Epoch)
		}
		return nil
	})
	if err := w.firm(func() error { return a.Remove(w.ctx(), "p0", false) }); err != nil {
		t.Errorf("remove a node that never joined: %v", err)
	}
}

// TestGauges: every gauge tells, in each state of a node.
func TestGauges(t *testing.T) {
	w := newWorld(t)
	reg := prometheus.NewRegistry()
	cfg := w.config("a")
	cfg.Registerer = reg
	a := w.start(cfg)
	a.writes()
	want := map[string]func(float64) bool{
		"mccd_cluster_quorum":                     func(v float64) bool { return v == 1 },
		"mccd_cluster_epoch_index":                func(v float64) bool { return v > 0 },
		"mccd_cluster_generation":                 func(v float64) bool { return v == float64(a.State().Generation) },
		"mccd_cluster_certificate_expiry_seconds": func(v float64) bool { return v > 80*24*3600 && v <= 90*24*3600 },
		"mccd_cluster_joining":                    func(v float64) bool { return v == 0 },
		"mccd_cluster_refused":                    func(v float64) bool { return v == 0 },
	}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if ok := want[f.GetName()]; ok != nil {
			if v := f.GetMetric()[0].GetGauge().GetValue(); !ok(v) {
				t.Errorf("%s is %v", f.GetName(), v)
			}
			delete(want, f.GetName())
		}
	}
	if len(want) > 0 {
		t.Errorf("not told: %v", len(want))
	}
}

// TestFolders: what a crash left at a step of a join is finished or undone by
// the next start, and the token is used once.
func TestFolders(t *testing.T) {
	for _, step := range []string{"intent", "pending key", "admitted", "ready", "set aside", "swapped"} {
		t.Run(step, func(t *testing.T) {
			w := newWorld(t)
			a := w.start(w.config("a"))
			token := a.token(state.TokenSpec{})
			b := w.open(w.config("b")) // it does not run: the steps are made by hand
			i := newIntent([]string{a.addr}, token)
			b.crashAt(t, step, i)
			b.halt()
			b.restart()
			w.agreed(a, b)
			w.await("the join is done", func() error {
				for _, name := range []string{joiningFolder, formerFolder, freshFolder, filepath.Join(memberFolder, intentFile)} {
					if b.file(name) {
						return errors.New(name + " is left")
					}
				}
				return nil
			})
			if n := uses(a.State().Tokens); n != 0 {
				t.Errorf("%d uses are left", n)
			}
		})
	}
}

// crashAt leaves the folders as a crash after that step of a join does.
func (n *member) crashAt(t *testing.T, step string, i intent) {
	t.Helper()
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	dir := n.folders.path(joiningFolder)
	must(os.MkdirAll(dir, 0o700))
	must(i.save(dir))
	switch step {
	case "intent":
		return
	case "pending key", "admitted":
		// A dead port: the key is made, and nobody admits.
		cut := i
		cut.Peers = []string{listen(t, func(c net.Conn) { _ = c.Close() })}
		if err := n.prepareJoin(n.w.ctx(), cut); err == nil {
			t.Fatal("it was admitted")
		}
		must(i.save(dir))
		if step == "pending key" {
			return
		}
		fallthrough
	default:
		n.w.must(func() error { return n.prepareJoin(n.w.ctx(), i) })
	}
	switch step {
	case "admitted": // the answer was not kept
		must(os.Remove(filepath.Join(dir, readyFile)))
		must(os.Remove(filepath.Join(dir, "node.crt")))
		must(os.Rename(filepath.Join(dir, "node.key"), filepath.Join(dir, "node.key.next")))
		must(os.Remove(filepath.Join(dir, stateFile)))
	case "set aside":
		must(os.Rename(n.folders.path(memberFolder), n.folders.path(formerFolder)))
	case "swapped":
		must(n.folders.replace(joiningFolder))
	}
}

// TestLeaveCrash: a start goes on with a leave.
func TestLeaveCrash(t *testing.T) {
	for _, step := range []string{"marked", "written", "swapped"} {
		t.Run(step, func(t *testing.T) {
			w := newWorld(t)
			all := w.form(2)
			a, b := all[0], all[1]
			if step == "written" {
				w.must(func() error { return b.current.Load().giveUpPlace(w.ctx()) })
			}
			b.halt()
			if err := os.WriteFile(filepath.Join(b.folders.path(memberFolder), leavingFile), nil, 0o600); err != nil {
				t.Fatal(err)
			}
			if step == "swapped" {
				// It was written too, and what it left behind is not cleared.
				w.must(func() error { return a.Remove(w.ctx(), b.ID(), false) })
				if err := errors.Join(b.found(identity.CA{}, "", nil), b.folders.replace(freshFolder)); err != nil {
					t.Fatal(err)
				}
			}
			was := a.State().ClusterID
			b.restart()
			w.agreed(a)
			w.await("b is alone, and nothing is left", func() error {
				if b.State().ClusterID == was || b.State().ClusterID == "" {
					return errors.New("it is in its former cluster")
				}
				if b.file(formerFolder) || b.file(memberFolder, leavingFile) {
					return errors.New("something is left")
				}
				return nil
			})
			b.writes()
		})
	}
}

// TestFormed: nodes with a join secret found one cluster, in whatever order
// they start.
func TestFormed(t *testing.T) {
	w := newWorld(t)
	w.secret("the join secret", testSecret)
	all := w.secretNodes("c", "a", "b") // the order of starts
	w.agreed(all...)
	w.voters(3, all...)
	a := all[1]
	if st := a.State(); len(st.Tokens) != 1 {
		t.Errorf("tokens %+v", st.Tokens)
	}
	was := a.State().ClusterID
	for _, n := range all {
		n.halt()
	}
	for _, n := range all {
		n.restart()
	}
	w.agreed(all...)
	// The first name lost its disk: it joins, and founds nothing.
	a.halt()
	a.cfg.DataDir = t.TempDir()
	a.restart()
	w.agreed(all...)
	if a.State().ClusterID != was || a.State().Generation != all[0].State().Generation {
		t.Error("it founded another cluster")
	}
	// Another secret is refused.
	cfg := all[0].cfg
	cfg.Name, cfg.DataDir, cfg.JoinSecret = "x", t.TempDir(), []byte("another secret of enough length")
	x := w.start(cfg)
	ctx, cancel := context.WithTimeout(w.ctx(), time.Second)
	defer cancel()
	<-ctx.Done()
	if x.State().ClusterID != "" || len(a.View().Nodes()) != 3 {
		t.Error("a node with another secret is in a cluster")
	}
}

const testSecret = "a secret that all the nodes share"

// secretNodes starts nodes a, b, c with a join secret, in that order.
func (w *world) secretNodes(names ...string) []*member {
	w.t.Helper()
	addrs := make(map[string]string)
	for _, name := range []string{"a", "b", "c"} {
		addrs[name] = loopback.Closed(w.t)
	}
	var all []*member
	for _, name := range names {
		cfg := w.config(name)
		cfg.JoinSecret, cfg.Join = []byte(testSecret), []string{addrs["a"], addrs["b"], addrs["c"]}
		n := &member{w: w, cfg: cfg, addr: addrs[name], stop: func() {}}
		w.nodes = append(w.nodes, n)
		n.restart()
		all = append(all, n)
	}
	return all
}

// TestFormWaits: while a name does not answer nobody founds anything.
func TestFormWaits(t *testing.T) {
	w := newWorld(t)
	two := w.secretNodes("a", "b")
	ctx, cancel := context.WithTimeout(w.ctx(), 1500*time.Millisecond)
	defer cancel()
	<-ctx.Done()
	for _, n := range two {
		s, _ := n.ClusterStatus(w.ctx())
		if n.State().ClusterID != "" || s.Quorum.OK || len(s.Warnings) == 0 {
			t.Errorf("%s is in %q", n.cfg.Name, n.State().ClusterID)
		}
		_, err := n.Purge(w.ctx(), state.PurgeSpec{Host: "h"})
		if !errors.Is(err, state.ErrNoCluster) {
			t.Errorf("a write: %v", err)
		}
	}
}
