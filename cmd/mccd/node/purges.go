package node

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/mccd/mccd/cluster"
	"github.com/mccd/mccd/cluster/state"
	"github.com/mccd/mccd/peer"
	"github.com/mccd/mccd/storage"
)

// sweepInterval is how soon a purge is followed by the removal of what it
// killed; what it killed is not served from the moment the node knows of it.
const sweepInterval = 200 * time.Millisecond

// sweepRetry is the longest time to the next try after one that failed.
const sweepRetry = 30 * time.Second

// purges gives the fill the purges of the cluster's state.
type purges struct {
	cluster *cluster.Cluster
	last    atomic.Pointer[purgesOf]
	// again asks for all that is kept to be judged once more.
	again atomic.Bool
	// swept are those whose killed content was removed last.
	swept atomic.Pointer[storage.Purges]
	// current is closed once the state is no longer that of a former run, or
	// was waited for long enough.
	current chan struct{}
}

// catchUp waits, wait at most, until the node knows what was purged while it
// was away.
func (p *purges) catchUp(ctx context.Context, wait time.Duration) {
	defer close(p.current)
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	_ = p.cluster.CatchUp(ctx) // without a quorum it serves what it has
}

// await returns once catchUp has, or ctx is done.
func (p *purges) await(ctx context.Context) {
	select {
	case <-p.current:
		return // without a look at ctx, whose Done begins a wait
	default:
	}
	select {
	case <-p.current:
	case <-ctx.Done():
	}
}

// purgesOf are the purges of one state.
type purgesOf struct {
	cluster    string
	generation uint32
	index      uint64
	purges     *storage.Purges
}

// now returns the purges in force; nil in no cluster.
func (p *purges) now() *storage.Purges {
	st := p.cluster.State()
	if st.ClusterID == "" {
		return nil
	}
	last := p.last.Load()
	if last != nil && last.cluster == st.ClusterID && last.generation == st.Generation && last.index == st.Purge.Index &&
		len(last.purges.Marks()) == len(st.Purge.Marks) {
		return last.purges
	}
	marks := make([]storage.PurgeMark, len(st.Purge.Marks))
	for i, m := range st.Purge.Marks {
		marks[i] = storage.PurgeMark{Index: m.Index, ID: m.ID, Host: m.Host, Path: m.Path, Prefix: m.Prefix, Product: m.Product}
	}
	next := &purgesOf{
		cluster: st.ClusterID, generation: st.Generation, index: st.Purge.Index,
		purges: storage.NewPurges(st.ClusterID, st.Generation, st.Purge.Index, st.Purge.Dropped, marks),
	}
	p.last.Store(next)
	return next.purges
}

// judgeAgain has what came to the store by itself judged: a drive that was away
// may hold what was purged meanwhile.
func (p *purges) judgeAgain() { p.again.Store(true) }

// sweep removes what was purged and tells the cluster so, until ctx is done.
func (p *purges) sweep(ctx context.Context, filler *peer.Filler, self string, wait time.Duration, log *slog.Logger) error {
	p.catchUp(ctx, wait)
	ticker := time.NewTicker(sweepInterval)
	defer ticker.Stop()
	var (
		swept  *storage.Purges
		failed int
		again  time.Time
	)
	for {
		if p.again.Swap(false) {
			swept = nil
		}
		if now := p.now(); now != nil && now != swept && time.Now().After(again) {
			index, err := filler.Purged(ctx)
			if err == nil {
				p.swept.Store(now)
			}
			if err == nil && !acknowledged(p.cluster.State(), self, index) {
				err = p.cluster.AckPurges(ctx, index)
			}
			if err == nil {
				swept, failed = now, 0
			} else if ctx.Err() == nil {
				if failed++; failed == 1 {
					log.Warn("what was purged is not served, but could not be removed or acknowledged yet", "err", err)
				}
				again = time.Now().Add(min(time.Duration(failed)*sweepInterval, sweepRetry))
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// removed returns once what is purged now is removed here: before the node goes to
// another cluster, or founds one, where none of these purges counts.
func (p *purges) removed(ctx context.Context) error {
	tick := time.NewTicker(sweepInterval / 10)
	defer tick.Stop()
	for now := p.now(); now != nil && p.swept.Load() != now; now = p.now() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("what was purged is not removed yet: %w", context.Cause(ctx))
		}
	}
	return nil
}

// members is the cluster for the admin service.
type members struct {
	*cluster.Cluster
	purges *purges
}

// Join is Cluster.Join, once what is purged is removed.
func (m members) Join(ctx context.Context, peers []string, token string) error {
	if err := m.purges.removed(ctx); err != nil {
		return fmt.Errorf("join: %w", err)
	}
	return m.Cluster.Join(ctx, peers, token)
}

// acknowledged reports whether st lacks nothing of an acknowledgement of the
// marks up to index by the node id.
func acknowledged(st *state.State, id string, index uint64) bool {
	for _, m := range st.Purge.Marks {
		if m.Index <= index && !slices.Contains(m.Acked, id) {
			return false
		}
	}
	return true
}
