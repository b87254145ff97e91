package ring

import "fmt"

// Epoch names one placement of one cluster. It changes with members, weights,
// zones and ring format, never with liveness. The zero Epoch is none.
type Epoch struct {
	// Cluster is the cluster's id. Epochs of two clusters do not compare.
	Cluster string
	// Generation is the recovery generation.
	Generation uint32
	// Index is the Raft index of the change.
	Index uint64
}

// Newer reports whether e supersedes o: of the same cluster, a later
// generation, or the same one with a higher index.
func (e Epoch) Newer(o Epoch) bool {
	return e.Cluster == o.Cluster && (e.Generation > o.Generation || e.Generation == o.Generation && e.Index > o.Index)
}

// String returns generation and index, for people.
func (e Epoch) String() string { return fmt.Sprintf("%d.%d", e.Generation, e.Index) }
