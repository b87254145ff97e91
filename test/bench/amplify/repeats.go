package amplify

import (
	"fmt"
	"io"
	"time"

	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/test/faultorigin"
)

// printRepeats lists the requests from n on that brought bytes again, each
// beside the one that had brought them, by their times since begun.
func printRepeats(out io.Writer, entries []faultorigin.Entry, n int, begun time.Time) {
	earlier := map[string][]faultorigin.Entry{}
	for _, e := range entries[min(n, len(entries)):] {
		for _, b := range earlier[e.Path] {
			if again := overlap(e.Sent, b.Sent); again > 0 {
				fmt.Fprintf(out, "    %d KiB again: %s\n      after %s\n", again>>10, describe(e, begun), describe(b, begun))
			}
		}
		earlier[e.Path] = append(earlier[e.Path], e)
	}
}

// describe tells when a request began, by whom, and what it brought.
func describe(e faultorigin.Entry, begun time.Time) string {
	return fmt.Sprintf("at %.3f s by %q, asked %s, sent %v", e.Began.Sub(begun).Seconds(), e.Header.Get("Via"), e.Asked, e.Sent)
}

// overlap returns how many bytes are in both; the spans of each do not
// overlap.
func overlap(a, b []storage.Span) (n int64) {
	for _, s := range a {
		for _, t := range b {
			n += s.Intersect(t).Len()
		}
	}
	return n
}
