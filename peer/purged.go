package peer

import (
	"context"
	"fmt"

	"github.com/mccd/mccd/storage"
)

// Sweeper removes what was purged from the drives.
type Sweeper interface {
	// Purged returns the stamp given to SetPurged last, by drives that may have
	// been away; blank = the drives held nothing when they were new.
	Purged() (stamp storage.Stamp, blank bool)
	// SetPurged notes that all that is kept was judged by stamp.
	SetPurged(stamp storage.Stamp) error
	// EachRecord calls yield for each record kept, until it returns false.
	EachRecord(ctx context.Context, yield func(*storage.Object) bool) error
	// DropChunk removes a chunk unless spare, if not nil, reports true of its
	// version.
	DropChunk(ctx context.Context, key storage.ChunkKey, spare func(storage.Version) bool) error
}

// Purged removes what the purges in force have killed, and returns the purge
// index that this node may acknowledge then: it keeps nothing older, and
// nothing older can come. The owner of Config.Purges calls it at the start and
// when the purges or the aliases of hosts have changed, one call at a time. What
// is killed is not served whether or not it was called. After an error nothing
// is to be acknowledged, and it is to be called again.
func (f *Filler) Purged(ctx context.Context) (index uint64, err error) {
	if f.cfg.Purges == nil {
		return 0, nil
	}
	f.keyed.Store(nil) // the catalogue may have changed too
	p := f.purges()
	if p == nil {
		return 0, nil
	}
	if f.sweeper == nil {
		return 0, fmt.Errorf("purge: the store cannot be swept")
	}
	at, blank := f.sweeper.Purged()
	now := p.Stamp()
	if at == now && !blank {
		return now.Index, nil
	}
	s := &purge{f: f, p: p, unsure: !blank && !p.Judges(at)}
	for _, m := range p.Marks() {
		if m.Index > p.Index(at) || blank {
			s.add(m)
		}
	}
	if len(s.marks) > 0 || s.unsure {
		if err := s.sweep(ctx); err != nil {
			return 0, fmt.Errorf("purge: %w", err)
		}
	}
	if err := f.sweeper.SetPurged(now); err != nil {
		return 0, fmt.Errorf("purge: %w", err)
	}
	f.judged.Store(&now)
	return now.Index, nil
}

// purge is one removal of what was purged.
type purge struct {
	f     *Filler
	p     *storage.Purges
	marks []storage.PurgeMark
	// unsure: marks that this node has not heard of are gone, so that of what it
	// keeps only what was resolved after them is known to be alive.
	unsure bool
	// named has the objects that marks name exactly; wide tells that there are
	// marks whose objects are known by their records alone.
	named map[storage.ObjectID]string
	wide  bool
}

func (s *purge) add(m storage.PurgeMark) {
	s.marks = append(s.marks, m)
	rule, ok := s.f.cfg.Catalogue.Lookup(storage.HostName(m.Host))
	if m.Prefix || m.Host == "" || !ok || rule.QueryInKey {
		s.wide = true
		return
	}
	if s.named == nil {
		s.named = make(map[storage.ObjectID]string)
	}
	ref := storage.Ref{Host: m.Host, Path: m.Path, KeyHost: rule.KeyHost, JoinSchemes: rule.JoinSchemes}
	for _, ref.Scheme = range []string{"http", "https"} {
		latest, _ := s.p.Latest(ref)
		s.named[ref.ID()] = latest.ID
	}
}

// verdict says what becomes of an object's chunks: those of keep, and those
// whose version bears mark, stay.
type verdict struct {
	killed bool
	mark   string
	keep   storage.VersionID
}

func (s *purge) sweep(ctx context.Context) error {
	select {
	case <-s.f.cfg.Store.Indexed():
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if err := s.f.quiesce(ctx); err != nil {
		return err
	}
	verdicts := make(map[storage.ObjectID]verdict)
	for id, mark := range s.named {
		s.f.cache.Forget(id)
		verdicts[id] = verdict{killed: true, mark: mark}
	}
	wide := s.wide || s.unsure
	if wide {
		if err := s.judgeRecords(ctx, verdicts); err != nil {
			return err
		}
	}
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	s.f.cache.ForgetDead()
	return s.dropChunks(ctx, verdicts, wide)
}

// judgeRecords reads all records and drops those that are dead.
func (s *purge) judgeRecords(ctx context.Context, verdicts map[storage.ObjectID]verdict) error {
	var dead []storage.ObjectID
	seen := 0
	err := s.f.sweeper.EachRecord(ctx, func(o *storage.Object) bool {
		if seen++; seen%sweepRun == 0 && !s.f.pause(sweepPause) {
			return false // the node stops: what is found is dropped, nothing is acknowledged
		}
		if _, ok := verdicts[o.ID]; ok {
			return true
		}
		now := s.f.judge(o, true)
		m, matched := s.p.Latest(s.f.scope(o))
		v := verdict{killed: matched, mark: m.ID}
		if now == nil {
			dead = append(dead, o.ID)
		} else {
			v.keep = now.Version.ID()
		}
		verdicts[o.ID] = v
		return true
	})
	for _, id := range dead {
		s.f.cache.Forget(id)
	}
	if err == nil {
		err = context.Cause(s.f.ctx)
	}
	return err
}

// dropChunks removes the chunks of what was killed. Of an object without a
// record nobody can say whether a prefix hits it: where that is the question its
// chunks go too.
func (s *purge) dropChunks(ctx context.Context, verdicts map[storage.ObjectID]verdict, wide bool) error {
	var keys []storage.ChunkKey
	for key := range s.f.cfg.Store.Keys {
		v, known := verdicts[key.Object]
		switch {
		case !known && !wide, key.Version == v.keep && known:
		case v.killed || !known || s.unsure:
			keys = append(keys, key)
		}
	}
	for _, key := range keys {
		v := verdicts[key.Object]
		spare := func(version storage.Version) bool { return v.killed && version.Mark == v.mark }
		if err := s.f.sweeper.DropChunk(ctx, key, spare); err != nil {
			return err
		}
	}
	s.f.metrics.purgedChunks.Add(float64(len(keys)))
	return nil
}

// quiesce waits until all work has ended that may have begun before the purges
// in force were: later work brings nothing under a key from before.
func (f *Filler) quiesce(ctx context.Context) error {
	// What questions bring goes on as flights, and flights ask anew in turn.
	for range 3 {
		for _, done := range append(append(f.resolving.ends(), f.flights.ends()...), f.wholes.ends()...) {
			select {
			case <-done:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
	}
	return f.cache.Settle(ctx)
}

func (t *resolving) ends() (out []<-chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, r := range t.byKey {
		out = append(out, r.done)
	}
	return out
}

func (t *flights) ends() (out []<-chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, list := range t.byKey {
		for _, fl := range list {
			out = append(out, fl.done)
		}
	}
	return out
}

func (t *wholes) ends() (out []<-chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, w := range t.byKey {
		out = append(out, w.done)
	}
	return out
}
