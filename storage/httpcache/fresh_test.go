package httpcache

import (
	"net/http"
	"testing"
	"time"

	"github.com/mccd/mccd/storage"
)

var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// at formats a date that long before now.
func at(before time.Duration) string { return now.Add(-before).Format(http.TimeFormat) }

// fields makes a header of name, value pairs.
func fields(pairs ...string) http.Header {
	h := make(http.Header)
	for i := 0; i+1 < len(pairs); i += 2 {
		h.Add(pairs[i], pairs[i+1])
	}
	return h
}

func TestFreshFor(t *testing.T) {
	do := &storage.Rule{ImmutablePrefixes: []string{"/i/"}, AlwaysRevalidate: []string{"list.cab"}}
	hour := &storage.Rule{FreshFor: time.Hour}
	const day = 24 * time.Hour
	tests := []struct {
		name string
		h    http.Header
		rule *storage.Rule
		path string
		want time.Duration
	}{
		{"nothing said", fields(), nil, "/a", 0},
		{"max-age (4.2.1)", fields("Cache-Control", "max-age=60", "Date", at(0)), nil, "/a", time.Minute},
		{"s-maxage before max-age (5.2.2.10)", fields("Cache-Control", "max-age=60, s-maxage=10", "Date", at(0)), nil, "/a", 10 * time.Second},
		{"s-maxage=0 before max-age", fields("Cache-Control", "max-age=60, s-maxage=0", "Date", at(0)), nil, "/a", 0},
		{"max-age before Expires (5.3)", fields("Cache-Control", "max-age=60", "Expires", at(-time.Hour), "Date", at(0)), nil, "/a", time.Minute},
		{"Expires less Date (4.2.1)", fields("Expires", at(-time.Hour), "Date", at(0)), nil, "/a", time.Hour},
		{"Expires without Date", fields("Expires", at(-time.Hour)), nil, "/a", time.Hour},
		{"Expires by the origin's clock, age by ours (4.2.3)", fields("Expires", at(-time.Hour), "Date", at(10*time.Minute)), nil, "/a", time.Hour},
		{"Expires: 0 is past (5.3)", fields("Expires", "0", "Last-Modified", at(100*day)), nil, "/a", 0},
		{"Expires in the past", fields("Expires", at(time.Hour), "Date", at(0)), hour, "/a", 0},
		{"several Expires", fields("Expires", at(-time.Hour), "Expires", at(-2*time.Hour)), nil, "/a", 0},
		{"Age is taken off (4.2.3)", fields("Cache-Control", "max-age=60", "Age", "20", "Date", at(0)), nil, "/a", 40 * time.Second},
		{"Age over the lifetime", fields("Cache-Control", "max-age=60", "Age", "100", "Date", at(0)), nil, "/a", 0},
		{"first Age of a list counts (5.1)", fields("Cache-Control", "max-age=60", "Age", "20, 50", "Date", at(0)), nil, "/a", 40 * time.Second},
		{"unreadable Age is ignored (5.1)", fields("Cache-Control", "max-age=60", "Age", "x", "Date", at(0)), nil, "/a", time.Minute},
		{"apparent age (4.2.3)", fields("Cache-Control", "max-age=60", "Age", "5", "Date", at(50*time.Second)), nil, "/a", 10 * time.Second},
		{"Date in the future", fields("Cache-Control", "max-age=60", "Date", at(-time.Hour)), nil, "/a", time.Minute},
		{"unreadable Date", fields("Cache-Control", "max-age=60", "Date", "now"), nil, "/a", time.Minute},
		{"heuristic tenth (4.2.2)", fields("Last-Modified", at(10*time.Hour), "Date", at(0)), nil, "/a", time.Hour},
		{"heuristic at most a day", fields("Last-Modified", at(1000*day), "Date", at(0)), nil, "/a", day},
		{"Last-Modified after Date", fields("Last-Modified", at(-time.Hour), "Date", at(0)), nil, "/a", 0},
		{"rule before the heuristic", fields("Last-Modified", at(1000*day), "Date", at(0)), hour, "/a", time.Hour},
		{"rule without a date", fields(), hour, "/a", time.Hour},
		{"rule after max-age", fields("Cache-Control", "max-age=60"), hour, "/a", time.Minute},
		{"no-cache (5.2.2.4)", fields("Cache-Control", "no-cache, max-age=60"), nil, "/a", 0},
		{"no-store (5.2.2.5)", fields("Cache-Control", "no-store, max-age=60"), nil, "/a", 0},
		{"always revalidated", fields("Cache-Control", "max-age=60"), do, "/x/List.CAB", 0},
		{"immutable path", fields("Cache-Control", "max-age=60", "Age", "100"), do, "/i/x", 365 * day},
		{"immutable path with no-cache", fields("Cache-Control", "no-cache"), do, "/i/x", 0},
		{"always revalidated, though immutable", fields(), do, "/i/list.cab", 0},
	}
	for _, tt := range tests {
		if got := FreshFor(tt.h, now, tt.rule, tt.path); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestStorable(t *testing.T) {
	tests := []struct {
		name   string
		status int
		h      http.Header
		want   bool
	}{
		{"200", 200, fields(), true},
		{"206 (RFC 9111 3.3)", 206, fields(), true},
		{"404", 404, fields("Cache-Control", "max-age=60"), false},
		{"204", 204, fields(), false},
		{"304", 304, fields(), false},
		{"no-store (5.2.2.5)", 200, fields("Cache-Control", "max-age=60, no-store"), false},
		{"no-store with must-understand (5.2.2.3), stricter", 200, fields("Cache-Control", "must-understand, no-store"), false},
		{"private (5.2.2.7)", 200, fields("Cache-Control", "private"), false},
		{"no-cache may be stored (5.2.2.4)", 200, fields("Cache-Control", "no-cache"), true},
		{"Vary: * (4.1)", 200, fields("Vary", "Accept", "Vary", "Origin, *"), false},
		{"Vary", 200, fields("Vary", "Accept-Encoding"), true},
		{"cookie", 200, fields("Set-Cookie", "a=b", "Cache-Control", "public"), false},
	}
	for _, tt := range tests {
		if got := Storable(tt.status, tt.h); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}

func TestVary(t *testing.T) {
	names, every := Vary(fields("Vary", "Accept-Encoding , ,ORIGIN", "Vary", "accept"))
	if len(names) != 3 || names[0] != "accept-encoding" || names[1] != "origin" || names[2] != "accept" || every {
		t.Errorf("%v, %v", names, every)
	}
	if names, every := Vary(fields("Vary", "a, *")); len(names) != 1 || !every {
		t.Errorf("%v, %v", names, every)
	}
}
