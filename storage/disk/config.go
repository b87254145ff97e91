package disk

import (
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mccd/mccd/storage"
)

// Drive is one directory that holds chunks, usually the mount point of one
// drive.
type Drive struct {
	// Path is the directory; it is created when it is missing.
	Path string
	// Size is the limit in bytes for all that the store keeps there: chunk
	// files, also unlinked ones that are still read, and records.
	Size int64
}

// validate reports what is wrong with d itself.
func (d Drive) validate() error {
	if d.Path == "" {
		return errors.New("its path is missing")
	}
	if d.Size < MinDriveSize {
		return fmt.Errorf("its size, %d, is less than one chunk file (%d)", d.Size, int64(MinDriveSize))
	}
	return nil
}

// MinDriveSize is the smallest Drive.Size: one full chunk file.
const MinDriveSize = storage.ChunkSize + headCharge

// Config says where and how a Store keeps chunks.
type Config struct {
	// Drives are the directories used; at least one.
	Drives []Drive
	// MemBytes bounds the memory files that stand in for drives; 0 = 512 MiB,
	// negative = none.
	MemBytes int64
	// IOSlots is the number of cold reads at one time per drive; 0 = 8.
	IOSlots int
	// Worth says what the chunk held under key is worth now; by is what was
	// noted last by Confirm. It is asked when room is needed, outside of locks of the
	// store, by several goroutines; it must not block, nor call the store. nil = all are
	// WorthOwned.
	Worth func(key storage.ChunkKey, by uint32) Worth
	// BorrowedShare is the part of each drive, in percent, in which borrowed
	// copies are safe from owned chunks; 0 = 20, negative = none.
	BorrowedShare int
	// IdleAfter is how long content stays that nobody asks for; 0 = 30 days,
	// negative = until its room is needed.
	IdleAfter time.Duration
	// IdleFiles bounds the descriptors kept open while nobody uses them;
	// 0 = 256.
	IdleFiles int
	// MinFree is what stays free on each drive's file system, in bytes;
	// 0 = the smaller of 1 GiB and 2 %, negative = nothing.
	MinFree int64
	// ScrubRate is the pace in bytes per second at which cold blocks are read
	// and verified in the background; 0 = no scrub.
	ScrubRate int64
	// SlowAfter is how long an operation on a drive may take before nothing is
	// asked of the drive until it answers fast again; 0 = 5 s, negative = for
	// ever.
	SlowAfter time.Duration
	// MoveRate is the pace in bytes per second at which RemoveDrive moves
	// content; 0 = 64 MiB, negative = as fast as it goes.
	MoveRate int64
	// FailingAfter is how many corrupt blocks within a day make a drive one that
	// is reported as failing; 0 = 8.
	FailingAfter int
	// Repair is told the blocks of a chunk that were found corrupt, after the
	// chunk went on in a new file without them; it never blocks. nil = they stay
	// absent until they are asked for.
	Repair func(key storage.ChunkKey, missing Bitmap)
	// Changed is called when Keys has more to tell than what was written by this
	// process: a drive was added, or is back; it never blocks. nil = nobody asks.
	Changed func()
	// FS reaches the drives; nil = the operating system.
	FS FS
	// Logger gets what a person should know; nil = nothing is logged.
	Logger *slog.Logger
	// Registerer gets the metrics; nil = none are exported.
	Registerer prometheus.Registerer
	// Now is the clock; nil = time.Now.
	Now func() time.Time
}

// Validate reports every fault of cfg at once.
func (cfg Config) Validate() error {
	var errs []error
	if len(cfg.Drives) == 0 {
		errs = append(errs, errors.New("drives: at least one is needed"))
	}
	seen := map[string]int{}
	for i, d := range cfg.Drives {
		if d.Path == "" {
			errs = append(errs, fmt.Errorf("drives[%d].path: missing", i))
		} else if j, dup := seen[filepath.Clean(d.Path)]; dup {
			errs = append(errs, fmt.Errorf("drives[%d].path: same as drives[%d]", i, j))
		} else {
			seen[filepath.Clean(d.Path)] = i
		}
		if d.Size < MinDriveSize {
			errs = append(errs, fmt.Errorf("drives[%d].size: %d is less than one chunk file (%d)", i, d.Size, int64(MinDriveSize)))
		}
	}
	if cfg.IOSlots < 0 {
		errs = append(errs, fmt.Errorf("io slots: %d is negative", cfg.IOSlots))
	}
	if cfg.IdleFiles < 0 {
		errs = append(errs, fmt.Errorf("idle files: %d is negative", cfg.IdleFiles))
	}
	if cfg.BorrowedShare > 90 {
		errs = append(errs, fmt.Errorf("borrowed share: %d %% is more than 90", cfg.BorrowedShare))
	}
	if cfg.ScrubRate < 0 {
		errs = append(errs, fmt.Errorf("scrub rate: %d is negative", cfg.ScrubRate))
	}
	return errors.Join(errs...)
}

// borrowedShare returns what borrowed copies may take of a drive of size bytes.
func (cfg Config) borrowedShare(size int64) int64 {
	return size / 100 * int64(max(0, cfg.BorrowedShare))
}

// withDefaults returns cfg with every zero replaced by what it means.
func (cfg Config) withDefaults() Config {
	switch {
	case cfg.MemBytes == 0:
		cfg.MemBytes = 512 << 20
	case cfg.MemBytes < 0:
		cfg.MemBytes = 0
	}
	if cfg.IOSlots == 0 {
		cfg.IOSlots = 8
	}
	if cfg.IdleAfter == 0 {
		cfg.IdleAfter = 30 * 24 * time.Hour
	}
	if cfg.BorrowedShare == 0 {
		cfg.BorrowedShare = defaultShare
	}
	if cfg.IdleFiles == 0 {
		cfg.IdleFiles = 256
	}
	if cfg.SlowAfter == 0 {
		cfg.SlowAfter = 5 * time.Second
	}
	if cfg.MoveRate == 0 {
		cfg.MoveRate = 64 << 20
	}
	if cfg.FailingAfter == 0 {
		cfg.FailingAfter = 8
	}
	if cfg.FS == nil {
		cfg.FS = OS{}
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return cfg
}
