package storage

import (
	"fmt"
	"net/http"
	"testing"
	"time"
)

func etagged(tag string, at time.Time) *Object {
	return &Object{Version: Version{Kind: ValidatorETag, ETag: tag, Size: 10}, ValidatedAt: at, Registration: 5}
}

func tagsOf(o *Object) (out string) {
	for _, p := range o.Past {
		out += p.Version.ETag
	}
	return out
}

func TestPastOfAnObject(t *testing.T) {
	start := time.Unix(1_800_000_000, 0)
	at := func(m int) time.Time { return start.Add(time.Duration(m) * time.Minute) }
	a := etagged("a", at(0))
	if got := etagged("a", at(1)).After(a); got.Past != nil {
		t.Errorf("confirmed, it has had %q", tagsOf(got))
	}
	b := etagged("b", at(2)).After(a)
	if tagsOf(b) != "a" || !b.Past[0].Until.Equal(at(2)) || len(a.Past) != 0 {
		t.Fatalf("changed, it has had %q until %v", tagsOf(b), b.Past)
	}
	if got := etagged("b", at(3)).After(b); tagsOf(got) != "a" || !got.Past[0].Until.Equal(at(2)) {
		t.Errorf("confirmed after a change, it has had %q", tagsOf(got))
	}
	if !b.Had(a.Version.ID(), at(16)) || b.Had(a.Version.ID(), at(17)) || b.Had(b.Version.ID(), at(3)) || !b.Changed(at(3)) || b.Changed(at(17)) {
		t.Error("what it had lately is not told right")
	}
	// A version that comes back is not past any more, and the newest time counts.
	again := etagged("a", at(4)).After(b)
	if tagsOf(again) != "b" {
		t.Errorf("back again, it has had %q", tagsOf(again))
	}
	if third := etagged("c", at(5)).After(again); tagsOf(third) != "ab" {
		t.Errorf("the third has had %q", tagsOf(third))
	}
	// What is known by either counts.
	told := etagged("d", at(6))
	told.Past = []Past{{Version: b.Version, Until: at(5)}}
	if got := told.After(again); tagsOf(got) != "ab" {
		t.Errorf("of both it has had %q", tagsOf(got))
	}
	purged := etagged("e", at(7))
	purged.Version.Mark = "00000000000000a1"
	if got := purged.After(again); len(got.Past) != 0 {
		t.Errorf("after a purge it has had %q", tagsOf(got))
	}
}

func TestPastIsBounded(t *testing.T) {
	start := time.Unix(1_800_000_000, 0)
	o := etagged("0", start)
	for i := range 100 {
		o = etagged(fmt.Sprint(i+1), start.Add(time.Duration(i+1)*time.Second)).After(o)
	}
	if len(o.Past) != pastMost || o.Past[0].Version.ETag != "99" {
		t.Errorf("%d versions, the newest %q", len(o.Past), o.Past[0].Version.ETag)
	}
	o = etagged("late", start.Add(time.Hour)).After(o)
	if len(o.Past) != pastOld || o.Past[0].Version.ETag != "100" {
		t.Errorf("an hour later %d versions: %q", len(o.Past), tagsOf(o))
	}
}

func TestEarlierRecord(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	o := etagged("b", now).After(etagged("a", now))
	o.FreshFor = time.Hour
	o.Header = http.Header{"Content-Type": {"x/y"}, "Etag": {"b"}, "Repr-Digest": {"of b"}}
	e := o.Earlier(o.Past[0])
	if e.Version.ETag != "a" || e.Fresh(now) || e.Registration >= o.Registration || len(e.Past) != 0 ||
		e.Header.Get("Etag") != "a" || e.Header.Get("Repr-Digest") != "" || e.Header.Get("Content-Type") != "x/y" {
		t.Errorf("%+v", e)
	}
	if o.Version.ETag != "b" || o.Header.Get("Etag") != "b" {
		t.Error("the present record was changed")
	}
}
