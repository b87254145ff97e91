package disk

import (
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"syscall"
	"time"
)

const (
	fullRetry    = time.Second
	brokenRetry  = 30 * time.Second
	maxFullRetry = 30 * time.Second
	maxRetry     = 10 * time.Minute
	maxSmall     = 1 << 20
)

// classify returns the state that an error puts a drive into.
func classify(err error, read bool) State {
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return StateFull
	case read:
		return StateFailed
	default: // EROFS, EACCES, EPERM, EIO: what it holds may still be readable
		return StateReadOnly
	}
}

// fault notes that an operation on d failed. A drive that cannot be written
// takes no new chunks until a later attempt succeeds; one that cannot be read,
// maxReadFaults times in a row, is dropped.
func (d *drive) fault(err error, read bool) {
	if err == nil || ownTrouble(err) {
		return
	}
	if read && d.readFaults.Add(1) < maxReadFaults {
		return
	}
	to := classify(err, read)
	now := d.s.now()
	d.mu.Lock()
	was := State(d.state.Load())
	first, most := brokenRetry, maxRetry
	if to == StateFull {
		first, most = fullRetry, maxFullRetry
	}
	if was != to {
		d.backoff = first
	} else if now.UnixNano() >= d.retryAt.Load() {
		d.backoff = min(d.backoff*2, most)
	}
	d.cause = err
	d.retryAt.Store(now.Add(d.backoff).UnixNano())
	d.state.Store(uint32(to))
	d.mu.Unlock()
	if was != to {
		d.s.metrics.transition(d, to)
		d.s.log.Warn("drive cannot be used as before", slog.String("drive", d.path),
			slog.String("state", to.String()), slog.String("was", was.String()), slog.Any("error", err))
	}
}

// recovered notes that a write (or, of a failed drive, a read) succeeded.
func (d *drive) recovered(read bool) {
	if read && d.readFaults.Load() != 0 {
		d.readFaults.Store(0)
	}
	was := State(d.state.Load())
	if was == StateOK || read && was != StateFailed {
		return
	}
	d.mu.Lock()
	was = State(d.state.Load())
	d.state.Store(uint32(StateOK))
	d.cause, d.backoff = nil, 0
	d.mu.Unlock()
	if was != StateOK {
		if was == StateFailed {
			d.rescan() // what was asked of it meanwhile may be elsewhere now
		}
		d.s.metrics.transition(d, StateOK)
		d.s.log.Info("drive can be used again", slog.String("drive", d.path), slog.String("was", was.String()))
	}
}

// writable reports whether d may be given something to write: it is OK, or it
// is time to try again.
func (d *drive) writable() bool {
	return d.out.Load() == 0 && (State(d.state.Load()) == StateOK || d.s.now().UnixNano() >= d.retryAt.Load())
}

// accepts reports whether d may be given something new to keep.
func (d *drive) accepts() bool { return !d.leaving.Load() && d.writable() }

// readable reports whether d may be read.
func (d *drive) readable() bool {
	return d.out.Load() == 0 && (State(d.state.Load()) != StateFailed || d.s.now().UnixNano() >= d.retryAt.Load())
}

// ownTrouble tells errors that say nothing of the drive.
func ownTrouble(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrExist) || errors.Is(err, fs.ErrClosed) ||
		errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) || errors.Is(err, syscall.ENOMEM) ||
		errors.Is(err, errNoRoom) || errors.Is(err, errOut) || errors.Is(err, errTooLong) || errors.Is(err, errStale) || errors.Is(err, io.EOF)
}

func ignoreEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}
