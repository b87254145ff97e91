package origin

import (
	"net/http"
	"testing"
)

func TestFieldsThatRepeatATokenAreLeftOut(t *testing.T) {
	h := http.Header{
		"Content-Location": {"/a?P1=1763000000&P4=aB%2bc%2fdEf"}, "X-Param": {"aB%2bc%2fdEf"}, "X-Plain": {"token aB+c/dEf."},
		"X-Second": {"no", "sig=movedToken1"}, "Content-Type": {"application/zip"}, "X-Type": {"application/zip"},
		"Etag": {`"short"`}, "X-Kept": {"1"}, "X-Short": {"abc"},
	}
	got := withoutTokens(h, []string{"P1=1763000000&P4=aB%2bc%2fdEf&v=abc", "sig=movedToken1&rsct=application%2Fzip", "x=1"})
	for name, want := range map[string]bool{
		"Content-Location": false, "X-Param": false, "X-Plain": false, "X-Second": false, "Content-Type": true,
		"X-Type": false, "Etag": true, "X-Kept": true, "X-Short": true,
	} {
		if _, ok := got[name]; ok != want {
			t.Errorf("%s: kept %t", name, ok)
		}
	}
}
