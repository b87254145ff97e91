package gateway

import (
	"strings"
	"testing"
)

func TestCachesPassed(t *testing.T) {
	for _, tt := range []struct {
		lines  []string
		want   string
		looped bool
	}{
		{nil, "", false},
		{[]string{"a, b;trace=\"x\"", "c"}, "a, b, c", false},
		{[]string{"a, OWN;x=1"}, "", true},
		{[]string{"ownother, a\r\nX: y, <b>, " + strings.Repeat("x", 65)}, "ownother", false},
		{[]string{strings.Repeat("a,", 9)}, "a, a, a, a, a, a, a, a, a", true},
	} {
		if got, looped := cachesPassed(tt.lines, "own"); got != tt.want || looped != tt.looped {
			t.Errorf("%q: %q, %t", tt.lines, got, looped)
		}
	}
	if _, looped := cachesPassed([]string{"", " , "}, ""); looped {
		t.Error("an empty name is this cluster's")
	}
}

func FuzzCachesPassed(f *testing.F) {
	for _, s := range []string{"", "a, b;x=1", "own", "a\r\nb", "[::1]:80"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		caches, looped := cachesPassed([]string{line}, "own")
		if strings.ContainsAny(caches, "\r\n;\"") || looped && caches != "" && strings.Count(caches, ",") < maxCaches {
			t.Errorf("%q: %q, %t", line, caches, looped)
		}
		if again, _ := cachesPassed([]string{caches}, ""); again != caches {
			t.Errorf("%q is read again as %q", caches, again)
		}
	})
}
