package gateway

import (
	"time"

	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/storage/httpcache"
)

// notBefore returns when the origin must have confirmed the object for a
// client that came at now and sent these lines of Cache-Control: apt and pip
// ask for their indices with max-age=0, and an old index beside a new one is
// taken for damage (RFC 9111 sections 5.2.1.1 and 5.2.1.4). The zero Time = no
// matter. ProfileDO ignores what clients say.
func notBefore(lines []string, rule *storage.Rule, now time.Time) time.Time {
	if len(lines) == 0 || rule.Profile != storage.ProfileHTTP {
		return time.Time{}
	}
	switch d := httpcache.ParseCacheControl(lines); {
	case d.NoCache:
		return now
	case d.MaxAge >= 0:
		return now.Add(-d.MaxAge)
	}
	return time.Time{}
}
