package peer

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/mccd/mccd/ring"
	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/storage/disk"
	"github.com/mccd/mccd/storage/origin"
	"github.com/mccd/mccd/test/faultorigin"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const testHost = "cdn.example.com"

// cluster is a number of Fillers in one process, over real stores, one origin
// and loopback connections, with views that the test sets.
type cluster struct {
	t      testing.TB
	origin *faultorigin.Server
	rule   *storage.Rule
	ring   *ring.Ring
	nodes  []*node
}

// node is one member of a cluster.
type node struct {
	*Filler
	c     *cluster
	i     int
	id    string
	addr  string
	cfg   Config
	dir   string
	view  atomic.Pointer[ring.View]
	wires *wires
	store *disk.Store
	stop  func() // nil when it does not run
	// states are those of the others, as this node sees them.
	states []ring.State
	// serve begins to serve a server that is not the Filler's; nil = none.
	serve func()
	// starts counts the starts of the node: its incarnation.
	starts uint64
}

// View implements Placement.
func (n *node) View() *ring.View { return n.view.Load() }

// oneRule implements Catalogue.
type oneRule struct{ rule *storage.Rule }

func (c oneRule) Lookup(host string) (*storage.Rule, bool) { return c.rule, host == testHost }

// newCluster starts n nodes that all see each other alive. Each of tune may
// change a node's Config before it is made. All ends with the test.
func newCluster(t testing.TB, n int, tune ...func(n *node, cfg *Config)) *cluster {
	t.Helper()
	c := &cluster{t: t, origin: faultorigin.New(faultorigin.Config{})}
	t.Cleanup(c.origin.Close)
	c.rule = &storage.Rule{
		Name: "test", Profile: storage.ProfileDO, Hosts: []string{testHost},
		Connect: c.origin.Addr(), AllowPrivate: true,
	}
	members := make([]ring.Member, n)
	for i := range n {
		members[i] = ring.Member{ID: fmt.Sprintf("n%d", i)}
	}
	var err error
	if c.ring, err = ring.New(members); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		c.nodes = append(c.nodes, &node{c: c, i: i, id: members[i].ID, dir: t.TempDir(), states: make([]ring.State, n)})
	}
	for _, node := range c.nodes {
		node.listen(anyPort())
	}
	for _, node := range c.nodes {
		node.start(tune...)
	}
	return c
}

// anyPort is a free port of an address of this process's own, where there are
// such: no connection that begins anywhere takes the port of a node that is
// down, so that the node can come back to it.
func anyPort() string {
	if runtime.GOOS != "linux" {
		return "127.0.0.1:0"
	}
	pid := os.Getpid()
	return fmt.Sprintf("127.%d.%d.%d:0", 64+pid>>16&63, pid>>8&255, pid&255)
}

func (n *node) listen(addr string) {
	n.c.t.Helper()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		n.c.t.Fatal(err)
	}
	n.addr = l.Addr().String()
	n.wires = newWires()
	n.cfg.Listener = &wiredListener{Listener: l, wires: n.wires}
}

// start makes the node's parts and runs them.
func (n *node) start(tune ...func(n *node, cfg *Config)) {
	t := n.c.t
	t.Helper()
	var err error
	n.store, err = disk.New(disk.Config{Drives: []disk.Drive{{Path: n.dir, Size: 4 << 30}}, MinFree: -1})
	if err != nil {
		t.Fatal(err)
	}
	cdn, err := origin.New(origin.Config{Node: n.id, Wait: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	wires := n.wires
	cfg := Config{
		Store: n.store, Records: n.store, Origin: cdn, Placement: n, Catalogue: oneRule{n.c.rule},
		Listener: n.cfg.Listener,
		Dial: func(ctx context.Context, _, addr string) (net.Conn, error) {
			var d net.Dialer
			conn, err := d.DialContext(ctx, "tcp", addr)
			if err != nil {
				return nil, err
			}
			return wires.add(conn), nil
		},
		// A race build on a busy machine is slower than a real node.
		Silence: 2 * time.Second, Heartbeat: 100 * time.Millisecond, BreakerOpen: 20 * time.Second,
	}
	n.starts++
	n.look()
	for _, f := range tune {
		f(n, &cfg)
	}
	n.cfg = cfg
	if n.Filler, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	if n.serve != nil {
		n.serve()
	}
	filler, store := n.Filler, n.store
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- filler.Run(ctx) }()
	tended := make(chan struct{})
	go func() {
		_ = store.Run(ctx)
		close(tended)
	}()
	n.stop = sync.OnceFunc(func() {
		wires.thaw()
		cancel()
		if err := <-ran; err != nil {
			t.Errorf("run %s: %v", n.id, err)
		}
		<-tended
		_ = cdn.Close()
		if err := store.Close(); err != nil {
			t.Errorf("close the store of %s: %v", n.id, err)
		}
	})
	t.Cleanup(n.stop)
}

// look publishes the node's view from its states.
func (n *node) look() {
	nodes := make([]ring.Node, len(n.c.nodes))
	for i, other := range n.c.nodes {
		nodes[i] = ring.Node{ID: other.id, PeerAddr: other.addr, State: n.states[i], Incarnation: max(1, other.starts)}
	}
	n.view.Store(ring.NewView(n.id, 1, n.c.ring, nodes))
	if n.Filler != nil {
		n.ViewChanged()
	}
}

// see makes all running nodes see node i in state.
func (c *cluster) see(i int, state ring.State) {
	for _, n := range c.nodes {
		n.states[i] = state
		n.look()
	}
}

// kill ends node i as SIGKILL does: its connections break at once. The others
// see it alive until see.
func (c *cluster) kill(i int) {
	n := c.nodes[i]
	n.wires.cut()
	n.stop()
}

// path returns an object's path whose chunk 0 is placed on the nodes of order,
// in this order.
func (c *cluster) path(order ...int) string {
	c.t.Helper()
	for k := range 100_000 {
		path := fmt.Sprintf("/%s/o%d.bin", c.t.Name(), k)
		if c.placed(path, 0, order...) {
			return path
		}
	}
	c.t.Fatalf("no path is placed on %v", order)
	return ""
}

// pathOf returns an object's path whose chunk i is placed on node owners[i].
func (c *cluster) pathOf(owners ...int) string {
	c.t.Helper()
next:
	for k := range 1_000_000 {
		path := fmt.Sprintf("/%s/p%d.bin", c.t.Name(), k)
		for chunk, owner := range owners {
			if !c.placed(path, uint32(chunk), owner) {
				continue next
			}
		}
		return path
	}
	c.t.Fatalf("no path has chunks placed on %v", owners)
	return ""
}

func (c *cluster) placed(path string, chunk uint32, order ...int) bool {
	got := c.ring.Lookup(storage.PlacementHash(c.ref(path).ID(), chunk))
	for k, i := range order {
		if c.ring.Members()[got[k]].ID != c.nodes[i].id {
			return false
		}
	}
	return true
}

func (c *cluster) ref(path string) storage.Ref {
	return storage.Ref{Scheme: "http", Host: testHost, Path: path}
}

// request asks for span of path; End = MaxInt64 is a read to the end.
func (c *cluster) request(path string, span storage.Span) storage.Request {
	return storage.Request{Ref: c.ref(path), Rule: c.rule, First: span}
}

// errWrong is a byte that is not the version's.
var errWrong = errors.New("wrong byte")

// read reads span of path at the node, and checks every byte of it against
// version. It returns how many bytes came.
func (n *node) read(ctx context.Context, req storage.Request, version string) (int64, error) {
	content, err := n.Open(ctx, req)
	if err != nil {
		return 0, err
	}
	defer content.Close()
	span := req.First.Intersect(storage.Span{End: content.Object().Size()})
	return n.readFrom(ctx, content, span, version)
}

func (n *node) readFrom(ctx context.Context, content *Content, span storage.Span, version string) (int64, error) {
	buf := make([]byte, 1<<20)
	done := int64(0)
	for span.Off < span.End {
		run, err := content.Next(ctx, span)
		if err != nil {
			return done, err
		}
		p := buf[:min(run.Len, int64(len(buf)))]
		if run.File == nil {
			p = run.Bytes
		} else if _, err := run.File.ReadAt(p, run.Off); err != nil {
			return done, err
		}
		if at := faultorigin.Check(p, content.Object().Path, version, span.Off); at >= 0 {
			return done, fmt.Errorf("%w at %d", errWrong, at)
		}
		done += int64(len(p))
		span.Off += int64(len(p))
	}
	return done, nil
}

// herd runs read for each of count readers and returns their errors joined.
func herd(count int, read func(i int) error) error {
	errs := make([]error, count)
	var wg sync.WaitGroup
	for i := range count {
		wg.Go(func() { errs[i] = read(i) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// within bounds what may hang. It takes d where nothing else does: a busy
// machine is given four times as long.
func within(t testing.TB, d time.Duration) context.Context {
	t.Helper()
	d *= 4
	ctx, cancel := context.WithTimeoutCause(t.Context(), d, fmt.Errorf("still not done after %s: %w", d, os.ErrDeadlineExceeded))
	t.Cleanup(cancel)
	return ctx
}

// eventually waits until ok holds of something that nothing tells of.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	end := time.After(time.Minute)
	for !ok() {
		select {
		case <-end:
			t.Fatalf("never: %s", what)
		case <-time.After(time.Millisecond):
		}
	}
}

// piece is the i-th piece of an object.
func piece(i int64) storage.Span {
	return storage.Span{Off: i * storage.PieceSize, End: (i + 1) * storage.PieceSize}
}
