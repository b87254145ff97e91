package disk

import (
	"context"
	"fmt"
)

// Freed is what FreeDrive did.
type Freed struct {
	// Files were evicted, which took Bytes. Those that readers still have open count
	// against the limit until they let go.
	Files int
	Bytes int64
	// Busy files were in use, or could not be removed; Pinned ones stay by an
	// operator's wish. Both are counted only when the room asked for was not had.
	Busy, Pinned int
	// Room is what is free below the drive's limit now.
	Room int64
}

// FreeDrive evicts files of the drive at path, what is worth least first and of
// that the coldest, until room bytes are free below its limit, or nothing more
// can go. More than the limit means all that can go. What was freed is filled
// again as clients ask. It fails, with what was done, when ctx ends or the drive
// can not be written; ErrDrive when path is none of the store's.
func (s *Store) FreeDrive(ctx context.Context, path string, room int64) (Freed, error) {
	var f Freed
	d := s.driveAt(path)
	if d == nil {
		return f, fmt.Errorf("free drive %s: %w", path, ErrDrive)
	}
	var busy aside
	defer func() { busy.back(s, d) }()
	for tries := d.policy.Len(); tries > 0 && d.limit-d.used.Load() < room; tries-- {
		if err := context.Cause(ctx); err != nil {
			return d.freed(f), fmt.Errorf("free drive %s: %w", path, err)
		}
		if State(d.state.Load()) != StateFull && !d.writable() {
			return d.freed(f), fmt.Errorf("free drive %s: %w", path, errUnwritable)
		}
		e, was, ok := d.policy.Take()
		if !ok {
			break
		}
		if now := s.worth(e); now != was && now != WorthOld {
			if d.policy.Return(e, now); now != WorthPinned {
				tries++ // it comes again, as what it is
			}
			continue
		}
		n := e.bytes.Load()
		if !s.evict(e) {
			busy = append(busy, e)
			continue
		}
		f.Files++
		f.Bytes += n
	}
	if d.limit-d.used.Load() >= room {
		return d.freed(f), nil
	}
	f.Busy = len(busy)
	f.Pinned, _ = d.policy.Usage(WorthPinned)
	return d.freed(f), nil
}

func (d *drive) freed(f Freed) Freed {
	f.Room = max(0, d.limit-d.used.Load())
	return f
}
