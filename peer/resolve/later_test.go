package resolve

import (
	"context"
	"log/slog"
	"sync"
	"testing"

	"github.com/mccd/mccd/storage"
)

// slowDisk lets each write wait.
type slowDisk struct {
	mu   sync.Mutex
	kept map[storage.ObjectID]*storage.Object
	puts int
	gate chan struct{}
	// begun, if not nil, is told of each write that begins.
	begun chan struct{}
}

func (d *slowDisk) Record(id storage.ObjectID) (*storage.Object, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if o := d.kept[id]; o != nil {
		return o, nil
	}
	return nil, context.DeadlineExceeded // any
}

func (d *slowDisk) PutRecord(o *storage.Object) error {
	if d.begun != nil {
		d.begun <- struct{}{}
	}
	<-d.gate
	d.mu.Lock()
	defer d.mu.Unlock()
	d.kept[o.ID] = o
	d.puts++
	return nil
}

func (d *slowDisk) DropRecord(id storage.ObjectID) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.kept, id)
	return nil
}

// A publication waits for no drive; the newest record reaches it in the end, also
// where it was pushed out of memory, and Settle waits for that.
func TestPublishDoesNotWaitForTheDrive(t *testing.T) {
	d := &slowDisk{kept: make(map[storage.ObjectID]*storage.Object), gate: make(chan struct{})}
	var running sync.WaitGroup
	c := NewCache(d, 1, nil, func(work func()) bool { running.Go(work); return true }, slog.New(slog.DiscardHandler))
	ids := []storage.ObjectID{{1}, {2}, {3}}
	for n := uint64(1); n <= 5; n++ {
		for _, id := range ids { // one of the three is in memory at a time
			if got := c.Publish(&storage.Object{ID: id, Registration: n}); got == nil || got.Registration != n {
				t.Fatalf("published %d, kept %+v", n, got)
			}
		}
	}
	settled := make(chan error, 1)
	go func() { settled <- c.Settle(t.Context()) }()
	select {
	case err := <-settled:
		t.Fatalf("settled with the drive at rest: %v", err)
	default:
	}
	close(d.gate)
	if err := <-settled; err != nil {
		t.Fatal(err)
	}
	running.Wait()
	for _, id := range ids {
		if o, err := d.Record(id); err != nil || o.Registration != 5 {
			t.Errorf("of %v the drive has %+v, %v; want registration 5", id, o, err)
		}
	}
}

// What a purge overtakes on its way to the drive is not left there.
func TestPurgedOnItsWayToTheDrive(t *testing.T) {
	d := &slowDisk{kept: make(map[storage.ObjectID]*storage.Object), gate: make(chan struct{}), begun: make(chan struct{}, 1)}
	var running sync.WaitGroup
	var mu sync.Mutex
	dead := false
	judge := func(o *storage.Object, _ bool) *storage.Object {
		mu.Lock()
		defer mu.Unlock()
		if dead {
			return nil
		}
		return o
	}
	c := NewCache(d, 10, judge, func(work func()) bool { running.Go(work); return true }, slog.New(slog.DiscardHandler))
	c.Publish(&storage.Object{ID: storage.ObjectID{1}, Registration: 1})
	<-d.begun
	mu.Lock()
	dead = true
	mu.Unlock()
	close(d.gate)
	running.Wait()
	if len(d.kept) != 0 {
		t.Error("a purged record stays on the drive")
	}
}
