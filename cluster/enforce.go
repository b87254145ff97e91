package cluster

import (
	"slices"
	"time"

	"github.com/mccd/mccd/cluster/state"
)

// enforceInterval is how often open connections are judged where nothing
// changes: certificates expire.
const enforceInterval = time.Minute

// enforced is what open connections were judged by last. follow alone uses it.
type enforced struct {
	at    time.Time // monotonic
	nodes []state.Node
	cas   [][]byte
}

// enforce closes at once what who is who does not allow any more. It waits for
// nothing: a node that was removed must not read on while duties are busy.
func (m *membership) enforce(last *enforced) {
	st := m.newest()
	sameNode := func(a, b state.Node) bool {
		return a.ID == b.ID && a.Key == b.Key && a.State == b.State && a.Removed == b.Removed
	}
	if time.Since(last.at) < enforceInterval && slices.EqualFunc(last.nodes, st.Nodes, sameNode) &&
		slices.EqualFunc(last.cas, st.Trust.CAs, slices.Equal) {
		return
	}
	*last = enforced{at: time.Now(), nodes: st.Nodes, cas: st.Trust.CAs}
	m.c.port.Enforce()
}
