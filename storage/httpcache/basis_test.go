package httpcache

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mccd/mccd/storage"
)

// Basis names what FreshFor goes by: where it says that nothing makes an answer
// fresh, FreshFor is 0.
func TestBasis(t *testing.T) {
	rule := &storage.Rule{AlwaysRevalidate: []string{"a.cab"}, ImmutablePrefixes: []string{"/files/"}}
	own := &storage.Rule{FreshFor: time.Hour}
	now := time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)
	modified := now.Add(-240 * time.Hour).Format(http.TimeFormat)
	for _, tt := range []struct {
		path  string
		rule  *storage.Rule
		h     http.Header
		want  string
		fresh time.Duration
	}{
		{"/files/a.cab", rule, nil, "always_revalidate", 0},
		{"/files/b", rule, http.Header{"Cache-Control": {"no-cache"}}, "no-cache", 0},
		{"/files/b", rule, http.Header{"Cache-Control": {"max-age=1"}}, "paths below /files/", immutableFor},
		{"/b", rule, http.Header{"Cache-Control": {"max-age=1, s-maxage=60"}}, "s-maxage=60", time.Minute},
		{"/b", rule, http.Header{"Cache-Control": {"max-age=60"}, "Expires": {"0"}}, "max-age=60", time.Minute},
		{"/b", own, http.Header{"Expires": {now.Add(time.Minute).Format(http.TimeFormat)}}, "Expires", time.Minute},
		{"/b", own, http.Header{"Last-Modified": {modified}}, "fresh_for: 1h0m0s", time.Hour},
		{"/b", nil, http.Header{"Last-Modified": {modified}}, "a tenth", 24 * time.Hour},
		{"/b", nil, nil, "says nothing", 0},
		{"/b", nil, http.Header{"Cache-Control": {"no-store"}}, "no-store", 0},
	} {
		if got := Basis(tt.h, tt.rule, tt.path); !strings.Contains(got, tt.want) {
			t.Errorf("%s, %v: %q, want %q", tt.path, tt.h, got, tt.want)
		}
		if got := FreshFor(tt.h, now, tt.rule, tt.path); got != tt.fresh {
			t.Errorf("%s, %v: fresh for %s, want %s", tt.path, tt.h, got, tt.fresh)
		}
	}
}
