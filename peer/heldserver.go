package peer

import (
	"context"
	"errors"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	peerv1 "github.com/mccd/mccd/proto/mccd/peer/v1"
	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/storage/disk"
)

// serveByKey serves HELD and PROBE of a chunk that the caller names by its key.
func (c *fillCall) serveByKey(ctx context.Context) error {
	key, err := keyFromProto(c.m.GetKey())
	span := storage.Span{Off: c.m.GetOffset(), End: c.m.GetEnd()}
	if err != nil || c.m.GetMode() == peerv1.FillRequest_MODE_FILL || span.Off < 0 || span.Empty() ||
		storage.ChunkOf(span.Off) != key.Index || storage.ChunkOf(span.End-1) != key.Index {
		return status.Error(codes.InvalidArgument, "the chunk is not well named")
	}
	return c.held(ctx, key, span)
}

// held answers with what is on disk, or comes from the origin already, and goes
// no further.
func (c *fillCall) held(ctx context.Context, key storage.ChunkKey, span storage.Span) error {
	chunk, err := c.f.cfg.Store.Lookup(key)
	if c.m.GetMode() == peerv1.FillRequest_MODE_PROBE {
		held := c.f.flights.onTheirWay(key)
		if err == nil {
			present := chunk.Presence()
			held[0], held[1] = held[0]|present[0], held[1]|present[1]
			chunk.Release()
		} else if !errors.Is(err, disk.ErrNotHeld) {
			return err
		}
		return c.send(&peerv1.FillResponse{Presence: &peerv1.Presence{Words: held[:]}})
	}
	if errors.Is(err, disk.ErrNotHeld) && c.o != nil && c.f.flights.sentAt(key, span.Off%storage.ChunkSize) != nil {
		chunk, err = c.f.cfg.Store.Create(ctx, key, c.o.Version) // its flight is about to
	}
	if err != nil {
		return err
	}
	defer chunk.Release()
	if err := c.doing(peerv1.FillResponse_STATE_DISK); err != nil {
		return err
	}
	base := int64(key.Index) * storage.ChunkSize
	rel := span.Shift(-base).Intersect(storage.Span{End: chunk.Len()})
	file, fileBase := chunk.File()
	for rel.Off < rel.End {
		progress := chunk.Progress()
		n, err := chunk.Ready(ctx, rel)
		if err != nil {
			return err
		}
		if n == 0 {
			if err := c.follow(ctx, key, rel.Off, progress); err != nil {
				return err
			}
			continue
		}
		if err := c.sendRun(ctx, chunk, storage.Run{File: file, Off: fileBase + rel.Off, Len: n}, base+rel.Off); err != nil {
			return err
		}
		c.f.metrics.served.WithLabelValues("held").Add(float64(n))
		rel.Off += n
	}
	return nil
}

// follow waits for progress of a flight that gets the byte off from the origin.
// It was at the origin when the waiting began; a flight that itself waits for a
// node is never sent, so nobody waits in a circle.
func (c *fillCall) follow(ctx context.Context, key storage.ChunkKey, off int64, progress <-chan struct{}) error {
	fl := c.f.flights.sentAt(key, off)
	if fl == nil {
		select {
		case <-progress: // it ended between the look at the chunk and at the flights
			return nil
		default:
			return disk.ErrNotHeld
		}
	}
	c.f.flights.follow(fl)
	defer c.f.flights.leave(fl, c.f.little)
	select {
	case <-progress:
		return nil
	case <-fl.done:
		if errors.Is(fl.err, errAbandoned) {
			return disk.ErrNotHeld
		}
		return fl.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
