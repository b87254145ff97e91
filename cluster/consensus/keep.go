package consensus

import "github.com/mccd/mccd/cluster/state"

// SaveState writes a StateFile: that of a node that is about to enter a
// cluster, so that it starts with what the cluster knows.
func SaveState(path string, st *state.State) error { return saveState(path, st) }
