package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/mccd/mccd/cluster/admin"
)

// The tables at the two widths that people have, of a cluster that is well and
// of one that is not.
func TestGoldenStatus(t *testing.T) {
	well := sampleStatus()
	ill := sampleStatus()
	ill.Cluster.LeaderID, ill.Cluster.LeaderName, ill.Cluster.Role = "", "", "follower"
	ill.Cluster.Quorum.OK, ill.Cluster.Quorum.Seconds = false, 75.4
	ill.Cluster.Quorum.Reason = "2 of 3 voters do not answer: beta (10.20.30.41:7947), gamma (10.20.30.42:7947)."
	ill.Nodes[0].Name = "a-name-that-is-as-long-as-names-may-be-and-that-fills-the-table"
	joining := sampleStatus()
	joining.Cluster.Join = &admin.JoinProgress{
		Peers: []string{"10.20.30.41:7947"}, Step: "waiting for the leader to add this node", Error: "connection refused", Seconds: 12,
	}
	for name, s := range map[string]*admin.Status{"well": &well, "no-quorum": &ill, "joining": &joining} {
		for _, width := range []int{80, 160} {
			file := fmt.Sprintf("status-%s-%d.golden", name, width)
			got := statusTable(s, time.Unix(0, 0).Add(90*time.Minute), width)
			for line := range strings.Lines(got) {
				if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > width {
					t.Errorf("%s: %d columns: %s", file, n, line)
				}
			}
			path := filepath.Join("testdata", file)
			if update() {
				if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil || string(want) != got {
				t.Errorf("%s: the text changed (%v); run make generate and look at the difference\n%s", file, err, got)
			}
		}
	}
}

func TestAdvice(t *testing.T) {
	for _, c := range []struct {
		role    string
		seconds float64
		want    string
	}{{"none", 100, "being added"}, {"voter", 2, "elected"}, {"voter", 60, "mccd recover"}, {"follower", 60, "Start the missing nodes"}} {
		got := clusterText(admin.ClusterInfo{ID: "c", Role: c.role, Quorum: admin.Quorum{Reason: "no leader", Seconds: c.seconds}}, 200)
		if !strings.Contains(got, c.want) {
			t.Errorf("%+v: says %q", c, got)
		}
	}
}

func TestWidth(t *testing.T) {
	for columns, want := range map[string]int{"80": 80, "": defaultWidth, "-3": defaultWidth, "wide": defaultWidth} {
		if got := widthOf(&strings.Builder{}, func(string) string { return columns }); got != want {
			t.Errorf("COLUMNS=%s: %d, want %d", columns, got, want)
		}
	}
	if got := wrap("! ", "one two three", 9); got != "! one two\n  three\n" {
		t.Errorf("wrap gives %q", got)
	}
	if got := wrap("! ", "incomprehensible word", 9); got != "! incomprehensible\n  word\n" {
		t.Errorf("wrap of a long word gives %q", got)
	}
}
