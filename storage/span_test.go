package storage_test

import (
	"math"
	"testing"

	"github.com/mccd/mccd/storage"
)

// TestRound: what is rounded already stays, up to the last unit before the
// limit; that one is as short as the limit makes it.
func TestRound(t *testing.T) {
	for _, test := range []struct {
		span        storage.Span
		unit, limit int64
		want        storage.Span
	}{
		{storage.Span{}, 4, 10, storage.Span{}},
		{storage.Span{Off: 1, End: 2}, 4, 10, storage.Span{Off: 0, End: 4}},
		{storage.Span{Off: 0, End: 4}, 4, 10, storage.Span{Off: 0, End: 4}},
		{storage.Span{Off: 4, End: 6}, 4, 10, storage.Span{Off: 4, End: 8}},
		{storage.Span{Off: 4, End: 8}, 4, 10, storage.Span{Off: 4, End: 8}},
		{storage.Span{Off: 4, End: 8}, 4, 12, storage.Span{Off: 4, End: 8}},
		{storage.Span{Off: 9, End: 10}, 4, 10, storage.Span{Off: 8, End: 10}},
		{storage.Span{Off: 9, End: math.MaxInt64}, 4, math.MaxInt64, storage.Span{Off: 8, End: math.MaxInt64}},
		{storage.Span{Off: 0, End: 1}, 4, 2, storage.Span{Off: 0, End: 2}},
	} {
		got := test.span.Round(test.unit, test.limit)
		if got != test.want {
			t.Errorf("%s by %d up to %d: %s, not %s", test.span, test.unit, test.limit, got, test.want)
		}
		if again := got.Round(test.unit, test.limit); again != got {
			t.Errorf("%s rounded again: %s", got, again)
		}
	}
}
