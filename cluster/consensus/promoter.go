package consensus

import (
	"cmp"
	"slices"
	"time"
)

// candidate is one server of Raft, as the choice of voters sees it.
type candidate struct {
	id, zone string
	// member: it has a place in the ring, so that it may vote.
	member, voter, leader bool
	// draining: it is about to stop or leave, and votes only while nobody else
	// can in its place.
	draining bool
	// live: it is well now; stable: long enough to get a vote; settled: long
	// enough to take one from a voter that is well, for the sake of zones.
	live, stable, settled bool
	// dead: it has failed for so long that another may take its vote.
	dead bool
	// since is when it became well.
	since time.Time
}

// answers reports whether c's vote counts for a majority. Who left may be held
// for well for a moment still, and none of the others talks to it any more.
func (c candidate) answers() bool { return c.member && c.live }

// holds reports whether c may go on to vote: a member that has a vote and is
// not dead.
func (c candidate) holds() bool { return c.member && c.voter && !c.dead }

// moves is what is to be done next: votes given, or votes taken, or the
// leadership handed to a voter, never two kinds at once.
type moves struct {
	promote, demote []string
	leader          string
}

// largestOdd returns the largest odd number up to n, 0 for less than 1.
func largestOdd(n int) int {
	if n < 1 {
		return 0
	}
	return n - (n+1)%2
}

// wanted returns how many voters there are to be: 1, 3 or 5 by what is well,
// but votes of the dead are not given up for less safety. They keep the number
// as long as those that are well tolerate one more failure, or have a majority
// and would have to go down to one voter, whose disk alone would then hold what
// is acknowledged.
func wanted(all []candidate, maxVoters int) int {
	var members, votes, fit int
	for _, c := range all {
		if !c.member {
			continue
		}
		members++
		if c.voter {
			votes++
		}
		if c.holds() || !c.voter && c.stable {
			fit++
		}
	}
	n, keep := largestOdd(min(fit, maxVoters)), largestOdd(min(votes, maxVoters))
	if keep > n && (fit > keep/2+1 || n < 3 && fit > keep/2) {
		n = min(keep, largestOdd(min(members, maxVoters)))
	}
	return max(n, 1)
}

// chosen returns who is to vote: who drains last, then the leader, zones as
// equal as can be, within that who votes already, who is well for longest.
func chosen(all []candidate, n int) []candidate {
	var fit, dead []candidate
	well := 0
	for _, c := range all {
		if c.holds() && !c.draining {
			well++
		}
	}
	for _, c := range all {
		switch {
		case c.holds(), c.member && !c.voter && c.stable && (well < n || c.settled):
			fit = append(fit, c)
		case c.member && c.voter:
			dead = append(dead, c)
		}
	}
	order := func(zones map[string]int) func(a, b candidate) int {
		return func(a, b candidate) int {
			return cmp.Or(
				yes(a.draining)-yes(b.draining), yes(b.leader)-yes(a.leader), zones[a.zone]-zones[b.zone], yes(b.voter)-yes(a.voter),
				a.since.Compare(b.since), cmp.Compare(a.id, b.id))
		}
	}
	var picked []candidate
	zones := make(map[string]int)
	for _, from := range []*[]candidate{&fit, &dead} {
		for len(picked) < n && len(*from) > 0 {
			next := slices.MinFunc(*from, order(zones))
			*from = slices.DeleteFunc(*from, func(c candidate) bool { return c.id == next.id })
			picked = append(picked, next)
			zones[next.zone]++
		}
	}
	return picked
}

func yes(b bool) int {
	if b {
		return 1
	}
	return 0
}

// plan compares who votes with who is to vote. Votes are given before votes
// are taken, those of the dead are taken first, and none whose loss would
// leave the rest without a majority that is well. A leader that is to lose its
// vote hands over first; one that is no member any more takes none from others:
// they refuse it already, and its own would be among those that they need.
func plan(all []candidate, maxVoters int) moves {
	target := chosen(all, wanted(all, maxVoters))
	var m moves
	for _, c := range target {
		if !c.voter {
			m.promote = append(m.promote, c.id)
		}
	}
	if len(m.promote) > 0 || len(target) == 0 {
		return m
	}
	in := func(c candidate) bool {
		return slices.ContainsFunc(target, func(t candidate) bool { return t.id == c.id })
	}
	var voters, out []candidate
	for _, c := range all {
		if c.voter {
			voters = append(voters, c)
			if !in(c) {
				out = append(out, c)
			}
		}
	}
	slices.SortFunc(out, func(a, b candidate) int {
		return cmp.Or(yes(a.answers())-yes(b.answers()), yes(a.member)-yes(b.member), cmp.Compare(a.id, b.id))
	})
	live := 0
	for _, c := range voters {
		live += yes(c.answers())
	}
	refused := slices.ContainsFunc(out, func(c candidate) bool { return c.leader && !c.member })
	for _, c := range out {
		if c.leader {
			if i := slices.IndexFunc(target, func(t candidate) bool { return t.live && !t.leader }); i >= 0 {
				m.leader = target[i].id
			}
			continue
		}
		if rest := len(voters) - len(m.demote) - 1; !refused && live-yes(c.answers()) > rest/2 {
			live -= yes(c.answers())
			m.demote = append(m.demote, c.id)
		}
	}
	if len(m.demote) > 0 {
		m.leader = ""
	}
	return m
}
