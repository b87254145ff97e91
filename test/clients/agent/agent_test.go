package agent

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mccd/mccd/test/clients/wire"
)

// The table of docs/clients.md section 5.
func TestBans(t *testing.T) {
	for name, tt := range map[string]struct {
		why      Failure
		one, all bool
	}{
		"403":                     {Failure{Cause: CauseStatus, Status: 403}, true, false},
		"404":                     {Failure{Cause: CauseStatus, Status: 404}, true, false},
		"416":                     {Failure{Cause: CauseStatus, Status: 416}, true, false},
		"429":                     {Failure{Cause: CauseStatus, Status: 429}, true, false},
		"500":                     {Failure{Cause: CauseStatus, Status: 500}, false, false},
		"503":                     {Failure{Cause: CauseStatus, Status: 503}, false, false},
		"refused":                 {Failure{Cause: CauseRefused}, true, true},
		"no name":                 {Failure{Cause: CauseNoName}, true, true},
		"connect time-out":        {Failure{Cause: CauseConnect}, true, true},
		"slow":                    {Failure{Cause: CauseSlow}, true, true},
		"closed without answer":   {Failure{Cause: CauseNoAnswer}, false, false},
		"closed in mid-body, 206": {Failure{Cause: CauseCut, Status: 206}, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			now := time.Unix(1e9, 0)
			b := NewBans(func() time.Time { return now })
			if _, set := b.Note("cache", "h", &tt.why); set != tt.one {
				t.Errorf("set: %v", set)
			}
			if b.Banned("cache", "h") != tt.one || b.Banned("cache", "other") != tt.all || b.Banned("another", "h") {
				t.Errorf("banned: %v, for others %v, another cache %v", b.Banned("cache", "h"), b.Banned("cache", "other"), b.Banned("another", "h"))
			}
			now = now.Add(BanTime - 1)
			if b.Banned("cache", "h") != tt.one {
				t.Error("over before its time")
			}
			if now = now.Add(1); b.Banned("cache", "h") || b.Banned("cache", "other") {
				t.Error("not over after its time")
			}
		})
	}
}

func TestName(t *testing.T) {
	n := NewName("cache", 2, "a", "b", "c")
	for _, want := range [][]string{{"a", "b"}, {"b", "c"}, {"c", "a"}, {"a", "b"}} {
		if got := n.Lookup(); !slices.Equal(got, want) {
			t.Errorf("%v, not %v", got, want)
		}
	}
	n.Remove("b")
	n.Add("a")
	for range 3 {
		if got := n.Lookup(); len(got) != 2 || slices.Contains(got, "b") {
			t.Errorf("%v", got)
		}
	}
	n.Remove("a")
	n.Remove("c")
	if got := n.Lookup(); got != nil {
		t.Errorf("an empty name: %v", got)
	}
}

func TestBackOff(t *testing.T) {
	times := Contract()
	for i, want := range []int{2, 4, 8, 16, 30, 30, 30} {
		if got := times.BackOff(i); got != time.Duration(want)*time.Second {
			t.Errorf("wait %d: %v", i, got)
		}
	}
}

func TestCachePath(t *testing.T) {
	for path, want := range map[string]string{
		"/a":           "/a?cacheHostOrigin=h",
		"/a?P1=1&P4=%": "/a?P1=1&P4=%&cacheHostOrigin=h",
	} {
		if got := CachePath(path, "h"); got != want {
			t.Errorf("%s", got)
		}
	}
}

func TestDigest(t *testing.T) {
	v, err := Digest("x", strings.NewReader(strings.Repeat("a", PieceSize+1)), PieceSize+1)
	if err != nil || len(v.Pieces) != 2 {
		t.Fatalf("%d pieces, %v", len(v.Pieces), err)
	}
	o := Object{Versions: []Version{v}}
	if name, ok := o.Find(v.Whole); !ok || name != "x" {
		t.Error("not found")
	}
	if _, ok := o.Find(v.Pieces[0]); ok {
		t.Error("a piece is no version")
	}
	if _, err := Digest("x", strings.NewReader("a"), 2); err == nil {
		t.Error("a short object has a digest")
	}
}

func TestCauses(t *testing.T) {
	for err, want := range map[error]Cause{
		wire.ErrRefused: CauseRefused, wire.ErrConnect: CauseConnect, wire.ErrSlow: CauseSlow, wire.ErrNoAnswer: CauseNoAnswer, errors.New("x"): CauseCut,
	} {
		if got := failure("a", err, CauseCut); got.Cause != want {
			t.Errorf("%v: %s", err, got.Cause)
		}
	}
	f := &Failure{Cause: CauseStatus, Status: 503, Addr: "a", Off: 5}
	if f.Kind() != "status 503" || !strings.Contains(f.Error(), "status 503") || !strings.Contains(f.Error(), "byte 5") {
		t.Errorf("%s, %v", f.Kind(), f)
	}
}
