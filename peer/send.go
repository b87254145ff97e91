package peer

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"

	peerv1 "github.com/mccd/mccd/proto/mccd/peer/v1"
	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/storage/disk"
)

// stallTime is how long a message may take to leave before its call is given up:
// its reader, or the network, stands still, and its memory is for others.
const stallTime = 10 * time.Second

// errStalled ends the call of a caller that does not take what it is sent; it
// asks again here when it does.
var errStalled = status.Error(codes.ResourceExhausted, "what was sent is not taken")

// departure is one message of data on its way: the memory that it is in, which
// comes back when the connection has written it.
type departure struct {
	pacer *pacer
	peer  string
	once  sync.Once
	left  chan struct{}
}

// Get implements mem.BufferPool; nobody calls it.
func (*departure) Get(n int) *[]byte { return buffers.Get(n) }

// Put implements mem.BufferPool: the message is written.
func (d *departure) Put(b *[]byte) {
	buffers.Put(b)
	d.over()
}

// over gives the message's place back, at the first call.
func (d *departure) over() {
	d.once.Do(func() {
		d.pacer.give(d.peer)
		close(d.left)
	})
}

// sendRun sends a run of chunk, which begins at offset in the object and is
// whole blocks, as messages of at most frameBytes. Each is read once from the
// chunk file into memory that goes to the connection as it is, and bears the
// checksums by which the blocks were stored, so that what happens to them from
// there on is found by the receiver. While one message leaves the next is read.
func (c *fillCall) sendRun(ctx context.Context, chunk *disk.Chunk, run storage.Run, offset int64) error {
	for run.Len > 0 {
		n := min(run.Len, frameBytes)
		if err := c.f.pacer.take(ctx, c.m.GetCaller()); err != nil {
			return err
		}
		d := &departure{pacer: c.f.pacer, peer: c.m.GetCaller(), left: make(chan struct{})}
		buf := buffers.Get(int(n))
		if _, err := run.File.ReadAt(*buf, run.Off); err != nil { // a short read too
			d.Put(buf)
			return fmt.Errorf("read chunk file: %w", err)
		}
		m := &frame{offset: offset, data: mem.BufferSlice{mem.NewBuffer(buf, d)}}
		m.sum(chunk, offset%storage.ChunkSize, n)
		if err := c.depart(ctx, m, d); err != nil {
			return err
		}
		run.Off += n
		run.Len -= n
		offset += n
	}
	return nil
}

// depart sends a message of data when the one before it has left. The message
// and its place are taken care of in any case.
func (c *fillCall) depart(ctx context.Context, m *frame, d *departure) error {
	if err := c.departed(ctx); err != nil {
		m.data.Free()
		return err
	}
	return c.beats.send(func() error {
		c.leaving = d
		return c.stream.SendMsg(m)
	})
}

// departed waits until the last message of data has left.
func (c *fillCall) departed(ctx context.Context) error {
	if c.leaving == nil {
		return nil
	}
	select {
	case <-c.leaving.left:
		return nil
	default:
	}
	timer := time.NewTimer(stallTime)
	defer timer.Stop()
	select {
	case <-c.leaving.left:
		return nil
	case <-timer.C:
		return errStalled
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// beat tells the caller that this node lives, unless data is on its way, which
// tells so itself: a beat would have to wait behind it.
func (c *fillCall) beat() error {
	if c.leaving != nil {
		select {
		case <-c.leaving.left:
		default:
			return nil
		}
	}
	return c.stream.SendMsg(&peerv1.FillResponse{State: c.state})
}

// settle waits, at the end of a call, until its data has left, so that the last
// word does not have to wait in the connection.
func (c *fillCall) settle(ctx context.Context, err error) error {
	if errors.Is(err, errStalled) {
		return err
	}
	if left := c.departed(ctx); left != nil && (err == nil || errors.Is(left, errStalled)) {
		return left
	}
	return err
}

// forsake gives the place of a message back that never left: its connection is
// gone, or its call has ended.
func (c *fillCall) forsake() {
	if c.leaving != nil {
		c.leaving.over()
	}
}

// sum notes the checksums of the n bytes from rel on in chunk, unless one of
// their blocks has gone meanwhile.
func (f *frame) sum(chunk *disk.Chunk, rel, n int64) {
	first, end := int(rel/storage.BlockSize), int((rel+n+storage.BlockSize-1)/storage.BlockSize)
	for i := first; i < end; i++ {
		sum, ok := chunk.Sum(i)
		if !ok {
			f.summed = 0
			return
		}
		f.sums[f.summed] = sum
		f.summed++
	}
}
