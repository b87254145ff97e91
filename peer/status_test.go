package peer

import (
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/storage/disk"
	"github.com/mccd/mccd/storage/origin"
)

// Each end of a fill means the same on the other node.
func TestFailuresCrossNodes(t *testing.T) {
	for _, tt := range []struct {
		err   error
		is    error
		final bool
	}{
		{storage.ErrVersionGone, storage.ErrVersionGone, true},
		{fmt.Errorf("x: %w", origin.ErrStall), storage.ErrUpstream, true},
		{origin.ErrLie, storage.ErrUpstream, true},
		{storage.ErrBusy, storage.ErrBusy, false},
		{storage.ErrLength, storage.ErrLength, true},
		{storage.ErrUncacheable, storage.ErrUncacheable, true},
		{storage.ErrRange, storage.ErrRange, true},
		{disk.ErrNotHeld, disk.ErrNotHeld, false},
		{errNotServed, errNotServed, false},
		{errors.New("own trouble"), errTrouble, false},
	} {
		got := failureFromProto(failureToProto(tt.err))
		if !errors.Is(got, tt.is) || final(got) != tt.final {
			t.Errorf("%v arrives as %v (final %t)", tt.err, got, final(got))
		}
	}
	sent := &storage.StatusError{Code: 404, Header: http.Header{"X-A": {"1", "2"}}}
	got := failureFromProto(failureToProto(fmt.Errorf("y: %w", sent)))
	status, ok := errors.AsType[*storage.StatusError](got)
	if !ok || status.Code != 404 || len(status.Header["X-A"]) != 2 || !final(got) {
		t.Errorf("a status arrives as %#v", got)
	}
}

func TestRecordsCrossNodes(t *testing.T) {
	now := time.Now()
	ref := storage.Ref{Scheme: "http", Host: "h.test", Path: "/a%2f", Query: "P1=x"}
	o := &storage.Object{
		ID: ref.ID(), Host: ref.Host, Path: ref.Path,
		Version:     storage.Version{Kind: storage.ValidatorETag, ETag: `"e"`, LastModified: "lm", Size: 99},
		Header:      http.Header{"Content-Type": {"a/b"}},
		ValidatedAt: now.Add(-time.Minute), FreshFor: time.Hour, Whole: "n", Registration: 7, Stamp: storage.Stamp{Cluster: "c", Generation: 2, Index: 3},
		Past: []storage.Past{{Version: storage.Version{Kind: storage.ValidatorETag, ETag: `"d"`, Size: 98}, Until: now.Add(-time.Hour), Whole: "m"}},
	}
	// The other node's clock is hours off.
	got, err := recordFromProto(ref, recordToProto(o, now), now.Add(5*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if got.Version != o.Version || got.Whole != "n" || got.Registration != 7 || got.Stamp != o.Stamp ||
		got.Header.Get("Content-Type") != "a/b" || got.ID != o.ID {
		t.Errorf("got %+v", got)
	}
	if len(got.Past) != 1 || got.Past[0].Version != o.Past[0].Version || got.Past[0].Whole != "m" || now.Add(5*time.Hour).Sub(got.Past[0].Until) != time.Hour {
		t.Errorf("earlier versions: %+v", got.Past)
	}
	if b := bare(o); len(b.Past) != 0 || len(o.Past) != 1 || b.Version != o.Version {
		t.Errorf("without its earlier versions: %+v", b)
	}
	if age := now.Add(5 * time.Hour).Sub(got.ValidatedAt); age != time.Minute {
		t.Errorf("age %s, want 1m", age)
	}
	for name, spoil := range map[string]func(*storage.Object){
		"unknown size":        func(o *storage.Object) { o.Version.Size = -1 },
		"impossible size":     func(o *storage.Object) { o.Version.Size = 1 << 55 },
		"unknown kind":        func(o *storage.Object) { o.Version.Kind = 99 },
		"bad earlier version": func(o *storage.Object) { o.Past = []storage.Past{{Version: storage.Version{Size: -1}}} },
		"endless past":        func(o *storage.Object) { o.Past = make([]storage.Past, maxPast+1) },
		"negative window":     func(o *storage.Object) { o.FreshFor = -1 },
	} {
		bad := *o
		spoil(&bad)
		if _, err := recordFromProto(ref, recordToProto(&bad, now), now); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}
