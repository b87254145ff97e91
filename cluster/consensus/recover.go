package consensus

import (
	"fmt"
	"log/slog"

	"github.com/mccd/mccd/cluster/state"
)

// RecoverConfig names what Recover works on.
type RecoverConfig struct {
	Dir, StateFile, ID string
	// Logger may be nil.
	Logger *slog.Logger
}

// Report is what a recovery found, and what may be lost.
type Report struct {
	// Applied is the index of the last command known to be agreed here,
	// LastIndex that of the log's last entry. Uncommitted commands lie between
	// them that change the State: they are kept, and may or may not have been
	// acknowledged.
	Applied, LastIndex uint64
	Uncommitted        int
	// Voters are who had a vote before, sorted.
	Voters []string
	// Generation is the recovery generation after it.
	Generation uint32
}

// Recover makes this node the only voter.
func Recover(cfg RecoverConfig) (Report, error) {
	return Report{}, fmt.Errorf("recover: %w", ErrRecoverEmpty)
}

// Seed makes an empty folder a cluster of one.
func Seed(dir, stateFile, id string, st *state.State) error {
	return fmt.Errorf("seed: %w", ErrRecoverEmpty)
}
