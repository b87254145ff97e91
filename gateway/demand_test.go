package gateway

import (
	"testing"
	"time"

	"github.com/mccd/mccd/storage"
)

func TestNotBefore(t *testing.T) {
	now := time.Date(2026, 11, 23, 6, 0, 0, 0, time.UTC)
	never := time.Time{}
	for _, tt := range []struct {
		line string
		want time.Time
	}{
		{"max-age=0", now},
		{"max-age=0, no-store", now},
		{"no-cache", now},
		{"max-age=60", now.Add(-time.Minute)},
		{"max-age=x", now},
		{"max-stale=60", never},
		{"only-if-cached", never},
		{"", never},
	} {
		if got := notBefore([]string{tt.line}, &storage.Rule{Profile: storage.ProfileHTTP}, now); !got.Equal(tt.want) {
			t.Errorf("%q in http: %v, want %v", tt.line, got, tt.want)
		}
		if got := notBefore([]string{tt.line}, &storage.Rule{Profile: storage.ProfileDO}, now); !got.IsZero() {
			t.Errorf("%q in do: %v", tt.line, got)
		}
	}
	if got := notBefore(nil, &storage.Rule{Profile: storage.ProfileHTTP}, now); !got.IsZero() {
		t.Errorf("nothing said: %v", got)
	}
}
