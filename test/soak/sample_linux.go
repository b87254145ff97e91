package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/mccd/mccd/test/process"
)

// sample is one second of one node.
type sample struct {
	at   time.Duration
	node int
	// resident is memory; held what the node's drive holds, with the files
	// that have no name any more; counted what the node says of it.
	resident, held, counted int64
	// answered tells that the node's metrics came in time: counted, goroutines
	// and evictions are known.
	answered bool
	// deleted files are open, sockets too, other descriptors neither.
	deleted, sockets, other, goroutines int
	evictions                           float64
}

// take samples one node. What its drive holds is read file by file while they
// come and go; where that is more than limit (0 = none) it is read again with
// the process held.
func take(ctx context.Context, n *process.Node, at time.Duration, limit int64) (sample, error) {
	s := sample{at: at, node: n.Index}
	usage, err := n.Usage()
	if err != nil {
		return s, err
	}
	s.resident = usage.Resident
	if err := s.files(n); err != nil {
		return s, err
	}
	if limit > 0 && s.held > limit {
		err := n.Pause()
		if err == nil {
			err = errors.Join(s.files(n), n.Resume())
		}
		if err != nil {
			return s, err
		}
	}
	asking, cancel := context.WithTimeout(ctx, 900*time.Millisecond)
	defer cancel()
	m, err := n.Metrics(asking)
	if err != nil {
		return s, nil
	}
	s.answered = true
	s.counted = int64(m.Sum("mccd_disk_bytes"))
	s.evictions = m.Sum("mccd_disk_evictions_total")
	s.goroutines = int(m.Sum("go_goroutines"))
	return s, nil
}

// files counts what the drive holds and what the process has open.
func (s *sample) files(n *process.Node) error {
	s.held, s.deleted, s.sockets, s.other = 0, 0, 0, 0
	seen := map[uint64]bool{}
	err := filepath.WalkDir(n.Drive, func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			var fi fs.FileInfo
			if fi, err = e.Info(); err == nil {
				s.held += taken(fi)
				seen[fi.Sys().(*syscall.Stat_t).Ino] = true
			}
		}
		if os.IsNotExist(err) {
			return nil
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("walk the drive: %w", err)
	}
	dir := fmt.Sprintf("/proc/%d/fd", n.PID())
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		fd := filepath.Join(dir, e.Name())
		to, err := os.Readlink(fd)
		switch {
		case err != nil:
		case strings.HasPrefix(to, n.Drive+"/"):
			if fi, err := os.Stat(fd); err == nil && fi.Sys().(*syscall.Stat_t).Nlink == 0 {
				s.deleted++
				if ino := fi.Sys().(*syscall.Stat_t).Ino; !seen[ino] {
					seen[ino] = true
					s.held += taken(fi)
				}
			}
		case strings.HasPrefix(to, "socket:"):
			s.sockets++
		default:
			s.other++
		}
	}
	return nil
}

func taken(fi fs.FileInfo) int64 { return fi.Sys().(*syscall.Stat_t).Blocks * 512 }

// watch samples all nodes each second until ctx ends; yield is called by one
// goroutine at a time.
func watch(ctx context.Context, nodes []*process.Node, limit int64, yield func(sample)) error {
	begun := time.Now()
	var wg sync.WaitGroup
	var mu sync.Mutex // guards yield
	errs := make([]error, len(nodes))
	for i, n := range nodes {
		wg.Go(func() {
			tick := time.NewTicker(time.Second)
			defer tick.Stop()
			for {
				s, err := take(ctx, n, time.Since(begun), limit)
				if ctx.Err() != nil {
					return
				}
				if err != nil {
					errs[i] = fmt.Errorf("sample %s: %w", n.Name, err)
					return
				}
				mu.Lock()
				yield(s)
				mu.Unlock()
				select {
				case <-ctx.Done():
					return
				case <-tick.C:
				}
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}
