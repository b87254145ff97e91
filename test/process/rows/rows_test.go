package rows_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/mccd/mccd/test/process/rows"
)

func TestRows(t *testing.T) {
	for _, test := range []struct{ value, reference, ratio float64 }{{3, 2, 1.5}, {0, 0, 1}, {4, 0, 0}, {0, 4, 0}} {
		if r := rows.New("n", test.value, test.reference, "u"); r.Ratio != test.ratio {
			t.Errorf("%v / %v = %v", test.value, test.reference, r.Ratio)
		}
	}
	file := filepath.Join(t.TempDir(), "out", "x.json")
	want := []rows.Row{rows.New("hits 64KiB", 1, 2, "s/GiB, 9 rounds")}
	if err := rows.Write(file, want); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var got []map[string]any
	if err := json.Unmarshal(text, &got); err != nil || len(got) != 1 || len(got[0]) != 5 || got[0]["ratio"] != 0.5 {
		t.Errorf("%s: %v", text, err)
	}
}
