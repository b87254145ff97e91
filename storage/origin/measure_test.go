package origin

import (
	"bytes"
	"errors"
	"io"
	"os"
	"testing"

	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/test/faultorigin"
)

func spooling(t *testing.T, bytes int64) Config {
	t.Helper()
	return Config{Spool: Spool{Dir: t.TempDir(), Bytes: bytes}}
}

// In profile do every answer tells its length.
func TestLengthIsFound(t *testing.T) {
	unranged := faultorigin.Behaviour{Chunked: true, IgnoreRange: true}
	for _, tt := range []struct {
		name   string
		req    Request
		script []faultorigin.Behaviour
		ranges []string // asked for, in order
		kind   storage.ValidatorKind
	}{
		{"a range ignored", Request{Span: span(5, 1000)}, []faultorigin.Behaviour{unranged}, []string{"bytes=5-999"}, storage.ValidatorLastModifiedLength},
		{"whole, a range tells", Request{Whole: true}, []faultorigin.Behaviour{{Requests: []int{1}, Chunked: true}}, []string{"", "bytes=0-"}, storage.ValidatorLastModifiedLength},
		{"whole, a range does not tell", Request{Whole: true}, []faultorigin.Behaviour{unranged}, []string{"", "bytes=0-"}, storage.ValidatorLastModifiedLength},
		{"total unknown, all tells", Request{Span: span(0, 10)}, []faultorigin.Behaviour{{Requests: []int{1}, ContentRange: "bytes 0-9/*"}}, []string{"bytes=0-9", "bytes=0-"}, storage.ValidatorLastModifiedLength},
		{"total never told", Request{Span: span(0, 10)}, []faultorigin.Behaviour{{Requests: []int{1}, ContentRange: "bytes 0-9/*"}, {Requests: []int{2}, ContentRange: "bytes 0-299999/*"}},
			[]string{"bytes=0-9", "bytes=0-", ""}, storage.ValidatorLastModifiedLength},
		{"no validator", Request{Span: span(0, 10)}, []faultorigin.Behaviour{{Chunked: true, IgnoreRange: true, NoValidators: true}}, []string{"bytes=0-9"}, storage.ValidatorNone},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := spooling(t, size)
			b := newBed(t, cfg, tt.script...)
			resp, err := b.fetch(t, tt.req)
			if err != nil {
				t.Fatal(err)
			}
			v := resp.Object.Version
			if resp.Span != span(0, size) || v.Size != size || v.Kind != tt.kind || resp.RangeIgnored == tt.req.Whole || !resp.Cacheable {
				t.Errorf("span %v, version %+v, ignored %t, cacheable %t", resp.Span, v, resp.RangeIgnored, resp.Cacheable)
			}
			right(t, resp, "1", span(0, size))
			_ = resp.Body.Close()
			_ = resp.Body.Close()
			for i, e := range b.origin.Ledger().Requests(path) {
				if i >= len(tt.ranges) || e.Header.Get("Range") != tt.ranges[i] || e.Header.Get("Accept-Encoding") != "identity" {
					t.Errorf("request %d: %v", i+1, e.Header)
				}
			}
			if s := b.client.spools; s.bytes != 0 || s.files != 0 {
				t.Errorf("%d bytes in %d files are still counted", s.bytes, s.files)
			}
			if left, err := os.ReadDir(cfg.Spool.Dir); err != nil || len(left) != 0 {
				t.Errorf("left behind: %v, %v", left, err)
			}
		})
	}
}

// What cannot be measured within the bounds is refused, and the room given back.
func TestLengthThatCannotBeHad(t *testing.T) {
	unranged := faultorigin.Behaviour{Chunked: true, IgnoreRange: true}
	for _, tt := range []struct {
		name   string
		room   int64
		script faultorigin.Behaviour
		want   error
	}{
		{"nothing is spooled", 0, unranged, storage.ErrLength},
		{"longer than the spool", size - 1, unranged, storage.ErrLength},
		{"only the connection tells the end", size, faultorigin.Behaviour{UntilClose: true, IgnoreRange: true}, storage.ErrLength},
		{"breaks off", size, faultorigin.Behaviour{Chunked: true, IgnoreRange: true, Break: faultorigin.Reset, After: 4000}, storage.ErrUpstream},
		{"ends early", size, faultorigin.Behaviour{Chunked: true, IgnoreRange: true, Break: faultorigin.Short, After: 4000}, storage.ErrUpstream},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBed(t, spooling(t, tt.room), tt.script)
			if _, err := b.fetch(t, Request{Span: span(0, 1000)}); !errors.Is(err, tt.want) {
				t.Errorf("%v, want %v", err, tt.want)
			}
			if s := b.client.spools; s.bytes != 0 || s.files != 0 {
				t.Errorf("%d bytes in %d files are still counted", s.bytes, s.files)
			}
		})
	}
}

// Who asks for what is too long is told at once the next time.
func TestTooLongIsRemembered(t *testing.T) {
	b := newBed(t, spooling(t, size-1), faultorigin.Behaviour{Chunked: true, IgnoreRange: true})
	gate := faultorigin.NewGate()
	b.origin.Script(path, faultorigin.Behaviour{Requests: []int{1}, Chunked: true, IgnoreRange: true},
		faultorigin.Behaviour{Chunked: true, IgnoreRange: true, BodyGate: gate, HoldAfter: 1})
	for range 2 { // the second would wait for the gate
		if _, err := b.fetch(t, Request{Span: span(0, 1000)}); !errors.Is(err, storage.ErrLength) {
			t.Fatal(err)
		}
	}
	gate.Open()
}

func TestSpoolIsBoundedInAll(t *testing.T) {
	s := newSpools(Spool{Dir: t.TempDir(), Bytes: 1000})
	first, err := s.open()
	if err != nil {
		t.Fatal(err)
	}
	if err := first.fill(bytes.NewReader(make([]byte, 700))); err != nil {
		t.Fatal(err)
	}
	second, err := s.open()
	if err != nil {
		t.Fatal(err)
	}
	if err := second.fill(bytes.NewReader(make([]byte, 700))); !errors.Is(err, storage.ErrBusy) {
		t.Errorf("no room, but perhaps later: %v", err)
	}
	_ = second.Close()
	_ = first.Close()
	if _, err := first.Read(make([]byte, 1)); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("a closed spool is read: %v", err)
	}
	var open []*spooled
	for range maxSpooled {
		f, err := s.open()
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, f)
	}
	if _, err := s.open(); !errors.Is(err, storage.ErrBusy) {
		t.Errorf("one more file than allowed: %v", err)
	}
	for _, f := range open {
		_ = f.Close()
	}
	if s.files != 0 || s.bytes != 0 {
		t.Errorf("%d files and %d bytes are still counted", s.files, s.bytes)
	}
}
