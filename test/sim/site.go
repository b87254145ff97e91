package main

import (
	"fmt"
	"math/rand/v2"

	"github.com/mccd/mccd/ring"
	"github.com/mccd/mccd/storage/disk/evict"
)

// site is a cluster whose clients ask any node.
type site struct {
	ring  *ring.Ring
	nodes []*drive
	// origin and lan are the bytes that came from the origin and from other
	// nodes.
	origin, lan int64
}

func newSite(name string, n int, total int64, share int) *site {
	members := make([]ring.Member, n)
	for i := range members {
		members[i] = ring.Member{ID: fmt.Sprintf("%s%d", name, i)}
	}
	r, err := ring.New(members)
	if err != nil {
		panic(err)
	}
	c := &site{ring: r}
	for range n {
		c.nodes = append(c.nodes, newDrive(total/int64(n), share))
	}
	return c
}

// read has a client ask node at. The owner is asked for what is not there; it
// asks the other nodes for what it does not have, and then the origin.
func (c *site) read(r read, at, now int) (hit bool) {
	if c.nodes[at].get(r.key, now) {
		return true
	}
	hash := mix(r.key)
	owner := int(c.ring.Lookup(hash)[0])
	if owner == at || !c.nodes[owner].get(r.key, now) {
		elsewhere := false
		for i, n := range c.nodes {
			if i != owner && n.held[r.key] != nil {
				elsewhere = true
				n.get(r.key, now)
				break
			}
		}
		if elsewhere {
			c.lan += int64(r.size)
		} else {
			c.origin += int64(r.size)
		}
		c.nodes[owner].put(r, hash, evict.Owned, now)
	}
	if owner != at {
		c.lan += int64(r.size)
		c.nodes[at].put(r, hash, evict.Borrowed, now)
	}
	return false
}

// clustered replays t with n nodes of together total bytes, each read at a node
// drawn by seed; it returns the score at the nodes that were asked, and the site.
func clustered(t trace, n int, total int64, share int, seed uint64) (s score, c *site) {
	rnd := rand.New(rand.NewPCG(seed, 11))
	c = newSite("n", n, total, share)
	for i, r := range t.reads {
		s.count(r, c.read(r, rnd.IntN(n), i))
	}
	return s, c
}
