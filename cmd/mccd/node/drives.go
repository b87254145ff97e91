package node

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/mccd/mccd/cluster/admin"
	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/storage/disk"
)

// drives lets the admin service change the node's drives.
type drives struct{ n *Node }

var _ admin.Drives = drives{}

// AddDrive takes a drive in.
func (d drives) AddDrive(ctx context.Context, path string, size int64) error {
	return d.n.store.AddDrive(ctx, disk.Drive{Path: path, Size: size})
}

// RemoveDrive lets go of a drive.
func (d drives) RemoveDrive(ctx context.Context, path string, drop bool, progress func(done, total int64)) error {
	return d.n.store.RemoveDrive(ctx, path, disk.Removal{Drop: drop, Progress: progress})
}

// ReplaceDrive takes a drive in and lets go of old.
func (d drives) ReplaceDrive(ctx context.Context, old, path string, size int64, progress func(done, total int64)) error {
	return d.n.store.ReplaceDrive(ctx, old, disk.Drive{Path: path, Size: size}, disk.Removal{Progress: progress})
}

// DrivesYAML is the section "drives" of a configuration file for the drives that
// there are.
func (d drives) DrivesYAML() string {
	var b strings.Builder
	b.WriteString("drives:\n")
	for _, drive := range d.n.store.Stats().Drives {
		fmt.Fprintf(&b, "  - path: %q\n    size: %s\n", drive.Path, sizeText(drive.Limit))
	}
	return b.String()
}

// sizeText writes n with the largest unit that divides it.
func sizeText(n int64) string {
	for _, u := range []struct {
		name string
		size int64
	}{{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} {
		if n%u.size == 0 {
			return fmt.Sprintf("%d%s", n/u.size, u.name)
		}
	}
	return fmt.Sprintf("%dB", n)
}

// repairCorrupt and storeChanged let the store call the fill, which is made
// after it.
func (n *Node) repairCorrupt(key storage.ChunkKey, missing disk.Bitmap) {
	if f := n.filling.Load(); f != nil {
		f.Repair(key, missing)
	}
}

func (n *Node) storeChanged() {
	if f := n.filling.Load(); f != nil {
		n.purges.judgeAgain()
		f.Relist()
	}
}

// driveStatus tells of the drives, for the admin service.
func driveStatus(stats disk.Stats) (out []admin.Drive) {
	for _, d := range stats.Drives {
		drive := admin.Drive{
			Path: d.Path, Size: d.Limit, Used: d.Bytes, Chunks: d.Chunks, State: d.State.String(),
			Corrupt: d.Corrupt, CorruptToday: d.CorruptToday, Failing: d.Failing, Foreign: d.Foreign,
			ScrubRounds: d.Scrub.Rounds, ScrubProgress: d.Scrub.Done, Scrubbed: d.Scrub.LastRound,
		}
		if d.Cause != nil {
			drive.Reason = d.Cause.Error()
		}
		out = append(out, drive)
	}
	return out
}

// driveWarnings are what an operator should know of the drives.
func (n *Node) driveWarnings(stats disk.Stats) (out []string) {
	for _, d := range stats.Drives {
		switch d.State {
		case disk.StateOK:
		case disk.StateLeaving:
			out = append(out, fmt.Sprintf("drive %s is being emptied", d.Path))
		default:
			out = append(out, fmt.Sprintf("drive %s is %s: %v", d.Path, d.State, d.Cause))
		}
		if d.Failing {
			out = append(out, fmt.Sprintf("drive %s is failing: %d blocks within a day were not what was written; replace it: mccd drive replace",
				d.Path, d.CorruptToday))
		}
	}
	configured, err := n.configured()
	if err != nil {
		return append(out, fmt.Sprintf("the configuration cannot be read any more: %v", err))
	}
	for _, d := range stats.Drives {
		if !slices.ContainsFunc(configured, func(c Drive) bool { return filepath.Clean(c.Path) == d.Path }) {
			out = append(out, fmt.Sprintf("drive %s is not in the configuration: without it there, the next start leaves it out", d.Path))
		}
	}
	for _, c := range configured {
		if !slices.ContainsFunc(stats.Drives, func(d disk.DriveStats) bool { return filepath.Clean(c.Path) == d.Path }) {
			out = append(out, fmt.Sprintf("drive %s is in the configuration, but not in use: the next start takes it in", c.Path))
		}
	}
	return out
}

// configured returns the drives that the next start would have.
func (n *Node) configured() ([]Drive, error) {
	if n.cfg.Configured == nil {
		return n.cfg.Drives, nil
	}
	return n.cfg.Configured()
}
