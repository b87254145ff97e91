package disk

import (
	"context"
	"encoding/binary"
	"hash/crc32"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/mccd/mccd/storage"
)

// The file "index" of a drive: what a clean stop knew, so that the next start
// knows it at once. DESIGN.md has the byte table.
const (
	indexMagic   = "MCCDINDX"
	indexVersion = 1
	indexHead    = 16 // magic, version, number of entries
	indexEntry   = 56
	indexTail    = 4 // CRC32C of all before
	// maxIndex bounds what is read of one.
	maxIndex = indexHead + indexTail + indexEntry<<24
)

// indexed is one entry of a saved index.
type indexed struct {
	key     storage.ChunkKey
	bytes   int64
	used    uint32 // Unix minutes
	present Bitmap
	listed  bool
}

// saveIndex writes down what the index has of d. It fails silently: the next
// start scans.
func (d *drive) saveIndex() {
	d.litter.mu.Lock()
	left := len(d.litter.files)
	d.litter.mu.Unlock()
	if left > 0 {
		return // a scan is to find it
	}
	b := make([]byte, indexHead, indexHead+indexTail+indexEntry*int(max(0, d.chunks.Load())))
	n := 0
	for i := range d.s.shards {
		sh := &d.s.shards[i]
		sh.mu.Lock()
		for key, e := range sh.index {
			if e.drive != d {
				if e = e.under; e == nil || e.drive != d {
					continue
				}
			}
			x := indexed{key: key, bytes: e.bytes.Load(), used: e.used.Load(), present: e.present, listed: e.listed}
			if e.chunk != nil {
				x.present, x.listed = e.chunk.present.load(), true
			}
			b = x.append(b)
			n++
		}
		sh.mu.Unlock()
	}
	copy(b, indexMagic)
	binary.LittleEndian.PutUint32(b[8:], indexVersion)
	binary.LittleEndian.PutUint32(b[12:], uint32(n))
	b = binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
	d.writeIndex(b)
}

// dropIndex removes an index that a former stop left and that nobody took: it
// is not true any more.
func (d *drive) dropIndex() { _ = d.s.fs.Remove(OpIndex, filepath.Join(d.path, "index")) }

// writeIndex puts a saved index into its place, beside which it is written.
func (d *drive) writeIndex(b []byte) {
	name := filepath.Join(d.path, "index")
	f, err := d.s.fs.Open(OpIndex, name+".new", os.O_RDWR|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return
	}
	err = d.s.fs.Write(OpIndex, f, 0, b)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = d.s.fs.Rename(OpIndex, name+".new", name)
	}
	if err != nil {
		_ = d.s.fs.Remove(OpIndex, name+".new")
	}
}

func (x *indexed) append(b []byte) []byte {
	le := binary.LittleEndian
	b = append(append(b, x.key.Object[:]...), x.key.Version[:]...)
	b = le.AppendUint32(b, x.key.Index)
	b = le.AppendUint32(b, uint32(x.bytes))
	b = le.AppendUint32(b, x.used)
	b = le.AppendUint64(le.AppendUint64(b, x.present[0]), x.present[1])
	flags := uint32(0)
	if x.listed {
		flags = 1
	}
	return le.AppendUint32(b, flags)
}

// parseIndex reads a saved index; false when it is not whole or of another
// version.
func parseIndex(b []byte) ([]indexed, bool) {
	le := binary.LittleEndian
	if len(b) < indexHead+indexTail || string(b[:8]) != indexMagic || le.Uint32(b[8:]) != indexVersion {
		return nil, false
	}
	body := b[:len(b)-indexTail]
	n := int(le.Uint32(b[12:]))
	if crc32.Checksum(body, castagnoli) != le.Uint32(b[len(body):]) || len(body) != indexHead+n*indexEntry {
		return nil, false
	}
	out := make([]indexed, n)
	for i := range out {
		p, x := body[indexHead+i*indexEntry:], &out[i]
		copy(x.key.Object[:], p)
		copy(x.key.Version[:], p[16:])
		x.key.Index = le.Uint32(p[24:])
		x.bytes = int64(le.Uint32(p[28:]))
		x.used = le.Uint32(p[32:])
		x.present = Bitmap{le.Uint64(p[36:]), le.Uint64(p[44:])}
		x.listed = le.Uint32(p[52:])&1 == 1
	}
	return out, true
}

// takeIndex reads the index that a clean stop left and removes it for good: what
// is written from now on is not in it. nil = there is none to be believed.
func (d *drive) takeIndex() []indexed {
	clean := d.cleanStop
	d.cleanStop = false // a second try would come too late
	name := filepath.Join(d.path, "index")
	f, err := d.s.fs.Open(OpIndex, name, os.O_RDONLY)
	if err != nil {
		return nil
	}
	defer f.Close()
	info, err := d.s.fs.Stat(OpIndex, f)
	if err != nil || info.Size > maxIndex {
		clean = false
	}
	var b []byte
	if clean {
		b = make([]byte, info.Size)
		_, err = d.s.fs.Read(OpIndex, f, 0, b)
	}
	if rerr := d.s.fs.Remove(OpIndex, name); rerr != nil || err != nil || !clean {
		return nil
	}
	dir, err := os.Open(d.path)
	if err != nil {
		return nil
	}
	defer dir.Close()
	if err := dir.Sync(); err != nil && runtime.GOOS != "windows" { // which syncs no directory
		return nil // it may be back after a power cut, when it is not true any more
	}
	entries, _ := parseIndex(b)
	return entries
}

// looked corrects what a saved index told of e by what the file itself says. The
// shard is locked.
func (e *entry) looked(i Info) {
	if !e.told {
		return
	}
	e.told = false
	switch more := chargeOf(i) - e.bytes.Load(); {
	case more > 0:
		e.grow(more)
		e.drive.chargeFound(more)
	case more < 0:
		e.grow(more)
		e.drive.used.Add(more)
	}
}

// lookForTold looks for the files of d that a saved index told of and the scan did
// not find: one that is not there leaves the index.
func (s *Store) lookForTold(ctx context.Context, d *drive) {
	for i := range s.shards {
		sh := &s.shards[i]
		var keys []storage.ChunkKey
		sh.mu.Lock()
		for key, e := range sh.index {
			if e.drive == d && e.told {
				keys = append(keys, key)
			}
		}
		sh.mu.Unlock()
		for _, key := range keys {
			if c, err := s.Lookup(key); err == nil {
				c.Release()
			}
			if ctx.Err() != nil {
				return
			}
		}
	}
}

// loadIndex enters what a clean stop left, which makes the index complete. The
// scan that follows finds what it lacks.
func (s *Store) loadIndex(ctx context.Context, d *drive) {
	begun := s.now()
	entries := d.takeIndex()
	if entries == nil {
		return
	}
	d.loading = true
	defer func() { d.loading = false }()
	for i := range entries {
		x := &entries[i]
		s.found(ctx, d, x.key, Info{Bytes: x.bytes, Used: time.Unix(int64(x.used)*60, 0)})
		sh := s.shard(x.key)
		sh.mu.Lock()
		if e := sh.index[x.key]; e != nil && e.drive == d && e.open == 0 && !e.listed {
			e.told, e.present, e.listed = true, x.present, x.listed
		}
		sh.mu.Unlock()
		if ctx.Err() != nil {
			return
		}
	}
	d.complete()
	s.log.Info("index of the last stop taken over", "drive", d.path, "chunks", len(entries), "took", s.now().Sub(begun))
}
