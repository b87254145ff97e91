package peer

import (
	"fmt"

	"google.golang.org/grpc/mem"

	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/storage/disk"
)

// sendRun sends a run of chunk, which begins at offset in the object and is
// whole blocks, as messages of at most frameBytes. Each is read once from the
// chunk file into memory that goes to the connection as it is, and bears the
// checksums by which the blocks were stored, so that what happens to them from
// there on is found by the receiver.
func (c *fillCall) sendRun(chunk *disk.Chunk, run storage.Run, offset int64) error {
	for run.Len > 0 {
		n := min(run.Len, frameBytes)
		buf := buffers.Get(int(n))
		if _, err := run.File.ReadAt(*buf, run.Off); err != nil { // a short read too
			buffers.Put(buf)
			return fmt.Errorf("read chunk file: %w", err)
		}
		m := &frame{offset: offset, data: mem.BufferSlice{mem.NewBuffer(buf, &buffers)}}
		m.sum(chunk, offset%storage.ChunkSize, n)
		if err := c.send(m); err != nil {
			return err
		}
		run.Off += n
		run.Len -= n
		offset += n
	}
	return nil
}

// sum notes the checksums of the n bytes from rel on in chunk, unless one of
// their blocks has gone meanwhile.
func (m *frame) sum(chunk *disk.Chunk, rel, n int64) {
	first, end := int(rel/storage.BlockSize), int((rel+n+storage.BlockSize-1)/storage.BlockSize)
	for i := first; i < end; i++ {
		sum, ok := chunk.Sum(i)
		if !ok {
			m.summed = 0
			return
		}
		m.sums[m.summed] = sum
		m.summed++
	}
}
