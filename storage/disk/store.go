package disk

import (
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mccd/mccd/storage"
)

// Store keeps the chunks and records of one node on its drives. All methods
// are safe for concurrent use.
type Store struct {
	cfg          Config
	fs           FS
	log          *slog.Logger
	now          func() time.Time
	set          driveSet
	shards       [shardCount]shard
	idlePerShard int
	metrics      *metrics
	serial       atomic.Uint64
	// memory is what the memory files count against Config.MemBytes.
	memory atomic.Int64
	// scans is the number of drives whose scan is not over; indexed closes when
	// it gets to 0 for the first time.
	scans     atomic.Int32
	indexed   chan struct{}
	indexOnce sync.Once
	closed    atomic.Bool
	// buffers has the pooled buffers (*[]byte of verifyRun) of cold reads.
	buffers sync.Pool
	// fellBack tells that the last chunk made went to memory.
	fellBack atomic.Bool
	counts   counts
}

// counts are what Stats reports and the metrics export.
type counts struct {
	corrupt, evictions, memoryFalls, repairs, coldBytes, damaged atomic.Int64
}

// New opens the drives of cfg: it validates, locks every drive and reads its
// id and format, and starts nothing. It fails on a faulty configuration
// (every fault is named), on a drive in use elsewhere (ErrLocked) and on a
// newer format (ErrFormat). A drive that gives I/O errors is served read-only or
// is missing until it answers; only when all are New fails.
func New(cfg Config) (*Store, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	s := &Store{cfg: cfg, fs: cfg.FS, log: cfg.Logger, now: cfg.Now, indexed: make(chan struct{}),
		idlePerShard: (cfg.IdleFiles + shardCount - 1) / shardCount}
	for i := range s.shards {
		s.shards[i].index = map[storage.ChunkKey]*entry{}
		s.shards[i].busy = map[storage.ChunkKey]chan struct{}{}
		s.shards[i].records = map[storage.ObjectID]chan struct{}{}
	}
	s.buffers.New = func() any { b := make([]byte, verifyRun); return &b }
	s.metrics = newMetrics(s, cfg.Registerer)
	var drives []*drive
	var errs, mistakes []error
	missing := 0
	for _, d := range cfg.Drives {
		opened, err := s.openDrive(d)
		if errors.Is(err, ErrLocked) || errors.Is(err, ErrFormat) {
			mistakes = append(mistakes, err)
		}
		if err != nil {
			errs = append(errs, err)
			opened = s.missingDrive(d, err)
			missing++
		}
		opened.judging.Store(true)
		drives = append(drives, opened)
	}
	if len(mistakes) > 0 || missing == len(drives) {
		for _, d := range drives {
			d.unlock()
		}
		return nil, errors.Join(errs...)
	}
	s.set.store(drives)
	s.scans.Store(int32(len(drives) - missing))
	return s, nil
}

// Close closes the files that nobody uses, saves the totals and unlocks the
// drives. Chunks still pinned stay readable until their Release. Run must have
// returned.
func (s *Store) Close() error {
	if s.closed.Swap(true) {
		return nil
	}
	s.closeIdle(true)
	s.awaitIdle()
	var errs []error
	for _, d := range s.drives() {
		errs = append(errs, d.close())
	}
	return errors.Join(errs...)
}

// awaitIdle waits a while for operations that nobody waits for any more.
func (s *Store) awaitIdle() {
	for range letGo / (tick / 10) {
		if !slices.ContainsFunc(s.drives(), func(d *drive) bool { return !d.clock.idle() }) {
			return
		}
		<-time.After(tick / 10)
	}
}

// Indexed returns a channel that closes when the start scans of all drives are
// over and the index is complete. Nothing has to wait for it.
func (s *Store) Indexed() <-chan struct{} { return s.indexed }
