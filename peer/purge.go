package peer

import (
	"context"
	"errors"
	"fmt"
	"time"

	peerv1 "github.com/mccd/mccd/proto/mccd/peer/v1"
	"github.com/mccd/mccd/ring"
	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/storage/disk"
)

// errPurged ends a question whose answer a purge has overtaken: it is asked
// again.
var errPurged = errors.New("purged meanwhile")

// errBehind tells that a peer has not heard of a purge: for a flight it is not
// reachable.
var errBehind = fmt.Errorf("peer has not heard of a purge: %w", errSilent)

// keyedPurges are the purges of the configuration, with the hosts' aliases.
type keyedPurges struct {
	src, keyed *storage.Purges
}

// purges returns the purges in force, nil for none.
func (f *Filler) purges() *storage.Purges {
	if f.cfg.Purges == nil {
		return nil
	}
	src := f.cfg.Purges()
	if k := f.keyed.Load(); k != nil && k.src == src {
		return k.keyed
	}
	k := &keyedPurges{src: src, keyed: src.Keyed(f.cfg.Catalogue.Lookup)}
	if src != nil && f.sweeper != nil {
		// New drives held nothing before: what they come to hold is judged as
		// it comes.
		first := src.Stamp()
		f.judged.CompareAndSwap(nil, &first)
	}
	f.keyed.Store(k)
	return k.keyed
}

// keyHost returns the canonical alias of host, empty for none.
func (f *Filler) keyHost(host string) string {
	if rule, ok := f.cfg.Catalogue.Lookup(storage.HostName(host)); ok {
		return rule.KeyHost
	}
	return ""
}

// scope returns what names o for a purge.
func (f *Filler) scope(o *storage.Object) storage.Ref {
	r := o.Ref()
	r.KeyHost = f.keyHost(o.Host)
	return r
}

// judge is the one check by which records enter and leave: it returns o as it
// counts by the purges in force, with their stamp, and nil where a purge has
// killed it. kept tells that o is among what this node's drives keep, which was
// judged by Purged.
func (f *Filler) judge(o *storage.Object, kept bool) *storage.Object {
	p := f.purges()
	if p == nil || o.Stamp == p.Stamp() {
		return o
	}
	judged := p.Judges(o.Stamp) || kept && f.hasJudged(p)
	if !judged {
		return nil
	}
	if len(p.Marks()) > 0 && p.Killed(f.scope(o), o.Stamp) {
		return nil
	}
	if o.Stamp.Newer(p.Stamp()) {
		return o // by a node that knows more
	}
	now := *o
	now.Stamp = p.Stamp()
	return &now
}

// kept returns the record of id that this node keeps, whether or not it counts;
// nil for none. It counts as no use.
func (f *Filler) kept(id storage.ObjectID) *storage.Object {
	if o := f.cache.Peek(id); o != nil {
		return o
	}
	o, err := f.cfg.Records.Record(id)
	if err != nil {
		return nil
	}
	return o
}

// hasJudged reports whether all that is kept was judged late enough for p.
func (f *Filler) hasJudged(p *storage.Purges) bool {
	at := f.judged.Load()
	return at != nil && p.Judges(*at)
}

// dead reports whether a purge has killed what a flight works for.
func (f *Filler) dead(o *storage.Object) bool { return f.judge(o, false) == nil }

// unmarked reports whether no purge hits o that its version does not bear: what
// is not the current version has no record that could be judged.
func (f *Filler) unmarked(o *storage.Object) bool {
	p := f.purges()
	if p == nil {
		return true
	}
	m, ok := p.Latest(f.scope(o))
	return !ok || o.Version.Mark == m.ID
}

// killed reports whether what another node offers is dead: its record, or a
// version without one.
func (f *Filler) killed(o *storage.Object, current bool) bool {
	if current {
		return f.dead(o)
	}
	return !f.unmarked(o)
}

// vouch returns o with this node's stamp, for a peer to go by.
func (f *Filler) vouch(o *storage.Object) *storage.Object {
	if o == nil {
		return nil
	}
	if now := f.judge(o, false); now != nil {
		return now
	}
	return o
}

// publish keeps o, and returns what counts then; errPurged where a purge has
// overtaken it.
func (f *Filler) publish(o *storage.Object) (*storage.Object, error) {
	if o != nil {
		o = f.cache.Publish(o)
	}
	if o == nil {
		return nil, errPurged
	}
	return o, nil
}

// mark gives an answer of the origin the stamp of p, which was in force before
// it was asked for, and makes it another version than what was there before the
// newest purge of the object. was is the record that the asker goes by, nil for
// none.
func (f *Filler) mark(o *storage.Object, p *storage.Purges, ref storage.Ref, was *storage.Object) {
	if was == nil || f.dead(was) {
		was = f.cache.Record(o.ID)
	}
	o.Stamp = p.Stamp()
	if was != nil && was.Stamp.Newer(o.Stamp) {
		o.Stamp, o.Version.Mark = was.Stamp, was.Version.Mark // of a node that knows more
		return
	}
	ref.KeyHost = f.keyHost(ref.Host)
	o.Version.Mark = p.Mark(ref, was)
}

// awaitPurges waits until this node has heard of the purges that a caller goes
// by, for Config.CatchUp at most.
func (f *Filler) awaitPurges(ctx context.Context, caller ring.Epoch, index uint64) {
	behind := func() bool {
		at := f.purges().Stamp()
		return index > at.Index && (caller.Cluster == "" || caller.Cluster == at.Cluster && caller.Generation == at.Generation)
	}
	if f.cfg.Purges == nil || !behind() {
		return
	}
	limit := time.NewTimer(f.cfg.CatchUp)
	defer limit.Stop()
	look := time.NewTicker(max(f.cfg.CatchUp/16, time.Millisecond))
	defer look.Stop()
	for behind() {
		select {
		case <-look.C:
		case <-limit.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// judge drops the caller's record where this node knows that it was purged. The
// caller, who does not know yet, gets the present version where it asks for it;
// what it reads of the old one ends.
func (c *fillCall) judge() error {
	if now := c.f.judge(c.o, false); now != nil {
		c.o = now
		return nil
	}
	switch {
	case c.m.GetMode() != peerv1.FillRequest_MODE_FILL:
		return disk.ErrNotHeld
	case !c.m.GetRevalidate():
		return storage.ErrVersionGone
	}
	c.o = nil
	return nil
}
