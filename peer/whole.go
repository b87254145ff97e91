package peer

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/storage/origin"
)

// wholes are the fills of whole objects in progress on this node: of origins
// that ignore Range or give nothing by which two answers could be joined.
type wholes struct {
	mu    sync.Mutex // guards byKey
	byKey map[wholeKey]*whole
}

type wholeKey struct {
	object  storage.ObjectID
	version storage.VersionID
}

// whole is one such fill; done is closed at its end, err set before.
type whole struct {
	query string // with which it was asked for; it may hold a token
	done  chan struct{}
	err   error
}

func newWholes() *wholes { return &wholes{byKey: make(map[wholeKey]*whole)} }

// start returns the fill in progress for key, or a new one that the caller is
// to run.
func (t *wholes) start(key wholeKey, query string) (w *whole, mine bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if w = t.byKey[key]; w != nil {
		return w, false
	}
	w = &whole{query: query, done: make(chan struct{})}
	t.byKey[key] = w
	return w, true
}

// at returns the fill in progress for key, nil when there is none.
func (t *wholes) at(key wholeKey) *whole {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.byKey[key]
}

func (t *wholes) end(key wholeKey, w *whole, err error) {
	t.mu.Lock()
	delete(t.byKey, key)
	t.mu.Unlock()
	w.err = err
	close(w.done)
}

func keyOfWhole(o *storage.Object) wholeKey {
	return wholeKey{object: o.ID, version: o.Version.ID()}
}

// fillWhole fills the chunk of fl by filling its object from one answer of the
// origin, or by waiting for who does. It returns when the flight's blocks are
// present.
func (f *Filler) fillWhole(fl *flight, j *job, s *sink) error {
	for tries := 0; ; tries++ {
		query, err := f.fillWholeOnce(fl, j, s)
		if !refused(err) || !fl.tokens.refuse(query) || tries >= maxTokens {
			return err // else another's token may do
		}
	}
}

// fillWholeOnce returns also the query with which it was asked for.
func (f *Filler) fillWholeOnce(fl *flight, j *job, s *sink) (query string, err error) {
	key := keyOfWhole(j.o)
	own := *j
	own.ref.Query = fl.tokens.next()
	w, mine := f.wholes.start(key, own.ref.Query)
	switch {
	case mine && len(s.missing(fl.span)) == 0:
		f.wholes.end(key, w, nil) // the last one ended after this flight looked
	case mine:
		if !f.detach(func() { f.wholes.end(key, w, f.fetchWhole(&own)) }) {
			f.wholes.end(key, w, errStopped)
		}
	}
	return w.query, f.untilPresent(fl, j, w)
}

// untilPresent waits until the blocks of fl are there or w has ended.
func (f *Filler) untilPresent(fl *flight, j *job, w *whole) error {
	chunk, err := f.cfg.Store.Create(f.ctx, fl.key, j.o.Version)
	if err != nil {
		return err
	}
	defer func() { chunk.Release() }()
	for ended := false; ; {
		progress := chunk.Progress()
		missing := chunk.Missing(fl.span)
		if len(missing) == 0 {
			return nil
		}
		if _, err := chunk.Ready(f.ctx, missing[0]); reopens(err) {
			again, err := f.cfg.Store.Create(f.ctx, fl.key, j.o.Version)
			if err != nil {
				return err
			}
			chunk.Release()
			chunk = again
			continue
		}
		if ended {
			if w.err == nil {
				return fmt.Errorf("fill object whole: %w", storage.ErrBusy)
			}
			return w.err
		}
		select {
		case <-progress:
		case <-w.done:
			ended = true // its last blocks may have come meanwhile
		case <-f.ctx.Done():
			return context.Cause(f.ctx)
		}
	}
}

// fetchWhole asks for the object once more, whole.
func (f *Filler) fetchWhole(j *job) error {
	resp, err := f.request(origin.Request{Ref: j.ref, Rule: j.rule, Whole: true}, j.o)
	if err != nil {
		return f.fetchFailed(j, err)
	}
	if resp.Object.Version.ID() != j.o.Version.ID() {
		f.newVersion(j, resp)
		return storage.ErrVersionGone
	}
	return f.storeWhole(j.o, resp)
}

// storeWhole writes the body, which is the object from its first byte to its
// last, chunk after chunk.
func (f *Filler) storeWhole(o *storage.Object, resp *origin.Response) error {
	defer func() { _ = resp.Body.Close() }()
	for index := range uint32(storage.Chunks(o.Size())) {
		s, err := f.openSink(f.ctx, o.Key(index), o.Version)
		if err != nil {
			return err
		}
		began := time.Now()
		n, err := s.copyFrom(resp.Body, storage.Span{End: s.length()})
		f.fromOrigin(o.Host, n, time.Since(began))
		s.close()
		f.untold(s.key) // who acts for it is asked for it should this node fail
		if err != nil {
			return err
		}
	}
	return nil
}

// adoptWhole lets a 200 that came in place of a range fill the object, and
// waits for its end: the bytes are on their way already.
func (f *Filler) adoptWhole(j *job, resp *origin.Response) error {
	key := keyOfWhole(j.o)
	w, mine := f.wholes.start(key, j.ref.Query)
	if !mine {
		_ = resp.Body.Close()
		<-w.done
		return w.err
	}
	err := f.storeWhole(j.o, resp)
	f.wholes.end(key, w, err)
	return err
}

// startWhole lets resp fill o in the background.
func (f *Filler) startWhole(o *storage.Object, resp *origin.Response) {
	key := keyOfWhole(o)
	w, mine := f.wholes.start(key, "")
	if !mine {
		_ = resp.Body.Close()
		return
	}
	if !f.detach(func() { f.wholes.end(key, w, f.storeWhole(o, resp)) }) {
		_ = resp.Body.Close()
		f.wholes.end(key, w, errStopped)
	}
}
