package figures_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mccd/mccd/test/bench/figures"
)

func TestQuantile(t *testing.T) {
	for _, test := range []struct {
		values []float64
		q      float64
		want   float64
	}{
		{nil, 0.5, 0},
		{[]float64{3, 1, 2}, 0.5, 2},
		{[]float64{4, 1, 3, 2}, 0.5, 2.5},
		{[]float64{4, 1, 3, 2}, 0, 1},
		{[]float64{4, 1, 3, 2}, 1, 4},
		{[]float64{10, 20}, 0.25, 12.5},
		{[]float64{7}, 0.75, 7},
	} {
		if got := figures.Quantile(test.values, test.q); got != test.want {
			t.Errorf("%v of %v: %v, not %v", test.q, test.values, got, test.want)
		}
	}
}

func TestCompareTakesRatiosWithinARound(t *testing.T) {
	// The machine is twice as slow in the second half: medians alone would mix
	// the halves.
	f := figures.Compare("x", "s", []float64{1, 1, 2, 2, 2}, []float64{2, 2, 4, 4, 0})
	if f.Ratio != 0.5 || f.Value != 2 || f.Low != 0.5 || f.High != 0.5 {
		t.Errorf("%+v", f)
	}
	if f := figures.Compare("x", "s", []float64{1}, nil); f.Ratio != 0 || f.Value != 1 || f.Judged() != 1 {
		t.Errorf("%+v", f)
	}
}

func TestBounds(t *testing.T) {
	for _, test := range []struct {
		bound figures.Bound
		v     float64
		met   bool
	}{
		{figures.Bound{}, 9, true},
		{figures.AtMost(1), 1, true},
		{figures.AtMost(0), 1, false},
		{figures.AtLeast(1), 1, true},
		{figures.AtLeast(1), 0.99, false},
	} {
		if got := test.bound.Met(test.v); got != test.met {
			t.Errorf("%+v of %v: %v", test.bound, test.v, got)
		}
	}
}

func TestPrint(t *testing.T) {
	findings := []figures.Finding{
		figures.Compare("hit/a", "s", []float64{3, 3}, []float64{2, 2}).Within(figures.AtMost(1.25), figures.AtMost(0.95)),
		figures.Single("follow/first", "ms", []float64{4, 5}).Within(figures.AtMost(10), figures.AtMost(4)),
		figures.Largest("herd/failed", "clients", []float64{0, 0}).Within(figures.AtMost(0), figures.Bound{}),
		figures.Single("plain", "s", nil),
	}
	var text strings.Builder
	figures.Print(&text, findings)
	for _, want := range []string{"<= 1.25 SHORT", "<= 0.95 not yet", "<= 10 met", "<= 4 not yet", "<= 0 met", "SHORT of what they must reach: 1 of 3 rows"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no %q in\n%s", want, text.String())
		}
	}
	text.Reset()
	figures.Print(&text, findings[1:])
	if !strings.Contains(text.String(), "All 2 rows") {
		t.Error(text.String())
	}
	file := filepath.Join(t.TempDir(), "out", "x.json")
	if err := figures.Write(file, findings); err != nil {
		t.Fatal(err)
	}
	if written, err := os.ReadFile(file); err != nil || strings.Count(string(written), `"name"`) != len(findings) {
		t.Errorf("%s, %v", written, err)
	}
}
