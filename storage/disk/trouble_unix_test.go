//go:build unix

package disk

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/mccd/mccd/storage"
)

// trouble lets blocks rot and files be evicted while readers read.
func (sc *schedule) trouble(ctx context.Context) {
	for range sc.rand(12) {
		if ctx.Err() != nil {
			return
		}
		d := sc.store.drives()[sc.rand(len(sc.store.drives()))]
		switch sc.rand(4) {
		case 0:
			sc.store.evictOne(d)
			continue
		case 1:
			for _, key := range sc.store.Keys {
				_ = key // looks into files while they change
			}
			continue
		}
		sc.sending.Lock()
		i := sc.rand(blocksOf(int64(len(sc.want))))
		if sc.fs.rot(chunkPath(d.path, sc.key), i, int64(sc.rand(int(blockLen(int64(len(sc.want)), i))))) {
			sc.sum.rots.Add(1)
		}
		sc.sending.Unlock()
	}
}

// decay does to the drives, between two processes, what a power cut and time
// do: bytes that never arrived, flipped bits, cut files.
func (sc *schedule) decay(dirs []string) {
	for _, dir := range dirs {
		_ = filepath.WalkDir(filepath.Join(dir, "chunks"), func(path string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() || sc.rand(2) == 0 {
				return nil
			}
			f, err := os.OpenFile(path, os.O_RDWR, 0)
			if err != nil {
				return err
			}
			defer f.Close()
			size := dataOff + int64(len(sc.want))
			block := dataOff + int64(sc.rand(blocksOf(int64(len(sc.want)))))*storage.BlockSize
			switch sc.rand(6) {
			case 0: // a block never arrived
				_, _ = f.WriteAt(make([]byte, min(storage.BlockSize, size-block)), block)
			case 1: // a part of it
				_, _ = f.WriteAt(make([]byte, min(4096, size-block)), block)
			case 2: // its entry never arrived
				_, _ = f.WriteAt(make([]byte, entrySize), tableOff+(block-dataOff)/storage.BlockSize*entrySize)
			case 3: // the file is cut
				_ = f.Truncate(int64(sc.rand(int(size))))
			case 4: // a bit in header or table
				_ = tryFlip(path, int64(sc.rand(tableOff+tableSize)))
			case 5: // a bit anywhere in the bytes
				_ = tryFlip(path, dataOff+int64(sc.rand(len(sc.want))))
			}
			return nil
		})
	}
}

// explain says which bytes are wrong, and of which file.
func (sc *schedule) explain(c *Chunk, off int64, got []byte) string {
	wrong, first := 0, -1
	for i := range got {
		if got[i] != sc.want[off+int64(i)] {
			if wrong++; first < 0 {
				first = i
			}
		}
	}
	return fmt.Sprintf("%d bytes from %d on, %x for %x; file %s in state %d, present %b, verified %b; %s", wrong, off+int64(first),
		got[first], sc.want[off+int64(first)], c.f.Name(), c.state.Load(), c.present.load(), c.verified.load(), sc.describe())
}

// describe says in what state the chunk is.
func (sc *schedule) describe() string {
	text := fmt.Sprintf("stats %+v, clock %v", sc.store.Stats(), time.Unix(0, sc.clock.Load()))
	for _, d := range sc.store.drives() {
		text += fmt.Sprintf(", drive retried at %v", time.Unix(0, d.retryAt.Load()))
	}
	sh := sc.store.shard(sc.key)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	e := sh.index[sc.key]
	if e == nil || e.chunk == nil {
		return text + fmt.Sprintf(", entry %+v", e)
	}
	c := e.chunk
	c.mu.Lock()
	defer c.mu.Unlock()
	return text + fmt.Sprintf(", chunk in state %d, present %b, writing %b, %d writes, %d uses, stored %v, busy %v",
		c.state.Load(), c.present.load(), c.writing, c.inflight, c.refs, c.Stored(), sh.busy[sc.key] != nil)
}

// audit checks the books when nobody uses anything any more.
func (sc *schedule) audit() error { return auditBooks(sc.store) }

func auditBooks(s *Store) error {
	charged := map[*drive]int64{}
	memory := int64(0)
	for i := range s.shards {
		sh := &s.shards[i]
		sh.mu.Lock()
		if len(sh.busy) > 0 {
			return fmt.Errorf("%d keys stay busy", len(sh.busy))
		}
		for key, e := range sh.index {
			if e.key != key || e.gone {
				return fmt.Errorf("index has a wrong entry for %s", key)
			}
			if c := e.chunk; c != nil && (c.refs != 0 || !c.isIdle || c.inflight != 0 || !c.checking.Empty()) {
				return fmt.Errorf("chunk %s stays in use: %d uses, %d writes", key, c.refs, c.inflight)
			}
			if e.chunk == nil && e.open != 0 || e.chunk != nil && e.open != 1 {
				return fmt.Errorf("chunk %s has %d open files", key, e.open)
			}
			for ; e != nil; e = e.under {
				if e.drive == nil {
					memory += e.bytes.Load()
				} else {
					charged[e.drive] += e.bytes.Load()
				}
			}
		}
		sh.mu.Unlock()
	}
	if got := s.memory.Load(); got != memory {
		return fmt.Errorf("memory files take %d, %d are counted", memory, got)
	}
	for _, d := range s.drives() {
		d.mu.Lock()
		estimate := d.estimate
		d.mu.Unlock()
		d.litter.mu.Lock()
		for _, f := range d.litter.files {
			charged[d] += f.bytes
		}
		d.litter.mu.Unlock()
		if got := d.used.Load() - estimate; got != charged[d] {
			return fmt.Errorf("files on drive %d take %d, %d are counted", d.num, charged[d], got)
		}
		if s.scans.Load() == 0 && d.used.Load() > d.limit {
			return fmt.Errorf("drive %d is over its limit", d.num)
		}
	}
	return nil
}
