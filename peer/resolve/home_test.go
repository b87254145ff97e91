package resolve_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mccd/mccd/peer/resolve"
	"github.com/mccd/mccd/storage"
)

type memoryDisk map[storage.ObjectID]*storage.Object

func (m memoryDisk) Record(id storage.ObjectID) (*storage.Object, error) {
	if o := m[id]; o != nil {
		return o, nil
	}
	return nil, errors.New("none")
}

func (m memoryDisk) PutRecord(o *storage.Object) error {
	m[o.ID] = o
	return nil
}

func (m memoryDisk) DropRecord(id storage.ObjectID) error {
	delete(m, id)
	return nil
}

func object(etag string, fresh time.Duration) *storage.Object {
	return &storage.Object{
		ID: storage.ObjectID{1}, ValidatedAt: time.Now(), FreshFor: fresh,
		Version: storage.Version{Kind: storage.ValidatorETag, ETag: etag, Size: 10},
	}
}

func newHome() (*resolve.Home, *resolve.Cache) {
	cache := resolve.NewCache(memoryDisk{}, 0, nil, nil, slog.New(slog.DiscardHandler))
	return resolve.NewHome(cache, time.Now), cache
}

type outcome struct {
	g   resolve.Grant
	err error
}

func acquire(h *resolve.Home, q resolve.Query) <-chan outcome {
	done := make(chan outcome, 1)
	go func() {
		g, err := h.Acquire(context.Background(), storage.ObjectID{1}, q)
		done <- outcome{g, err}
	}()
	return done
}

func TestOneLeaseAndAllWakeOnIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, _ := newHome()
		first := <-acquire(h, resolve.Query{})
		if first.g.Lease == 0 || first.g.Record != nil {
			t.Fatalf("first got %+v, want a lease", first)
		}
		second, third := acquire(h, resolve.Query{}), acquire(h, resolve.Query{})
		synctest.Wait()
		select {
		case got := <-second:
			t.Fatalf("second did not wait: %+v", got)
		default:
		}
		current := h.Register(storage.ObjectID{1}, first.g.Lease, object(`"a"`, time.Hour))
		for _, waiter := range []<-chan outcome{second, third, acquire(h, resolve.Query{})} {
			if got := <-waiter; got.err != nil || got.g.Record != current {
				t.Errorf("waiter got %+v, want the registered record", got)
			}
		}
	})
}

func TestErrorReachesAllWhoWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, _ := newHome()
		first := <-acquire(h, resolve.Query{})
		second := acquire(h, resolve.Query{})
		synctest.Wait()
		h.Fail(storage.ObjectID{1}, first.g.Lease, storage.ErrUpstream)
		if got := <-second; !errors.Is(got.err, storage.ErrUpstream) {
			t.Errorf("waiter got %+v", got)
		}
		if got := <-acquire(h, resolve.Query{}); got.g.Lease == 0 {
			t.Errorf("an error was kept: %+v", got)
		}
	})
}

func TestLostLeaseIsFenced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, cache := newHome()
		first := <-acquire(h, resolve.Query{})
		second := acquire(h, resolve.Query{})
		synctest.Wait()
		h.Lose(storage.ObjectID{1}, first.g.Lease)
		got := <-second
		if got.g.Lease <= first.g.Lease {
			t.Fatalf("second got %+v, want a later lease", got)
		}
		newer := h.Register(storage.ObjectID{1}, got.g.Lease, object(`"new"`, time.Hour))
		if late := h.Register(storage.ObjectID{1}, first.g.Lease, object(`"late"`, time.Hour)); late != newer {
			t.Errorf("a lost lease registered %q", late.Version.ETag)
		}
		if kept := cache.Record(storage.ObjectID{1}); kept.Version.ETag != `"new"` {
			t.Errorf("kept %q", kept.Version.ETag)
		}
	})
}

func TestFreshnessAndRefutation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, _ := newHome()
		g := <-acquire(h, resolve.Query{})
		o := h.Register(storage.ObjectID{1}, g.g.Lease, object(`"a"`, time.Minute))
		if got := <-acquire(h, resolve.Query{Always: true}); got.g.Lease == 0 || got.g.Stale != o {
			t.Errorf("always: %+v, want a lease with the record", got)
		} else {
			h.Lose(storage.ObjectID{1}, got.g.Lease)
		}
		refuted := resolve.Query{Refuted: o.Version.ID(), Registration: o.Registration}
		if got := <-acquire(h, refuted); got.g.Lease == 0 {
			t.Errorf("a refuted version answered: %+v", got)
		} else {
			h.Lose(storage.ObjectID{1}, got.g.Lease)
		}
		time.Sleep(2 * time.Minute) //nolint:forbidigo // fake time
		if got := <-acquire(h, resolve.Query{}); got.g.Lease == 0 || got.g.Stale != o {
			t.Errorf("stale: %+v, want a lease with the record", got)
		}
	})
}

// A home that started earlier than the one that registered the record can
// still register.
func TestHomesPassEachOthersNumbers(t *testing.T) {
	h, cache := newHome()
	other := object(`"a"`, 0)
	other.Registration = uint64(time.Now().Add(time.Hour).UnixNano())
	cache.Publish(other)
	g := <-acquire(h, resolve.Query{})
	if now := h.Register(storage.ObjectID{1}, g.g.Lease, object(`"b"`, time.Hour)); now.Version.ETag != `"b"` {
		t.Errorf("the newer version was not registered: %+v", now)
	}
	if now := cache.Record(storage.ObjectID{1}); now.Version.ETag != `"b"` || now.Registration <= other.Registration {
		t.Errorf("kept %+v", now)
	}
}

func TestAcquireEndsWithItsContext(t *testing.T) {
	h, _ := newHome()
	<-acquire(h, resolve.Query{})
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("gone"))
	if _, err := h.Acquire(ctx, storage.ObjectID{1}, resolve.Query{}); err == nil || err.Error() != "gone" {
		t.Errorf("got %v", err)
	}
}

// A home that knows less than who asks it does not answer by what it has, and
// what is registered then is newer than both; earlier versions are kept.
func TestHomeThatKnowsLess(t *testing.T) {
	h, cache := newHome()
	id := storage.ObjectID{1}
	g := <-acquire(h, resolve.Query{})
	first := h.Register(id, g.g.Lease, object(`"a"`, time.Hour))
	ahead := first.Registration + uint64(time.Hour)
	got := <-acquire(h, resolve.Query{Registration: ahead})
	if got.g.Lease == 0 || got.g.Stale != first {
		t.Fatalf("%+v, want a lease", got)
	}
	told := object(`"b"`, time.Hour)
	told.Registration = ahead
	told.Past = []storage.Past{{Version: storage.Version{Kind: storage.ValidatorETag, ETag: `"c"`, Size: 10}, Until: time.Now()}}
	now := h.Register(id, got.g.Lease, told)
	if now.Registration <= ahead || now.Version.ETag != `"b"` || len(now.Past) != 2 {
		t.Errorf("registered %+v", now)
	}
	if kept := cache.Record(id); kept.Registration != now.Registration || len(kept.Past) != 2 {
		t.Errorf("kept %+v", kept)
	}
	if got := <-acquire(h, resolve.Query{Registration: now.Registration}); got.g.Record == nil {
		t.Errorf("fresh, and the asker knows no more: %+v", got)
	}
}
