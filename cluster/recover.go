package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/mccd/mccd/cluster/consensus"
	"github.com/mccd/mccd/cluster/state"
	clusterv1 "github.com/mccd/mccd/proto/mccd/cluster/v1"
)

// forgetLog sets Raft's folder of the present membership aside, so that the
// node starts empty and takes everything from the others; what it last applied
// stays beside and serves until then.
func (c *Cluster) forgetLog() error {
	dir := c.folders.path(memberFolder)
	aside := filepath.Join(dir, raftFolder+formerSuffix)
	if err := os.RemoveAll(aside); err != nil {
		return err
	}
	if err := os.Rename(filepath.Join(dir, raftFolder), aside); err != nil {
		return err
	}
	return removeFile(filepath.Join(dir, initFile))
}

// Recover rebuilds the replicated state from this node, as its only voter,
// after a majority of the voters is lost for good. It refuses while another
// voter answers, unless that one is named in Supersede: it then takes its
// configuration from this node. Nodes that come back later do so too, by the
// higher recovery generation.
func (c *Cluster) Recover(ctx context.Context, spec state.RecoverSpec) (state.RecoverReport, error) {
	m := c.current.Load()
	if m.raft == nil {
		return state.RecoverReport{}, fmt.Errorf("recover: %w", state.ErrNoCluster)
	}
	report, err := m.recoverable(ctx, spec)
	if err != nil || spec.DryRun {
		return report, err
	}
	var done consensus.Report
	err = c.change(ctx, m, func(context.Context) error {
		var err error
		done, err = consensus.Recover(consensus.RecoverConfig{
			Dir: filepath.Join(m.dir, raftFolder), StateFile: filepath.Join(m.dir, stateFile), ID: c.id, Logger: c.log.With("part", "raft"),
		})
		return err
	})
	if err != nil {
		return report, fmt.Errorf("recover: %w", err)
	}
	report.Generation, report.Applied, report.LastIndex, report.Uncommitted = done.Generation, done.Applied, done.LastIndex, done.Uncommitted
	c.log.Warn("rebuilt the cluster from this node", "generation", done.Generation, "applied", done.Applied)
	return report, nil
}

// recoverable asks every voter and says what a recovery would do; an error
// tells that it would split the cluster.
func (m *membership) recoverable(ctx context.Context, spec state.RecoverSpec) (state.RecoverReport, error) {
	q, st := m.raft.Quorum(), m.state()
	r := state.RecoverReport{
		Survivor: m.c.id, Generation: st.Generation + 1, Applied: q.Applied, LastIndex: q.LastIndex,
		Uncommitted: int(q.LastIndex - min(q.LastIndex, q.Commit)),
	}
	if m.removed() {
		return r, fmt.Errorf("%w: %w", state.ErrRecoverRefused, state.ErrNodeRemoved)
	}
	if q.HasLeader {
		return r, fmt.Errorf("%w: the cluster has a leader (%s); nothing is to be recovered", state.ErrRecoverRefused, m.nameOf(q.Leader))
	}
	superseded := make(map[string]bool)
	for _, name := range spec.Supersede {
		n, err := findIn(st, name)
		if err != nil {
			return r, err
		}
		superseded[n.ID] = true
	}
	answers, refusals := m.askVoters(ctx, q.Voters)
	own := m.raft.Stats()
	var errs []error
	for _, id := range q.Voters {
		if id == m.c.id {
			continue
		}
		r.LostVoters = append(r.LostVoters, id)
		answer, ok := answers[id]
		name := m.nameOf(id)
		switch {
		case refusals[id] != "":
			errs = append(errs, fmt.Errorf("voter %s answers and refuses this node: %s", name, refusals[id]))
		case !ok:
			r.Text = append(r.Text, fmt.Sprintf("Voter %s does not answer. What was written after this node last heard a leader, and acknowledged by the others, is lost.", name))
		case answer.GetGeneration() > st.Generation:
			errs = append(errs, fmt.Errorf("the cluster was recovered already: voter %s is of generation %d", name, answer.GetGeneration()))
		case longer(answer, own):
			errs = append(errs, fmt.Errorf("voter %s answers and its log goes on to %d, this node's only to %d: recover there", name, answer.GetLastIndex(), q.LastIndex))
		case !superseded[id]:
			errs = append(errs, fmt.Errorf("voter %s answers: bring a majority back, or have it take its configuration from here by --supersede %s", name, name))
		default:
			r.Text = append(r.Text, fmt.Sprintf("Voter %s answers and will take its configuration from here.", name))
		}
	}
	if r.Uncommitted > 0 {
		r.Text = append(r.Text, fmt.Sprintf("%d entries at the end of the log may or may not have been acknowledged; they are kept.", r.Uncommitted))
	}
	r.Text = append(r.Text, "Content is not touched. Nodes that come back take the configuration from this one.")
	if len(errs) > 0 {
		return r, fmt.Errorf("%w: %w", state.ErrRecoverRefused, errors.Join(errs...))
	}
	return r, nil
}

// longer reports whether the log of a voter is more up to date than this
// node's: by term first, as Raft compares them.
func longer(answer *clusterv1.StatsResponse, own consensus.Stats) bool {
	if answer.GetLastTerm() != own.LastTerm {
		return answer.GetLastTerm() > own.LastTerm
	}
	return answer.GetLastIndex() > own.LastIndex
}

// askVoters returns the answers of those voters that give one, and why others
// refuse this node: they live too.
func (m *membership) askVoters(ctx context.Context, voters []string) (map[string]*clusterv1.StatsResponse, map[string]string) {
	ctx, cancel := context.WithTimeout(ctx, announceTimeout)
	defer cancel()
	var (
		wg       sync.WaitGroup
		mu       sync.Mutex
		answers  = make(map[string]*clusterv1.StatsResponse)
		refusals = make(map[string]string)
	)
	for _, id := range slices.DeleteFunc(slices.Clone(voters), func(id string) bool { return id == m.c.id }) {
		wg.Go(func() {
			for ctx.Err() == nil {
				client, err := m.node(id)
				if err != nil {
					return
				}
				answer, err := client.Stats(ctx, &clusterv1.StatsRequest{})
				if code := status.Code(err); code == codes.OK || code == codes.PermissionDenied {
					mu.Lock()
					defer mu.Unlock()
					if err != nil {
						refusals[id] = status.Convert(err).Message()
						return
					}
					answers[id] = answer
					return
				}
				pause(ctx, 200*time.Millisecond) // a connection may be backing off
			}
		})
	}
	wg.Wait()
	return answers, refusals
}

func (m *membership) nameOf(id string) string {
	if n, ok := m.state().Node(id); ok && n.Name != "" {
		return n.Name
	}
	return id
}

// pause waits for d, or until ctx is done.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
