package node

import (
	"math"
	"strings"
	"testing"

	"github.com/mccd/mccd/storage"
)

func TestWantedSpan(t *testing.T) {
	end := int64(math.MaxInt64)
	for rng, want := range map[string]storage.Span{
		"": {End: end}, "0-0": {End: 1}, "5-9": {Off: 5, End: 10}, "bytes=5-9": {Off: 5, End: 10}, "7-": {Off: 7, End: end}, "-3": {Off: -3, End: end},
	} {
		if got, err := wantedSpan(rng); err != nil || got != want {
			t.Errorf("%q: %v, %v", rng, got, err)
		}
	}
	for _, bad := range []string{"-", "x", "5", "9-5", "-0", "0-1,3-4", "+1-2", "1-+2", "99999999999999999999-", "0-9223372036854775807", " 1-2"} {
		if got, err := wantedSpan(bad); err == nil {
			t.Errorf("%q: %v", bad, got)
		}
	}
}

func FuzzWantedSpan(f *testing.F) {
	f.Add("1-2")
	f.Fuzz(func(t *testing.T, rng string) {
		s, err := wantedSpan(rng)
		if err == nil && (s.End <= s.Off || s.Off < 0 && s.End != math.MaxInt64) {
			t.Errorf("%q gives %v", rng, s)
		}
	})
}

func TestNearest(t *testing.T) {
	rules := []*storage.Rule{
		{Name: "wu", Hosts: []string{"*.download.windowsupdate.com", "*.au.download.windowsupdate.com"}},
		{Name: "deb", Hosts: []string{"deb.debian.org"}},
	}
	for host, want := range map[string]string{
		"download.windowsupdat.com":         "*.download.windowsupdate.com (rule wu)",
		"x.download.windowsupdat.com:8080":  "*.download.windowsupdate.com (rule wu)",
		"a.au.downlaod.windowsupdate.com":   "*.au.download.windowsupdate.com (rule wu)",
		"deb.debain.org":                    "deb.debian.org (rule deb)",
		"www.example.com":                   "",
		"":                                  "",
		"windowsupdate.com":                 "",
		strings.Repeat("a.", 100) + "b.com": "",
	} {
		if got := strings.Join(nearest(host, rules), ", "); !strings.HasPrefix(got, want) || (got == "") != (want == "") {
			t.Errorf("%q: %q, want %q", host, got, want)
		}
	}
}

func TestDistance(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"abc", "abc", 0}, {"abc", "abd", 1}, {"abc", "ab", 1}, {"ab", "abc", 1}, {"abcd", "bacd", 2}, {"kitten", "sitting", 3}} {
		if got := distance(tt.a, tt.b, 9); got != tt.want {
			t.Errorf("%q, %q: %d, want %d", tt.a, tt.b, got, tt.want)
		}
	}
}
