package presence

import (
	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/test/faultorigin"
)

// Open returns those of the origin's requests whose flights were open when the
// drives held u: the origin had not sent all, or not all that it had sent was
// on a drive. entries are taken before u, so that a flight that ended between
// the two does not count.
func Open(entries []faultorigin.Entry, u Union) []faultorigin.Entry {
	var open []faultorigin.Entry
next:
	for _, e := range entries {
		object := storage.Ref{Scheme: "http", Host: e.Host, Path: e.Path}.ID()
		for _, sent := range e.Sent {
			if !u.Holds(object, sent) {
				open = append(open, e)
				continue next
			}
		}
		if !e.Done {
			open = append(open, e)
		}
	}
	return open
}
