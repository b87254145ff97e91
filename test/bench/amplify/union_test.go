package amplify

import (
	"testing"

	"github.com/mccd/mccd/storage"
)

// TestUnion: bytes asked for by several count once, in whole pieces, and the
// last piece is as short as the object makes it.
func TestUnion(t *testing.T) {
	r := &run{asked: map[string][]storage.Span{}}
	for _, span := range []storage.Span{{Off: 3*mib + 1, End: 3*mib + 2}, {Off: 0, End: 2}, {Off: 0, End: mib + 1}, {Off: 3 * mib, End: 4*mib + 7}} {
		r.ask("/a", span, 4*mib+7)
	}
	r.ask("/b", storage.Span{Off: 5, End: 6}, 100)
	if got, want := r.union(), int64(2*mib+mib+7+100); got != want {
		t.Errorf("%d bytes, not %d", got, want)
	}
}
