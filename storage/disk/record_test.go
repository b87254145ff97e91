package disk

import (
	"bytes"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/mccd/mccd/storage"
)

func record(path string) *storage.Object {
	return &storage.Object{
		ID: storage.Ref{Scheme: "http", Host: "cdn.test", Path: path}.ID(), Host: "cdn.test", Path: path,
		Version:     storage.Version{Kind: storage.ValidatorETag, ETag: `"e"`, LastModified: "lm", Size: 1 << 40, Nonce: 7, Variant: "gzip", Mark: "00000000000000a1"},
		Header:      http.Header{"Content-Type": {"text/plain; \xe9"}, "X-Two": {"a", "b"}, "X-Empty": {""}},
		ValidatedAt: time.Unix(1_800_000_000, 123), FreshFor: time.Hour, Whole: "node-3", Registration: 9,
		Stamp: storage.Stamp{Cluster: "0123456789abcdef0123456789abcdef", Generation: 3, Index: 11},
		Past: []storage.Past{
			{Version: storage.Version{Kind: storage.ValidatorLastModifiedLength, LastModified: "then", Size: 8, Mark: "00000000000000a1"}, Until: time.Unix(1_700_000_000, 5)},
			{Version: storage.Version{Kind: storage.ValidatorNone, Nonce: 3, Variant: "v"}, Until: time.Unix(1_600_000_000, 0), Whole: "node-1"},
		},
	}
}

// A record without earlier versions is byte for byte that of a release which
// knows of none.
func TestRecordWithoutPast(t *testing.T) {
	o := record("/a")
	long, err := encodeRecord(o, time.Unix(1, 0))
	if err != nil {
		t.Fatal(err)
	}
	o.Past = nil
	short, err := encodeRecord(o, time.Unix(1, 0))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(short[24:], long[24:len(short)]) {
		t.Error("earlier versions change what is before them")
	}
	if got, _, err := decodeRecord(short); err != nil || got.Past != nil {
		t.Errorf("%+v, %v", got, err)
	}
}

func FuzzPast(f *testing.F) {
	good, _ := appendPast(nil, record("/a").Past)
	f.Add(good)
	f.Add([]byte{1, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		past, ok := takePast(b)
		if !ok || len(past) == 0 {
			return
		}
		again, err := appendPast(nil, past)
		if err != nil || !bytes.HasPrefix(b, again) {
			t.Errorf("%x becomes %x, %v", b, again, err)
		}
	})
}

func TestRecordRoundTrip(t *testing.T) {
	dirs := []string{t.TempDir(), t.TempDir()}
	s := openStore(t, Config{}, dirs...)
	want := record("/a/b%20c")
	if _, err := s.Record(want.ID); !errors.Is(err, ErrNotHeld) {
		t.Fatalf("before put: %v", err)
	}
	if err := s.PutRecord(record("/a/b%20c")); err != nil {
		t.Fatal(err)
	}
	want.Registration = 10
	if err := s.PutRecord(want); err != nil {
		t.Fatal(err)
	}
	used := s.Stats().Bytes
	if used != 4096 {
		t.Errorf("one record counts %d bytes", used)
	}
	for range 2 {
		got, err := s.Record(want.ID)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("got  %+v, %v\nwant %+v", got, err, want)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = openStore(t, Config{}, dirs...)
		scanAll(t, s)
		if got := s.Stats().Bytes; got != used {
			t.Errorf("after a restart %d bytes, want %d", got, used)
		}
	}
}

// A signed query never reaches a drive.
func TestRecordHoldsNoQuery(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, Config{}, dir)
	o := record("/file?P1=SECRET")
	o.Header.Set("Content-Location", "/file?P1=SECRET")
	o.Header.Set("Location", "/other")
	if err := s.PutRecord(o); err != nil {
		t.Fatal(err)
	}
	err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		fi, err := e.Info()
		if err != nil || fi.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, %v", e.Name(), fi.Mode(), err)
		}
		b, err := os.ReadFile(path)
		if bytes.Contains(b, []byte("SECRET")) || strings.Contains(path, "SECRET") {
			t.Errorf("%s holds the query", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.Record(o.ID)
	if err != nil || got.Path != "/file" || got.Header.Get("Location") != "/other" {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestDamagedRecordIsNotHeld(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, Config{}, dir)
	o := record("/r")
	if err := s.PutRecord(o); err != nil {
		t.Fatal(err)
	}
	name := s.drives()[0].recordPath(recordName(o.ID))
	good, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 1
		if err := os.WriteFile(name, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Record(o.ID); !errors.Is(err, ErrNotHeld) {
			t.Fatalf("byte %d flipped: %+v, %v", i, got, err)
		}
	}
	if err := os.WriteFile(name, good[:len(good)-1], 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Record(o.ID); !errors.Is(err, ErrNotHeld) {
		t.Errorf("cut: %v", err)
	}
}

func TestSweepOfRecords(t *testing.T) {
	s := openStore(t, Config{})
	scanAll(t, s)
	key, v := object("kept", testSize, 0)
	create(t, s, key, v).Release()
	kept, gone := record("/kept"), record("/gone")
	kept.ID = key.Object
	for _, o := range []*storage.Object{kept, gone} {
		if err := s.PutRecord(o); err != nil {
			t.Fatal(err)
		}
	}
	before := s.Stats().Bytes
	s.sweepRecords(t.Context(), s.drives()[0], time.Now().Add(-time.Hour))
	if _, err := s.Record(gone.ID); err != nil {
		t.Errorf("young record: %v", err)
	}
	s.sweepRecords(t.Context(), s.drives()[0], time.Now().Add(time.Hour))
	if _, err := s.Record(kept.ID); err != nil {
		t.Errorf("record of a held object: %v", err)
	}
	if _, err := s.Record(gone.ID); !errors.Is(err, ErrNotHeld) {
		t.Errorf("record of an object not held: %v", err)
	}
	if after := s.Stats().Bytes; before-after != 4096 {
		t.Errorf("bytes %d, then %d", before, after)
	}
}

func FuzzRecord(f *testing.F) {
	for _, o := range []*storage.Object{record("/x"), {}} {
		b, err := encodeRecord(o, time.Unix(1, 2))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte(recordMagic))
	f.Fuzz(func(t *testing.T, b []byte) {
		o, at, err := decodeRecord(b)
		if err != nil {
			return
		}
		b, err = encodeRecord(o, at)
		if err != nil {
			t.Fatal(err)
		}
		again, at2, err := decodeRecord(b)
		if err != nil || !at2.Equal(at) || again.ID != o.ID || again.Version != o.Version || again.Stamp != o.Stamp || strings.Contains(again.Path, "?") {
			t.Fatalf("%+v became %+v, %v", o, again, err)
		}
	})
}
