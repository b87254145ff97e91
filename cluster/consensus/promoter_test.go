package consensus

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// server reads "name zone flags": M member, V voter, L leader, l live, s
// stable, S settled, d dead, D draining.
func server(text string) candidate {
	parts := strings.Split(text, " ")
	has := func(flag string) bool { return strings.Contains(parts[2], flag) }
	return candidate{
		id: parts[0], zone: parts[1], member: has("M"), voter: has("V"), leader: has("L"), live: has("l"),
		stable: has("s") || has("S"), settled: has("S"), dead: has("d"), draining: has("D"),
	}
}

func TestPlan(t *testing.T) {
	for _, c := range []struct {
		what    string
		servers []string
		most    int
		want    moves
	}{
		{"one node", []string{"a - MVLlS"}, 5, moves{}},
		{"two nodes: one voter", []string{"a - MVLlS", "b - MlS"}, 5, moves{}},
		{"three nodes: both get a vote at once", []string{"a - MVLlS", "b - Mls", "c - Mls"}, 5, moves{promote: []string{"b", "c"}}},
		{"one is not stable yet", []string{"a - MVLlS", "b - Mls", "c - Ml"}, 5, moves{}},
		{"who joins has no vote", []string{"a - MVLlS", "b - ls", "c - Mls"}, 5, moves{}},
		{"four nodes: three voters", []string{"a - MVLlS", "b - MVlS", "c - MVlS", "d - MlS"}, 5, moves{}},
		{"five nodes", []string{"a - MVLlS", "b - MVlS", "c - MVlS", "d - Mls", "e - Mls"}, 5, moves{promote: []string{"d", "e"}}},
		{"five nodes, three voters at most", []string{"a - MVLlS", "b - MVlS", "c - MVlS", "d - Mls", "e - Mls"}, 4, moves{}},
		{"the dead is replaced: first the promotion", []string{"a - MVLlS", "b - MVlS", "c - MVd", "d - Mls"}, 5, moves{promote: []string{"d"}}},
		{"then the demotion", []string{"a - MVLlS", "b - MVlS", "c - MVd", "d - MVls"}, 5, moves{demote: []string{"c"}}},
		{"failed, not dead yet", []string{"a - MVLlS", "b - MVlS", "c - MV", "d - Mls"}, 5, moves{}},
		{"nobody can take over", []string{"a - MVLlS", "b - MVlS", "c - MVd"}, 5, moves{}},
		{"one of five dead, nobody to take over", []string{"a - MVLlS", "b - MVlS", "c - MVlS", "d - MVlS", "e - MVd"}, 5, moves{}},
		{"two of five dead: three that tolerate one", []string{"a - MVLlS", "b - MVlS", "c - MVlS", "d - MVd", "e - MVd"}, 5, moves{demote: []string{"d", "e"}}},
		{"two of five dead, one to take over", []string{"a - MVLlS", "b - MVlS", "c - MVlS", "d - MVd", "e - MVd", "f - Mls"}, 5, moves{promote: []string{"f"}}},
		{"who left loses the vote when another has it", []string{"a - MVLlS", "b - MVlS", "c - VlS", "d - Mls"}, 5, moves{promote: []string{"d"}}},
		{"two remain of three", []string{"a - MVLlS", "b - MVlS", "c - VlS"}, 5, moves{demote: []string{"c", "b"}}},
		{"the dead one was removed: two remain", []string{"a - MVLlS", "b - MVlS", "c - Vd"}, 5, moves{demote: []string{"c", "b"}}},
		{"the leader left: others first", []string{"a - VLlS", "b - MVlS", "c - MVlS", "d - Mls"}, 5, moves{promote: []string{"d"}}},
		{"the leader left: hand over", []string{"a - VLlS", "b - MVlS", "c - MVlS", "d - MVls"}, 5, moves{leader: "b"}},
		{"the leader of three left: it takes no vote", []string{"a - VLlS", "b - MVlS", "c - MVlS"}, 5, moves{leader: "b"}},
		{"the next leader takes those of the leavers first", []string{"a - Vd", "b - MVLlS", "c - MVlS"}, 5, moves{demote: []string{"a", "c"}}},
		{"the leader of two left", []string{"a - VLlS", "b - Mls"}, 5, moves{promote: []string{"b"}}},
		{"zones apart", []string{"a x MVLlS", "b x Mls", "c y Mls", "d x Mls"}, 3, moves{promote: []string{"c", "b"}}},
		{"a better zone, not settled", []string{"a x MVLlS", "b x MVlS", "c x MVlS", "d y Mls"}, 5, moves{}},
		{"a better zone, settled", []string{"a x MVLlS", "b x MVlS", "c x MVlS", "d y MlS"}, 5, moves{promote: []string{"d"}}},
		{"and the demotion for it", []string{"a x MVLlS", "b x MVlS", "c x MVlS", "d y MVlS"}, 5, moves{demote: []string{"c"}}},
		{"who drains gives its vote to another", []string{"a - MVLlS", "b - MVlSD", "c - MVlS", "d - Mls"}, 5, moves{promote: []string{"d"}}},
		{"and loses it then", []string{"a - MVLlS", "b - MVlSD", "c - MVlS", "d - MVls"}, 5, moves{demote: []string{"b"}}},
		{"who drains keeps its vote where nobody else can", []string{"a - MVLlS", "b - MVlSD", "c - MVlS"}, 5, moves{}},
		{"the one voter of two drains", []string{"a - MVLlSD", "b - MlS"}, 5, moves{promote: []string{"b"}}},
		{"and hands over", []string{"a - MVLlSD", "b - MVlS"}, 5, moves{leader: "b"}},
		{"who left is held for well still, another not yet", []string{"a - VlS", "b - MV", "c - MVLlS"}, 5, moves{}},
		{"two left, and most others are dead: nobody agrees", []string{"a - VlS", "b - MVd", "c - MVd", "d - VlS", "e - MVLlS"}, 5, moves{}},
		{"two left, and one is dead", []string{"a - VlS", "b - MVd", "c - MVlS", "d - VlS", "e - MVLlS"}, 5, moves{}},
		{"one left, and one is dead", []string{"a - VlS", "b - MVd", "c - MVlS", "d - MVlS", "e - MVLlS"}, 5, moves{demote: []string{"a", "b"}}},
		{"all drain", []string{"a - MVLlSD", "b - MVlSD", "c - MVlSD"}, 5, moves{}},
		{"an equal zone changes nothing", []string{"a x MVLlS", "b x MVlS", "c y MVlS", "d y MlS"}, 3, moves{}},
	} {
		var all []candidate
		for _, text := range c.servers {
			all = append(all, server(text))
		}
		for range 3 {
			rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
			if got := plan(slices.Clone(all), c.most); !reflect.DeepEqual(got, c.want) {
				t.Errorf("%s: got %+v, want %+v", c.what, got, c.want)
			}
		}
	}
}

// TestPlanSettles follows plans of random clusters: each step keeps a majority
// that is well, and they come to an end with an odd number of voters.
func TestPlanSettles(t *testing.T) {
	for seed := range uint64(3000) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		var all []candidate
		n, votes := 1+rnd.IntN(7), 0
		for i := range n {
			c := candidate{id: fmt.Sprint(i), zone: fmt.Sprint(rnd.IntN(3)), member: rnd.IntN(5) > 0, live: rnd.IntN(4) > 0, draining: rnd.IntN(4) == 0}
			c.voter = i == 0 || votes < 5 && rnd.IntN(2) == 0
			c.stable, c.settled, c.dead = c.live, c.live, !c.live
			if i == 0 {
				c.leader, c.live, c.stable, c.dead = true, true, true, false
			}
			votes += yes(c.voter)
			all = append(all, c)
		}
		majority := func() bool {
			votes, live := 0, 0
			for _, c := range all {
				votes += yes(c.voter)
				live += yes(c.voter && c.live && c.member) // nobody talks to who left
			}
			return live > votes/2
		}
		if !majority() || !slices.ContainsFunc(all, func(c candidate) bool { return c.member && c.live }) {
			continue
		}
		step := 0
		for ; step < 20; step++ {
			m := plan(all, 5)
			if reflect.DeepEqual(m, moves{}) {
				break
			}
			for i := range all {
				id := all[i].id
				if slices.Contains(m.promote, id) {
					all[i].voter = true
				}
				if m.leader != "" {
					all[i].leader = id == m.leader
				}
			}
			for _, id := range append([]string{""}, m.demote...) { // one at a time
				for i := range all {
					all[i].voter = all[i].voter && all[i].id != id
				}
				if !majority() {
					t.Fatalf("seed %d: %+v loses the majority", seed, m)
				}
			}
		}
		votes, lost := 0, 0
		for _, c := range all {
			votes += yes(c.voter)
			lost += yes(c.voter && !c.member)
			if c.leader && !c.voter {
				t.Errorf("seed %d: a leader without a vote", seed)
			}
		}
		if step == 20 || votes%2 == 0 || lost > 0 {
			t.Errorf("seed %d: %d steps, %d voters, %d of them no members: %+v", seed, step, votes, lost, all)
		}
	}
}
