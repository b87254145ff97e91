package cluster

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/mccd/mccd/cluster/state"
)

// purgeWait bounds how long Purge waits for living nodes.
const purgeWait = 5 * time.Second

// Purge kills what was resolved before it, everywhere, and returns the purge
// index once every living member has acknowledged it, 5 s at most: a node that
// is slower, or away, serves nothing of it either from the moment that it
// hears of the mark, which is before it serves anything after a start.
func (c *Cluster) Purge(ctx context.Context, spec state.PurgeSpec) (uint64, error) {
	m := c.current.Load()
	mark := state.PurgeMark{ID: randomHex(8), Host: spec.Host, Path: spec.Path, Prefix: spec.Prefix, Product: spec.Product}
	res, err := m.submit(ctx, state.Purge{Mark: mark})
	if err != nil {
		return 0, fmt.Errorf("purge: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, purgeWait)
	defer cancel()
	index := res.Index
	for {
		waits := m.unacknowledged(mark.ID, res.Index, &index)
		if len(waits) == 0 {
			return index, nil
		}
		if ctx.Err() != nil {
			c.log.Warn("purged; living nodes that have not acknowledged it yet", "index", index, "nodes", waits)
			return index, nil
		}
		pause(ctx, 10*time.Millisecond)
	}
}

// Purges returns the purges that are kept, the newest first, and the index of
// the newest one that is kept no more (0 = none), as far as this node knows.
func (c *Cluster) Purges(context.Context) (all []state.PurgeStatus, dropped uint64, err error) {
	m := c.current.Load()
	st := m.state()
	for _, mark := range slices.Backward(st.Purge.Marks) {
		s := state.PurgeStatus{Mark: mark}
		for _, n := range st.Members() {
			switch {
			case slices.Contains(mark.Acked, n.ID):
				s.Done = append(s.Done, n.Name)
			case m.alive(n.ID):
				s.Waiting = append(s.Waiting, n.Name)
			default:
				s.Away = append(s.Away, n.Name)
			}
		}
		all = append(all, s)
	}
	return all, st.Purge.Dropped, nil
}

// unacknowledged returns the living members that have not acknowledged a mark, which
// was written at Raft's index at; index is set to the mark's once that is here.
func (m *membership) unacknowledged(id string, at uint64, index *uint64) []string {
	st := m.state()
	i := slices.IndexFunc(st.Purge.Marks, func(p state.PurgeMark) bool { return p.ID == id })
	if i < 0 {
		if st.Index >= at {
			return nil // all have acknowledged it, or a newer one of its scope took its place
		}
		return []string{m.nameOf(m.c.id)}
	}
	*index = st.Purge.Marks[i].Index
	var waits []string
	for _, n := range st.Members() {
		if m.alive(n.ID) && !slices.Contains(st.Purge.Marks[i].Acked, n.ID) {
			waits = append(waits, n.Name)
		}
	}
	return waits
}

// AckPurges tells the cluster that this node keeps nothing older than the
// purge marks up to index, so that they may go once all nodes have said so.
func (c *Cluster) AckPurges(ctx context.Context, index uint64) error {
	_, err := c.current.Load().submit(ctx, state.AckPurges{ID: c.id, Index: index})
	return err
}

// CatchUp returns nil once this node has applied all that the cluster had
// agreed on when it asked: it asks the leader, and again until ctx is done. A
// node that is alone has nobody to ask.
func (c *Cluster) CatchUp(ctx context.Context) error {
	for {
		m := c.current.Load()
		if m.raft == nil || len(m.others()) == 0 {
			return nil
		}
		st, err := m.read(ctx)
		if err == nil {
			err = m.applied(ctx, st.Index)
		}
		if err == nil || ctx.Err() != nil {
			return err
		}
		pause(ctx, 20*time.Millisecond)
	}
}
