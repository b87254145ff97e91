package resolve

import (
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/mccd/mccd/storage"
)

// noDisk keeps nothing.
type noDisk struct{}

func (noDisk) Record(storage.ObjectID) (*storage.Object, error) { return nil, errors.New("none") }
func (noDisk) PutRecord(*storage.Object) error                  { return nil }
func (noDisk) DropRecord(storage.ObjectID) error                { return nil }

// A record may come from a home that counts ahead of this one: another node's
// that started later, or this node's own before its clock was set back. What
// the origin says now must take its place all the same.
func TestRegisterOverRecordOfHomeThatCountsAhead(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	clock := func() time.Time { return now }
	cache := NewCache(noDisk{}, 0, nil, nil, slog.New(slog.DiscardHandler))
	home := NewHome(cache, clock)

	id := storage.ObjectID{1}
	cache.Publish(&storage.Object{
		ID: id, Version: storage.Version{Kind: storage.ValidatorETag, ETag: `"1"`, Size: 10},
		ValidatedAt: now.Add(-time.Hour), FreshFor: time.Minute,
		Registration: uint64(now.Add(time.Hour).UnixNano()),
	})
	for _, etag := range []string{`"1"`, `"2"`} { // confirmed, then changed
		g, err := home.Acquire(t.Context(), id, Query{})
		if err != nil || g.Lease == 0 || g.Stale == nil {
			t.Fatalf("no lease with a stale record: %+v, %v", g, err)
		}
		o := &storage.Object{
			ID: id, Version: storage.Version{Kind: storage.ValidatorETag, ETag: etag, Size: 10},
			ValidatedAt: now, FreshFor: time.Minute,
		}
		got := home.Register(id, g.Lease, o)
		if got.Version.ETag != etag || !got.Fresh(now) {
			t.Errorf("registered %s, but the current record is %s, fresh: %v", etag, got.Version.ETag, got.Fresh(now))
		}
		if got.Registration <= g.Stale.Registration {
			t.Errorf("registration %d does not follow %d", got.Registration, g.Stale.Registration)
		}
		now = now.Add(time.Hour)
	}
}
