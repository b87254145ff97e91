package httpcache

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/mccd/mccd/storage"
)

// Basis says in words by what FreshFor judges an answer whose kept header fields
// are h, for people.
func Basis(h http.Header, rule *storage.Rule, path string) string {
	d := ParseCacheControl(h["Cache-Control"])
	switch {
	case rule != nil && rule.RevalidateAlways(path):
		return "its rule says that it is never served without asking the origin (always_revalidate)"
	case d.NoStore:
		return "Cache-Control: no-store"
	case d.NoCache:
		return "Cache-Control: no-cache"
	case rule != nil && rule.Immutable(path):
		for _, prefix := range rule.ImmutablePrefixes {
			if strings.HasPrefix(path, prefix) {
				return fmt.Sprintf("its rule says that paths below %s never change (immutable)", prefix)
			}
		}
	case d.SMaxAge >= 0:
		return fmt.Sprintf("Cache-Control: s-maxage=%d", int64(d.SMaxAge/time.Second))
	case d.MaxAge >= 0:
		return fmt.Sprintf("Cache-Control: max-age=%d", int64(d.MaxAge/time.Second))
	case len(h["Expires"]) > 0:
		return "the origin's Expires"
	case rule != nil && rule.FreshFor > 0:
		return fmt.Sprintf("its rule says so where the origin does not (fresh_for: %s)", rule.FreshFor)
	case h.Get("Last-Modified") != "":
		return fmt.Sprintf("a tenth of its age by Last-Modified, at most %s (RFC 9111 section 4.2.2)", heuristicMost)
	}
	return "the origin says nothing by which it could be fresh"
}
