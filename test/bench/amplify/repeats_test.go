package amplify

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/test/faultorigin"
)

// TestPrintRepeats: what came twice is told once for each pair of requests, of
// one path and not before n.
func TestPrintRepeats(t *testing.T) {
	entry := func(path string, off, end int64) faultorigin.Entry {
		return faultorigin.Entry{Path: path, Asked: storage.Span{Off: off, End: end}, Sent: []storage.Span{{Off: off, End: end}}}
	}
	entries := []faultorigin.Entry{
		entry("/a", 0, 4096), // before n
		entry("/a", 0, 4096), entry("/b", 0, 8192), entry("/a", 4096, 8192), entry("/a", 2048, 5120),
	}
	var out bytes.Buffer
	printRepeats(&out, entries, 1, time.Time{})
	if got := out.String(); strings.Count(got, "again") != 2 || !strings.Contains(got, "2 KiB again") || !strings.Contains(got, "1 KiB again") {
		t.Errorf("%s", got)
	}
}
