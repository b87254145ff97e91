package disk

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/storage/disk/evict"
)

// State is what a drive can do.
type State uint32

// The states of a drive.
const (
	// StateOK: it is read and written.
	StateOK State = iota
	// StateFull: it has no space; what it holds is served.
	StateFull
	// StateReadOnly: it refuses writes; what it holds is served.
	StateReadOnly
	// StateFailed: it is neither read nor written.
	StateFailed
	// StateSlow: an operation did not end in time. Nothing is asked of it, but
	// probes, until it answers fast again.
	StateSlow
	// StateMissing: it could not be opened, or its directory holds another drive
	// or none. It is taken in when it is back.
	StateMissing
	// StateLeaving: its content moves to the other drives.
	StateLeaving
)

// String returns "ok", "full", "read-only", "failed", "slow", "missing" or
// "leaving".
func (st State) String() string {
	return [...]string{"ok", "full", "read-only", "failed", "slow", "missing", "leaving"}[min(st, StateLeaving)]
}

// maxReadFaults is how many reads may fail one after the other before a drive
// counts as failed.
const maxReadFaults = 8

// drive is one directory.
type drive struct {
	s     *Store
	num   int // in the order of opening
	path  string
	id    [16]byte
	limit int64
	lock  *os.File
	slots chan struct{}

	// used counts all bytes against the limit, with the estimate.
	used atomic.Int64
	// room is what may be written before the free space is asked for again.
	room atomic.Int64
	// inodes is how many files may be made before it.
	inodes atomic.Int64
	chunks atomic.Int64
	policy *evict.Policy[*entry]
	// kick wakes the drive's background work.
	kick chan struct{}
	// saved is what used was when it was last saved.
	saved atomic.Int64

	// scanned tells that the index has all that the drive holds.
	scanned atomic.Bool
	// out says why nothing may be asked of the drive, 0 = it may; see reach.go.
	out     atomic.Uint32
	leaving atomic.Bool
	clock   opClock
	work    driveWork
	// foreign counts the bytes of files that this release does not know.
	foreign atomic.Int64
	// weight is by what the drive is preferred (math.Float64bits): its limit, or
	// what its file system leaves of it.
	weight atomic.Uint64
	// late tells that it was opened while the store served already.
	late bool
	// judging tells that the index had all of it when Purged was asked last, so
	// that SetPurged is true of it; it is set too on a drive of the start, whose
	// scan Indexed waits for.
	judging atomic.Bool
	// cleanStop tells that a former process wrote all down when it stopped.
	cleanStop bool
	// loading tells that scan enters a saved index; it belongs to scan.
	loading     bool
	recordCount recordCount
	// run is in the names of the temporary files that are made since the drive
	// was opened. littered tells that older ones may be there; it belongs to scan.
	run      string
	littered bool
	// changing is set by who takes the drive, or another one in its place, back.
	changing atomic.Bool
	// identified tells that id was read from the drive or written there.
	identified bool
	slowness   slowness // belongs to Store.watch
	faults     faultLog
	scrubbed   scrubState

	state      atomic.Uint32
	readFaults atomic.Int32
	// saving tells that the total is being saved, blank that the drive is new.
	saving atomic.Bool
	blank  bool
	// scanning tells that the start scan lists the drive at this moment.
	scanning atomic.Bool
	retryAt  atomic.Int64 // Unix nanoseconds; when a drive not OK is tried again

	litter litter

	mu sync.Mutex
	// estimate is the part of used that a former process left and that the
	// scan has not found yet; guarded by mu, as are backoff and cause.
	estimate int64
	backoff  time.Duration
	cause    error
	// forgotten counts the entries that were forgotten while it was out of reach.
	forgotten int64
	// outCause is why out is set, under mu too.
	outCause error
}

// openDrive locks and reads a drive. An I/O error leaves it failed or
// read-only; a foreign lock, a newer format or a path that cannot be made is
// returned.
func (s *Store) openDrive(cfg Drive) (*drive, error) {
	d := s.newDrive(cfg)
	if err := s.fs.Mkdir(OpPrepare, d.path); errors.Is(err, syscall.EIO) || errors.Is(err, syscall.EROFS) {
		d.fault(err, false)
	} else if err != nil {
		return nil, fmt.Errorf("make drive %s: %w", d.path, err)
	}
	if err := d.takeLock(); err != nil {
		return nil, err
	}
	if err := d.identify(); err != nil {
		d.unlock()
		return nil, err
	}
	for _, sub := range []string{"chunks", "records", "tmp"} {
		if err := s.fs.Mkdir(OpPrepare, filepath.Join(d.path, sub)); err != nil {
			d.fault(err, false)
		}
	}
	d.clean()
	d.loadTotals()
	d.refreshRoom()
	return d, nil
}

func (s *Store) newDrive(cfg Drive) *drive {
	d := &drive{s: s, num: int(s.set.opened.Add(1)) - 1, path: filepath.Clean(cfg.Path), limit: cfg.Size,
		slots: make(chan struct{}, s.cfg.IOSlots), kick: make(chan struct{}, 1)}
	d.litter.turn = make(chan struct{}, 1)
	d.policy = evict.New[*entry](evict.Config{Share: s.cfg.borrowedShare(cfg.Size)})
	d.id = sha256id(d.path)
	d.run = "." + rand.Text()[:8] + "."
	d.weight.Store(math.Float64bits(float64(d.limit)))
	d.work.init()
	return d
}

// missingDrive stands for a drive that could not be opened.
func (s *Store) missingDrive(cfg Drive, cause error) *drive {
	d := s.newDrive(cfg)
	d.out.Store(outUnopened)
	d.outCause = cause
	s.log.Error("drive is missing; it is taken in when it is back", slog.String("drive", d.path), slog.Any("error", cause))
	return d
}

// close saves what speeds up the next start and lets go of the lock.
func (d *drive) close() error {
	defer d.unlock()
	if d.out.Load() != 0 || State(d.state.Load()) != StateOK {
		return nil
	}
	if d.scanned.Load() {
		d.saveIndex()
	} else {
		d.dropIndex()
	}
	if d.s.cfg.ScrubRate > 0 {
		d.saveScrub()
	}
	return d.saveTotals(true)
}

func sha256id(path string) [16]byte {
	sum := sha256.Sum256([]byte(path))
	return [16]byte(sum[:16])
}

func (d *drive) takeLock() error {
	name := filepath.Join(d.path, "lock")
	f, err := d.s.fs.Open(OpLock, name, os.O_RDWR|os.O_CREATE)
	if err != nil {
		d.fault(err, false)
		f, err = d.s.fs.Open(OpLock, name, os.O_RDONLY)
	}
	if err != nil {
		return nil //nolint:nilerr // nobody can write here, so nobody has to be kept out
	}
	if err := lockFile(f); err != nil {
		_ = f.Close()
		return fmt.Errorf("lock drive %s: %w", d.path, err)
	}
	d.lock = f
	return nil
}

func (d *drive) unlock() {
	if d.lock != nil {
		_ = d.lock.Close()
		d.lock = nil
	}
}

// identify reads the drive's id and format version, or gives it both.
func (d *drive) identify() error {
	name := filepath.Join(d.path, "drive")
	b, err := d.readSmall(OpIdent, name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		d.blank = true
		_, _ = rand.Read(d.id[:])
		text := fmt.Sprintf("mccd drive\nformat %d\nid %x\n", formatVersion, d.id)
		// The other way round a crash in between would make a new drive an old one.
		err := d.savePurged(purgedNothing)
		if err == nil {
			err = d.writeSmall(OpIdent, "drive", name, []byte(text))
		}
		if err != nil {
			d.fault(err, false)
		}
		d.identified = err == nil
		return nil
	case err != nil:
		d.fault(err, false)
		return nil
	}
	id, err := parseIdentity(b)
	if err != nil {
		return fmt.Errorf("open drive %s: %w", d.path, err)
	}
	d.id, d.identified = id, true
	return nil
}

// readID reads the id of the drive that is in d's directory now.
func (d *drive) readID() (id [16]byte, err error) {
	b, err := d.readSmall(OpIdent, filepath.Join(d.path, "drive"))
	if err != nil {
		return id, err
	}
	return parseIdentity(b)
}

// parseIdentity reads what the file "drive" says. Lines that follow the known
// ones belong to newer releases whose content this one can read.
func parseIdentity(b []byte) (id [16]byte, err error) {
	var format int
	var text string
	if _, err := fmt.Sscanf(string(b), "mccd drive\nformat %d\n", &format); err != nil {
		return id, errDamaged
	}
	if format > formatVersion {
		return id, fmt.Errorf("format %d, this release knows up to %d; run the release that wrote it, or a newer one, "+
			"or give mccd another directory: %w", format, formatVersion, ErrFormat)
	}
	if _, err := fmt.Sscanf(string(b), "mccd drive\nformat %d\nid %s\n", &format, &text); err != nil {
		return id, errDamaged
	}
	if n, err := hex.Decode(id[:], []byte(text[:min(len(text), 32)])); err != nil || n != len(id) {
		return id, errDamaged
	}
	return id, nil
}

// readSmall reads a whole small file.
func (d *drive) readSmall(op Op, name string) ([]byte, error) {
	f, err := d.s.fs.Open(op, name, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b := make([]byte, 4096)
	for {
		n, err := d.s.fs.Read(op, f, 0, b)
		if n < len(b) {
			return b[:n], ignoreEOF(err)
		}
		if len(b) >= maxSmall {
			return nil, errDamaged
		}
		b = make([]byte, len(b)*8)
	}
}

// writeSmall writes a small file beside its name and renames it.
func (d *drive) writeSmall(op Op, tag, name string, b []byte) error {
	tmp := d.tmpName(tag)
	f, err := d.s.fs.Open(op, tmp, os.O_RDWR|os.O_CREATE|os.O_TRUNC)
	if errors.Is(err, fs.ErrNotExist) {
		if err = d.makeDirectory(op, filepath.Dir(tmp)); err == nil {
			f, err = d.s.fs.Open(op, tmp, os.O_RDWR|os.O_CREATE|os.O_TRUNC)
		}
	}
	if err != nil {
		return err
	}
	err = d.s.fs.Write(op, f, 0, b)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = d.rename(op, tmp, name)
	}
	if err != nil {
		n := int64(0)
		if op == OpRecord {
			n = charge(int64(len(b)))
		}
		d.discard(litterFile{path: tmp, bytes: n})
	}
	return err
}

// rename moves a temporary file to its name, making the directory if needed.
func (d *drive) rename(op Op, tmp, name string) error {
	err := d.s.fs.Rename(op, tmp, name)
	if errors.Is(err, fs.ErrNotExist) {
		if err = d.makeDirectory(op, filepath.Dir(name)); err == nil {
			err = d.s.fs.Rename(op, tmp, name)
		}
	}
	return err
}

func (d *drive) tmpName(tag string) string {
	return filepath.Join(d.path, "tmp", fmt.Sprintf("%s%s%d", tag, d.run, d.s.serial.Add(1)))
}

// score ranks the drives for a hash: rendezvous, weighted by size, so that
// a drive more or less moves only its share.
func (d *drive) score(hash uint64) float64 {
	h := hash
	for _, b := range d.id {
		h = (h ^ uint64(b)) * 0x100000001b3
	}
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	return -math.Float64frombits(d.weight.Load()) / math.Log((float64(h>>11)+0.5)/(1<<53))
}

// weigh sets by what d is preferred: its limit, or where its file system has
// less left than that what it can come to hold.
func (d *drive) weigh(free int64) {
	can := min(d.limit, d.used.Load()+max(0, free))
	d.weight.Store(math.Float64bits(float64(max(can, d.limit/64, 1))))
}

// ranked returns the drives in the order in which a hash prefers them.
func (s *Store) ranked(hash uint64) []*drive {
	all := s.drives()
	if len(all) == 1 {
		return all
	}
	ds := slices.Clone(all)
	for i := 1; i < len(ds); i++ {
		for j := i; j > 0 && ds[j].score(hash) > ds[j-1].score(hash); j-- {
			ds[j], ds[j-1] = ds[j-1], ds[j]
		}
	}
	return ds
}

func keyHash(key storage.ChunkKey) uint64 { return storage.PlacementHash(key.Object, key.Index) }
