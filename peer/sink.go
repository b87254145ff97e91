package peer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"google.golang.org/grpc/mem"

	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/storage/disk"
)

// sink writes the bytes of one flight into its chunk file, block by block.
type sink struct {
	f       *Filler
	key     storage.ChunkKey
	version storage.Version
	writer  *disk.Writer
	early   *early // of the flight; nil where only whole blocks are given away
}

// openSink opens the chunk for writing; it waits while the chunk is repaired.
func (f *Filler) openSink(ctx context.Context, key storage.ChunkKey, v storage.Version) (*sink, error) {
	s := &sink{f: f, key: key, version: v}
	if err := s.open(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *sink) open(ctx context.Context) error {
	for range 4 {
		chunk, err := s.f.cfg.Store.Create(ctx, s.key, s.version)
		if err != nil {
			return fmt.Errorf("open chunk %s: %w", s.key, err)
		}
		writer, err := chunk.BeginWrite()
		chunk.Release() // the writer holds it
		if err == nil {
			s.writer = writer
			return nil
		}
		if !reopens(err) {
			return fmt.Errorf("open chunk %s: %w", s.key, err)
		}
	}
	return fmt.Errorf("open chunk %s: %w", s.key, storage.ErrBusy)
}

func (s *sink) close() { s.writer.End() }

// reopens reports whether a chunk's bytes go on in another file, to be had by
// opening the chunk again.
func reopens(err error) bool {
	return errors.Is(err, disk.ErrCondemned) || errors.Is(err, disk.ErrMoved)
}

// block writes block i, in pieces. A block that is there already is left. The
// writer follows its chunk to another file by itself.
func (s *sink) block(i int, pieces [][]byte) error {
	if err := s.writer.WriteBlock(i, pieces); err != nil {
		return fmt.Errorf("fill: %w", err)
	}
	return nil
}

// summedBlock is block for bytes that came with their checksum: they are hashed
// once, and refused with disk.ErrSum where they are others.
func (s *sink) summedBlock(i int, pieces [][]byte, sum uint32) error {
	if err := s.writer.WriteBlockSum(i, pieces, sum); err != nil {
		return fmt.Errorf("fill: %w", err)
	}
	return nil
}

// missing returns what of span is not present.
func (s *sink) missing(span storage.Span) []storage.Span { return s.writer.Chunk().Missing(span) }

// length returns the chunk's length in bytes.
func (s *sink) length() int64 { return s.writer.Chunk().Len() }

// blockLen returns the length of block i of the chunk.
func (s *sink) blockLen(i int) int64 {
	return min(storage.BlockSize, s.length()-int64(i)*storage.BlockSize)
}

// copyFrom writes the bytes of r into span, which is whole blocks. It returns
// how far it came, in bytes that are present.
func (s *sink) copyFrom(r io.Reader, span storage.Span) (int64, error) {
	buf := blocks.Get().(*[storage.BlockSize]byte)
	defer func() { blocks.Put(buf) }()
	if s.early != nil {
		defer s.early.done()
	}
	done := int64(0)
	for off := span.Off; off < span.End; {
		i := int(off / storage.BlockSize)
		n := s.blockLen(i)
		lent, err := s.early.readBlock(r, buf[:n], off)
		if err == nil {
			err = s.block(i, [][]byte{buf[:n]})
		}
		if lent { // clients may be reading it
			buf = new([storage.BlockSize]byte)
		}
		if err != nil {
			return done, err
		}
		off += n
		done += n
	}
	return done, nil
}

// blocks holds buffers of one block; they are not cleared.
var blocks = sync.Pool{New: func() any { return new([storage.BlockSize]byte) }} //nolint:gochecknoglobals // a pool

// errCorrupt: bytes of a peer are not those that it has a checksum of. They are
// dropped, and to be had from another source.
var errCorrupt = fmt.Errorf("%w: a block does not match its checksum", errTrouble)

// frameData writes the whole blocks of a message of data, without copying them,
// and returns how many bytes it wrote. Blocks that do not match their checksums
// are left out, with errCorrupt at the end.
func (s *sink) frameData(m *frame) (int64, error) {
	rel := m.offset - int64(s.key.Index)*storage.ChunkSize
	if rel < 0 || rel%storage.BlockSize != 0 || rel+int64(m.data.Len()) > s.length() {
		return 0, errBadMessage
	}
	blocks := (m.data.Len() + storage.BlockSize - 1) / storage.BlockSize
	if m.summed != 0 && m.summed != blocks {
		return 0, errBadMessage
	}
	cursor := pieceCursor{data: m.data}
	var total int64
	var corrupt error
	left := int64(m.data.Len())
	for k := range blocks {
		i := int(rel/storage.BlockSize) + k
		n := s.blockLen(i)
		if n > left {
			return total, errBadMessage
		}
		left -= n
		var err error
		if pieces := cursor.take(int(n)); m.summed > 0 {
			err = s.summedBlock(i, pieces, m.sums[k])
		} else {
			err = s.block(i, pieces)
		}
		switch {
		case errors.Is(err, disk.ErrSum):
			s.f.metrics.corrupt.Inc()
			corrupt = errCorrupt
		case err != nil:
			return total, err
		default:
			total += n
		}
	}
	return total, corrupt
}

// pieceCursor cuts the memory of a message into the pieces of its blocks.
type pieceCursor struct {
	data   mem.BufferSlice
	rest   []byte
	pieces [][]byte
}

// take returns the next n bytes in pieces, valid until the next call.
func (c *pieceCursor) take(n int) [][]byte {
	c.pieces = c.pieces[:0]
	for n > 0 {
		if len(c.rest) == 0 {
			c.rest, c.data = c.data[0].ReadOnlyData(), c.data[1:]
			continue
		}
		k := min(n, len(c.rest))
		c.pieces = append(c.pieces, c.rest[:k])
		c.rest = c.rest[k:]
		n -= k
	}
	return c.pieces
}
