package peer

import (
	"math"
	"testing"

	"github.com/mccd/mccd/storage"
)

func TestSpanOfAQuestion(t *testing.T) {
	const mi = 1 << 20
	stale := &storage.Object{}
	for _, tt := range []struct {
		name string
		q    question
		want storage.Span
	}{
		{"whole file", question{first: storage.Span{Off: 0, End: math.MaxInt64}}, storage.Span{Off: 0, End: mi}},
		{"probe", question{first: storage.Span{Off: 0, End: 2}}, storage.Span{Off: 0, End: mi}},
		{"piece", question{first: storage.Span{Off: 3 * mi, End: 4 * mi}}, storage.Span{Off: 3 * mi, End: 4 * mi}},
		{"over a piece's edge", question{first: storage.Span{Off: mi - 1, End: mi + 1}}, storage.Span{Off: 0, End: 2 * mi}},
		{"over a chunk's edge", question{first: storage.Span{Off: 8*mi - 1, End: 9 * mi}}, storage.Span{Off: 7 * mi, End: 8 * mi}},
		{"resume", question{first: storage.Span{Off: 17*mi + 5, End: math.MaxInt64}}, storage.Span{Off: 17 * mi, End: 18 * mi}},
		{"suffix", question{first: storage.Span{Off: -5, End: math.MaxInt64}}, storage.Span{Off: 0, End: mi}},
		{"head of the unknown", question{first: storage.Span{Off: 9 * mi, End: math.MaxInt64}, recordOnly: true}, storage.Span{Off: 0, End: mi}},
		{"head of the known", question{first: storage.Span{Off: 9 * mi, End: 9*mi + 1}, recordOnly: true, stale: stale}, storage.Span{Off: 9 * mi, End: 10 * mi}},
		{"no byte at all", question{first: storage.Span{Off: math.MaxInt64, End: math.MaxInt64}}, storage.Span{Off: 0, End: mi}},
	} {
		got := tt.q.span()
		if got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
		if got.Empty() || storage.ChunkOf(got.Off) != storage.ChunkOf(got.End-1) {
			t.Errorf("%s: %s does not lie in one chunk", tt.name, got)
		}
	}
}

func TestSubtract(t *testing.T) {
	all := []storage.Span{{Off: 0, End: 10}, {Off: 20, End: 30}}
	for _, tt := range []struct {
		cut  storage.Span
		want []storage.Span
	}{
		{storage.Span{}, all},
		{storage.Span{Off: 0, End: 30}, nil},
		{storage.Span{Off: 5, End: 25}, []storage.Span{{Off: 0, End: 5}, {Off: 25, End: 30}}},
		{storage.Span{Off: 2, End: 3}, []storage.Span{{Off: 0, End: 2}, {Off: 3, End: 10}, {Off: 20, End: 30}}},
	} {
		got := subtract(all, tt.cut)
		if len(got) != len(tt.want) {
			t.Errorf("cut %s: %v, want %v", tt.cut, got, tt.want)
			continue
		}
		for i := range got {
			if got[i] != tt.want[i] {
				t.Errorf("cut %s: %v, want %v", tt.cut, got, tt.want)
			}
		}
	}
}
