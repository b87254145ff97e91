package peer

import (
	"context"
	"errors"
	"fmt"

	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/storage/disk"
)

// reader follows the chunk files of one object, chunk after chunk, and has
// filled what is missing. It is used by one goroutine and holds at most one
// chunk open.
type reader struct {
	f *Filler
	j *job
	// asOwner forces the flights of this reader to act as owner; otherwise
	// each chunk's route decides.
	asOwner bool
	// early tells that the beginning of a block may be given before it is
	// present: for clients of this node.
	early bool

	chunk *disk.Chunk
	index uint32
	// routed tells that owner is known for the open chunk.
	routed, owner bool
	// mine are flights that this reader started or joined, for telling where
	// bytes came from.
	mine []noted
}

type noted struct {
	fl      *flight
	started bool
}

// open makes index the open chunk.
func (r *reader) open(ctx context.Context, index uint32) error {
	if r.chunk != nil && r.index == index {
		return nil
	}
	r.close()
	chunk, err := r.f.cfg.Store.Create(ctx, r.j.o.Key(index), r.j.o.Version)
	if err != nil {
		return fmt.Errorf("open chunk %s: %w", r.j.o.Key(index), err)
	}
	r.chunk, r.index, r.routed = chunk, index, false
	r.forget(index)
	return nil
}

// acts reports whether flights for the open chunk act as owner. It is asked
// only when bytes are missing, and stays for as long as the chunk is open.
func (r *reader) acts() bool {
	if !r.routed {
		r.routed, r.owner = true, r.asOwner || r.f.actsAsOwner(r.j.o, r.index)
	}
	return r.owner
}

func (r *reader) close() {
	if r.chunk != nil {
		r.chunk.Release()
		r.chunk = nil
	}
}

// forget leaves the flights of chunks before index.
func (r *reader) forget(index uint32) {
	kept := r.mine[:0]
	for _, n := range r.mine {
		if n.fl.key.Index >= index {
			kept = append(kept, n)
		} else {
			r.f.flights.leave(n.fl, r.f.little)
		}
	}
	clear(r.mine[len(kept):])
	r.mine = kept
}

// end lets go of all that the reader holds. Flights that nobody else follows
// end, unless they are about to.
func (r *reader) end() {
	r.close()
	for _, n := range r.mine {
		r.f.flights.leave(n.fl, r.f.little)
	}
	r.mine = nil
}

// note remembers a flight that the reader follows from now on; followed tells
// that it is counted already.
func (r *reader) note(fl *flight, started, followed bool) {
	for _, n := range r.mine {
		if n.fl == fl {
			if followed {
				r.f.flights.leave(fl, r.f.little)
			}
			return
		}
	}
	if !followed {
		fl.tokens.bring(r.j.ref.Query)
		r.f.flights.follow(fl)
	}
	r.mine = append(r.mine, noted{fl, started})
}

// want starts flights for what is missing of span (the object's offsets, in
// one chunk) without waiting; ahead tells that nobody waits for it either.
func (r *reader) want(ctx context.Context, span storage.Span, ahead bool) ([]*flight, error) {
	index := storage.ChunkOf(span.Off)
	rel := span.Shift(-r.j.chunkSpan(index).Off)
	chunk := r.chunk
	if chunk == nil || r.index != index {
		var err error
		if chunk, err = r.f.cfg.Store.Create(ctx, r.j.o.Key(index), r.j.o.Version); err != nil {
			return nil, fmt.Errorf("open chunk %s: %w", r.j.o.Key(index), err)
		}
		defer chunk.Release()
	}
	if len(chunk.Missing(rel)) == 0 {
		return nil, nil
	}
	asOwner := r.asOwner || chunk == r.chunk && r.acts() || chunk != r.chunk && r.f.actsAsOwner(r.j.o, index)
	joined, started, err := r.f.ensure(r.j, chunk, rel, asOwner, ahead)
	for _, fl := range joined {
		r.note(fl, false, true)
	}
	for _, fl := range started {
		r.note(fl, true, true)
	}
	return append(joined, started...), err
}

// next waits until the byte span.Off is present and returns the run of present
// bytes from there, at most span.
func (r *reader) next(ctx context.Context, span storage.Span) (storage.Run, error) {
	if err := r.open(ctx, storage.ChunkOf(span.Off)); err != nil {
		return storage.Run{}, err
	}
	cs := r.j.chunkSpan(r.index)
	rel := span.Intersect(cs).Shift(-cs.Off)
	if rel.Empty() {
		return storage.Run{}, fmt.Errorf("read %s of %d bytes: %w", span, r.j.o.Size(), storage.ErrRange)
	}
	var failed error
	waited := false
	for starts, moves := 0, 0; ; {
		progress := r.chunk.Progress()
		n, err := r.chunk.Ready(ctx, rel)
		switch {
		case n > 0:
			return r.run(rel.Off, n, waited), nil
		case err != nil && reopens(err) && moves < 8:
			moves++
			r.close()
			if err := r.open(ctx, storage.ChunkOf(span.Off)); err != nil {
				return storage.Run{}, err
			}
			continue
		case err != nil:
			return storage.Run{}, fmt.Errorf("read chunk %s: %w", r.chunk.Key(), err)
		}
		fl := r.f.flights.at(r.chunk.Key(), rel.Off, r.acts())
		var done, more <-chan struct{}
		if fl != nil {
			piece := storage.Span{Off: span.Off, End: min(span.End, cs.End)}.Round(storage.PieceSize, r.j.o.Size())
			fl = r.overtake(fl, piece.Intersect(cs).Shift(-cs.Off))
		}
		switch {
		case fl != nil:
			r.note(fl, false, false)
			done = fl.done
			if r.early {
				var bytes []byte
				if bytes, more = fl.early.from(rel.Off); len(bytes) > 0 {
					return r.begun(rel, bytes), nil
				}
			}
		case failed != nil:
			return storage.Run{}, failed
		default:
			if asking := r.f.resolving.ownerAt(r.j.o.ID, r.index); r.acts() && asking != nil {
				done = asking.done // its answer brings bytes of this chunk
				break
			}
			if starts++; starts > 4 {
				return storage.Run{}, fmt.Errorf("fill chunk %s: %w", r.chunk.Key(), storage.ErrBusy)
			}
			piece := storage.Span{Off: span.Off, End: min(span.End, cs.End)}.Round(storage.PieceSize, r.j.o.Size())
			if _, err := r.want(ctx, piece.Intersect(cs), false); err != nil {
				return storage.Run{}, err
			}
			continue
		}
		waited = true
		select {
		case <-progress:
		case <-more:
		case <-done:
			if fl != nil && !errors.Is(fl.err, errAbandoned) && !r.othersToken(fl) {
				failed = fl.err
			}
		case <-ctx.Done():
			return storage.Run{}, context.Cause(ctx)
		}
	}
}

// othersToken reports whether fl ended because the origin refused tokens of
// which none was this reader's: it came too late with its own, which may be good.
func (r *reader) othersToken(fl *flight) bool {
	return refused(fl.err) && !fl.tokens.tried(r.j.ref.Query)
}

// overtake returns the flight by which the bytes from want.Off come first: fl,
// or a new one where fl has much to bring before them.
func (r *reader) overtake(fl *flight, want storage.Span) *flight {
	if r.j.o.Whole != "" || want.Off <= fl.span.Off {
		return fl
	}
	first := r.f.flights.overtake(r.f.ctx, r.j, r.chunk, fl, want)
	if first == nil {
		return fl
	}
	r.f.metrics.overtakes.Inc()
	r.f.launch(first, r.j)
	r.note(first, true, true)
	return first
}

// begun describes bytes, the beginning of a block that is not present yet.
func (r *reader) begun(rel storage.Span, bytes []byte) storage.Run {
	run := r.run(rel.Off, min(rel.Len(), int64(len(bytes))), true)
	run.File, run.Off, run.Bytes = nil, 0, bytes[:run.Len]
	return run
}

// run describes n present bytes from rel on. They count as a flight's if this
// reader began that flight or waited for it, else as the disk's.
func (r *reader) run(rel, n int64, waited bool) storage.Run {
	file, base := r.chunk.File()
	out := storage.Run{File: file, Off: base + rel, Len: n, From: storage.SourceDisk}
	for _, m := range r.mine {
		if (m.started || waited) && m.fl.key == r.chunk.Key() && r.f.flights.fills(m.fl, rel) {
			out.From = m.fl.source()
			out.Collapsed = !m.started
			break
		}
	}
	return out
}
