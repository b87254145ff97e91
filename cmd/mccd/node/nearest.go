package node

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/mccd/mccd/storage"
)

// nearest returns the host patterns of rules that come nearest to host, each with
// its rule, the longest first, or none where none comes near.
func nearest(host string, rules []*storage.Rule) (out []string) {
	const most = 3
	type found struct {
		pattern, rule string
	}
	var all []found
	host = storage.HostName(host)
	if host == "" {
		return nil
	}
	best := math.MaxInt
	for _, r := range rules {
		for _, pattern := range r.Hosts {
			name, wild := strings.CutPrefix(pattern, "*.")
			with := host
			if wild { // as many labels as the pattern has
				labels := strings.Split(host, ".")
				if n := strings.Count(name, ".") + 1; len(labels) > n {
					with = strings.Join(labels[len(labels)-n:], ".")
				}
			}
			limit := min(best, max(2, len(name)/4))
			d := distance(with, name, limit)
			if d > limit {
				continue
			}
			if d < best {
				best, all = d, nil
			}
			all = append(all, found{pattern, r.Name})
		}
	}
	slices.SortStableFunc(all, func(a, b found) int { return cmp.Compare(len(b.pattern), len(a.pattern)) })
	for _, f := range all[:min(most, len(all))] {
		out = append(out, fmt.Sprintf("%s (rule %s)", f.pattern, f.rule))
	}
	return out
}

// distance returns how many characters have to be added, dropped or replaced to
// make b of a, or more than most.
func distance(a, b string, most int) int {
	if d := len(a) - len(b); d > most || -d > most {
		return most + 1
	}
	row := make([]int, len(b)+1)
	for k := range row {
		row[k] = k
	}
	for i := range len(a) {
		before := row[0]
		row[0] = i + 1
		for k := range len(b) {
			cost := before
			if a[i] != b[k] {
				cost = min(before, row[k], row[k+1]) + 1
			}
			before, row[k+1] = row[k+1], cost
		}
	}
	return row[len(b)]
}
