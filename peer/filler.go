package peer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"google.golang.org/grpc"

	"github.com/mccd/mccd/peer/holders"
	"github.com/mccd/mccd/peer/resolve"
	peerv1 "github.com/mccd/mccd/proto/mccd/peer/v1"
	"github.com/mccd/mccd/ring"
	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/storage/httpcache"
)

// refutedObjects bounds the objects whose contradiction is remembered.
const refutedObjects = 4096

// errStopped ends the flights of a node that stops.
var errStopped = errors.New("node is stopping")

// Filler makes bytes of objects present on this node. All methods are safe for
// concurrent use.
type Filler struct {
	cfg     Config
	logger  *slog.Logger
	metrics *metrics

	cache     *resolve.Cache
	home      *resolve.Home
	links     *links
	flights   *flights
	resolving *resolving
	wholes    *wholes
	paces     *paces
	troubles  *troubles
	sequences *sequences
	had       *had
	begun     begun
	requested *requested
	// server is the Filler's own; nil = another's, or none.
	server *grpc.Server
	calls  calls
	// changes tells of new Views.
	changes broadcast
	// foreign and misplaced let what they tell be told once.
	foreign, misplaced sync.Once

	originBytes atomic.Int64
	stopping    atomic.Bool

	// book is what is known of what others hold; seen is the view that it goes
	// by.
	book      *holders.Book
	seeing    sync.Mutex // lets seen only grow
	seen      atomic.Pointer[ring.View]
	acquiring *acquiring
	sweeps    sweeps
	repairs   repairs
	imports   imports
	asking    asking
	// notes is the Store, where it notes who confirmed; nil = it does not.
	notes Notes

	admitted *admitted
	pacer    *pacer
	// paused is when this process last stood still for longer than Silence.
	paused atomic.Int64
	// ticked is when this process was last seen to run; 0 = it is not watched.
	ticked atomic.Int64
	// refuted holds, by object, the last registration that an origin was seen
	// to contradict.
	refuted  *lru.Cache[storage.ObjectID, uint64]
	refuting sync.Mutex // lets refuted only grow

	// keyed are the purges in force, as of the last look; judged is the stamp
	// by which all that is kept was judged.
	keyed   atomic.Pointer[keyedPurges]
	judged  atomic.Pointer[storage.Stamp]
	sweeper Sweeper

	// ctx ends all detached work.
	ctx    context.Context
	cancel context.CancelCauseFunc
	work   *detached
}

// New validates cfg and returns a Filler that serves local requests at once,
// and other nodes once Run is called or the server behind Config.Registrar
// serves. It starts nothing.
func New(cfg Config) (*Filler, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	work := new(detached)
	f := &Filler{
		cfg: cfg, logger: cfg.Logger, metrics: newMetrics(cfg.Registerer),
		ctx: ctx, cancel: cancel, work: work, admitted: newAdmitted(), pacer: newPacer(outPerPeer, outInAll),
		links:   newLinks(ctx, cfg),
		wholes:  newWholes(),
		flights: newFlights(cfg.Flights, cfg.FlightsPerOrigin), paces: newPaces(), troubles: newTroubles(), sequences: newSequences(), had: newHad(), requested: newRequested(), book: holders.New(cfg.Holders), acquiring: newAcquiring(),
	}
	f.metrics.register(cfg.Registerer, f)
	f.cache = resolve.NewCache(cfg.Records, cfg.RecordsInMemory, f.judge, f.detach, cfg.Logger)
	f.sweeper, _ = cfg.Store.(Sweeper)
	f.notes, _ = cfg.Store.(Notes)
	if f.sweeper != nil {
		if at, blank := f.sweeper.Purged(); !blank {
			f.judged.Store(&at)
		}
	}
	var err error
	if f.refuted, err = lru.New[storage.ObjectID, uint64](refutedObjects); err != nil {
		return nil, err
	}
	f.home = resolve.NewHome(f.cache, cfg.Now)
	f.resolving = newResolving()
	switch {
	case cfg.Registrar != nil:
		peerv1.RegisterPeerServer(cfg.Registrar, &service{f: f})
	case cfg.Listener != nil:
		f.server = grpc.NewServer(ServerOptions()...)
		peerv1.RegisterPeerServer(f.server, &service{f: f})
	}
	return f, nil
}

// Run lets the other nodes be served until ctx ends, then ends the flights in progress
// and returns when nothing of the Filler runs any more: no call of another node
// either, so that the server behind Config.Registrar is stopped after it.
func (f *Filler) Run(ctx context.Context) error {
	watching, stopWatching := context.WithCancel(ctx)
	defer stopWatching()
	f.ticked.Store(monotonic())
	f.detach(func() { f.watchOwnPauses(watching) })
	f.detach(func() { f.acquire(watching) })
	f.detach(func() { f.confirm(watching) })
	served := make(chan error, 1)
	if f.server != nil {
		go func() { served <- f.server.Serve(f.cfg.Listener) }()
	}
	var err error
	select {
	case <-ctx.Done():
		f.Drain()
	case err = <-served:
		if err != nil {
			err = fmt.Errorf("serve peers: %w", err)
		}
	}
	f.Close()
	return err
}

// watchOwnPauses notes when this process stood still for longer than others wait
// for it: they let its successors act for it since.
func (f *Filler) watchOwnPauses(ctx context.Context) {
	ticker := time.NewTicker(f.cfg.Silence / 3)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			f.ticked.Store(0)
			return
		case <-f.ctx.Done():
			f.ticked.Store(0)
			return
		}
		f.noticePause()
		f.ticked.Store(monotonic())
	}
}

// noticePause takes back what others have told if this process stood still:
// they may have come to hold more in its place.
func (f *Filler) noticePause() {
	now, last := monotonic(), f.ticked.Load()
	if last == 0 || now-last <= int64(f.cfg.Silence+f.cfg.Silence/3) || !f.ticked.CompareAndSwap(last, now) {
		return
	}
	f.paused.Store(now)
	f.seenDead()
	f.logger.Warn("this process stood still", "for", time.Duration(now-last))
}

// seenDead takes back what others have told: some took this node for dead, and
// others may have acted in its place.
func (f *Filler) seenDead() {
	f.book.TakeBack()
	f.acquiring.poke()
}

// stoodStill reports whether others may still pass this node over after a pause
// of its own, so that it asks those who act for it rather than acts itself.
func (f *Filler) stoodStill() bool {
	at := f.paused.Load()
	return at != 0 && monotonic()-at < int64(f.cfg.BreakerOpen)/2
}

// Drain refuses new FILLs, gives what is on disk or on its way, and waits for
// the calls of other nodes and the requests at origins in progress, up to 10 s: what is cut here the origin
// may have to send again. Requests of this node's clients go on. Run calls it
// at its end too.
func (f *Filler) Drain() {
	f.stopping.Store(true)
	deadline := time.NewTimer(drainTime)
	defer deadline.Stop()
	tick := time.NewTicker(drainTime / 200)
	defer tick.Stop()
	for f.admitted.busy() || f.flights.owned() > 0 && f.others() {
		select {
		case <-tick.C:
		case <-deadline.C:
			return
		}
	}
}

// others reports whether there is another living node, for which flights in
// progress may be of use.
func (f *Filler) others() bool {
	view := f.cfg.Placement.View()
	for _, node := range view.Nodes() {
		if node.ID != view.Self && node.State != ring.Failed {
			return true
		}
	}
	return false
}

// drainTime bounds the wait of Drain.
const drainTime = 10 * time.Second

// Close ends the flights in progress and all connections between nodes, and
// returns when nothing of the Filler runs any more. Run calls it; it is for a
// Filler that was never run.
func (f *Filler) Close() {
	f.cancel(errStopped)
	sever := f.cfg.Sever
	if f.server != nil {
		sever = f.server.Stop
	}
	f.calls.close(f.cfg.Silence, sever)
	if f.server != nil {
		f.server.Stop()
	}
	f.work.wait()
	f.links.close()
}

// detach runs work that belongs to no request; false means that the node stops
// and work is not run.
func (f *Filler) detach(work func()) bool { return f.work.start(work) }

// ViewChanged drops the connections to nodes that are no longer in the view and
// asks returned ones whether they live. The owner of the Placement calls it
// after a change.
func (f *Filler) ViewChanged() {
	f.changes.tell()
	view := f.cfg.Placement.View()
	f.links.retain(view)
	f.links.revisit(view)
}

// Open learns the object that req names, from this node's records or, with the
// first wanted bytes, from the cluster or the origin. The Content is closed by
// the caller.
func (f *Filler) Open(ctx context.Context, req storage.Request) (*Content, error) {
	o, brought, err := f.current(ctx, req)
	if err != nil {
		return nil, err
	}
	past := false
	if req.Total > 0 {
		if o, past, err = f.resumed(ctx, req, o); err != nil {
			return nil, err
		}
	}
	c := newContent(f, req, o)
	c.r.j.past = past
	if req.Resumes && !req.HeadOnly {
		c.resumes = req.Client
	}
	if brought != nil && !past {
		c.r.note(brought, true, false)
	}
	return c, nil
}

// current returns the record by which req is answered, and the flight that it
// began to learn that, if any.
func (f *Filler) current(ctx context.Context, req storage.Request) (o *storage.Object, brought *flight, err error) {
	o = f.cache.Record(req.Ref.ID())
	refuted := o != nil && f.isRefuted(o)
	always := req.Rule.RevalidateAlways(req.Ref.Path) || !req.NotBefore.IsZero() && (o == nil || o.ValidatedAt.Before(req.NotBefore))
	if o != nil && o.Fresh(f.cfg.Now()) && !refuted && !always {
		return o, nil, nil
	}
	q := question{ref: req.Ref, rule: req.Rule, first: req.First, recordOnly: req.HeadOnly, always: always, stale: o}
	if refuted {
		q.refuted = o.Version.ID()
	}
	if req.Total > 0 && q.first.Off >= 0 { // it may be another version that is wanted
		q.first.End = q.first.Off + 1
	}
	q.brought = new(atomic.Pointer[flight])
	fresh, err := f.resolve(ctx, q)
	if err == nil {
		return fresh, q.brought.Load(), nil
	}
	if o != nil && !refuted && mayServeStale(o, req.Rule, err) && f.judge(o, true) != nil {
		f.metrics.resolves.WithLabelValues("stale").Inc()
		return o, nil, nil
	}
	return nil, nil, err
}

// mayServeStale reports whether o is served although the origin could not be
// asked: content of profile do is, since a client would get the very same
// bytes from the CDN; RFC 9111 section 4.2.4 forbids it after must-revalidate.
func mayServeStale(o *storage.Object, rule *storage.Rule, err error) bool {
	if !errors.Is(err, storage.ErrUpstream) && !errors.Is(err, storage.ErrBusy) {
		status, ok := errors.AsType[*storage.StatusError](err)
		if !ok || status.Code < 500 {
			return false
		}
	}
	cc := httpcache.ParseCacheControl(o.Header["Cache-Control"])
	return !rule.RevalidateAlways(o.Path) && !cc.MustRevalidate && !cc.NoCache
}

// Flights returns the number of flights in progress.
func (f *Filler) Flights() int { return f.flights.open() }

// OriginBytes returns the bytes that this node stored from origins since its
// start.
func (f *Filler) OriginBytes() int64 { return f.originBytes.Load() }
