package storage

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
)

// PurgeMark kills what was resolved before it.
type PurgeMark struct {
	// Index orders marks, those of all recovery generations alike.
	Index uint64
	// ID names the mark for ever: 16 lower-case hexadecimal digits.
	ID string
	// Host is that of a URL, in the form of Ref.Host; empty = every host.
	// Path is a raw path, a prefix where Prefix is set. A mark hits both
	// schemes and every query.
	Host, Path string
	Prefix     bool
	// Product, when set, hits every host whose rule is of that product
	// (Rule.Product) when the mark is judged; Host is empty then.
	Product string
}

// Stamp tells by which purges something was judged. The zero Stamp is older
// than every mark.
type Stamp struct {
	// Cluster is a cluster's id, Generation its recovery generation.
	Cluster    string
	Generation uint32
	// Index is the purge index.
	Index uint64
}

// Newer reports whether s comes after o in one cluster; stamps of different
// clusters are never newer than one another.
func (s Stamp) Newer(o Stamp) bool {
	if s.Cluster != o.Cluster {
		return false
	}
	return s.Generation > o.Generation || s.Generation == o.Generation && s.Index > o.Index
}

// Purges are the marks of a cluster at one index. They are immutable; a nil
// *Purges has none. Asking it allocates nothing.
type Purges struct {
	stamp   Stamp
	dropped uint64
	marks   []PurgeMark
	// byHost has the marks by host, by the canonical alias of a host too; ""
	// are those of every host.
	byHost map[string]*scopes
	// byProduct has those of a product; rules says of which one a host is.
	byProduct map[string]*scopes
	rules     func(host string) (*Rule, bool)
}

// scopes are the marks of one host; of equal ones the newest.
type scopes struct {
	exact  map[string]int // index in Purges.marks
	prefix map[string]int
	// lengths are those of the prefixes, each once.
	lengths []int
}

// NewPurges returns the purges of a cluster as they stand at index. dropped is
// the index of the newest mark that has left the cluster's state, 0 = none has:
// what is older than that mark can no longer be judged.
func NewPurges(cluster string, generation uint32, index, dropped uint64, marks []PurgeMark) *Purges {
	marks = slices.Clone(marks)
	for i := range marks {
		index = max(index, marks[i].Index)
		marks[i].Host = strings.TrimSuffix(strings.ToLower(marks[i].Host), ".")
	}
	p := &Purges{stamp: Stamp{Cluster: cluster, Generation: generation, Index: max(index, dropped)}, dropped: dropped, marks: marks}
	return p.Keyed(func(string) (*Rule, bool) { return nil, false })
}

// Keyed returns p as the rules of a catalogue have it: a mark of a host also hits
// what is kept under the canonical alias of that host's mirrors (Rule.KeyHost), a
// mark of a product hits what is of its hosts. rules gives the rule of a host
// without a port; it does not block.
func (p *Purges) Keyed(rules func(host string) (*Rule, bool)) *Purges {
	if p == nil {
		return nil
	}
	out := *p
	out.byHost, out.byProduct, out.rules = make(map[string]*scopes), nil, rules
	for i := range p.marks {
		m := &p.marks[i]
		if m.Product != "" {
			if out.byProduct == nil {
				out.byProduct = make(map[string]*scopes)
			}
			out.enter(out.byProduct, m.Product, i)
			continue
		}
		out.enter(out.byHost, m.Host, i)
		if m.Host == "" {
			continue
		}
		if r, ok := rules(HostName(m.Host)); ok && r.KeyHost != "" && r.KeyHost != m.Host {
			out.enter(out.byHost, r.KeyHost, i)
		}
	}
	return &out
}

// enter adds mark i to those of name.
func (p *Purges) enter(to map[string]*scopes, name string, i int) {
	s := to[name]
	if s == nil {
		s = &scopes{exact: make(map[string]int), prefix: make(map[string]int)}
		to[name] = s
	}
	m := &p.marks[i]
	into := s.exact
	if m.Prefix {
		into = s.prefix
	}
	old, ok := into[m.Path]
	if !ok || p.marks[old].Index < m.Index {
		into[m.Path] = i
	}
	if !ok && m.Prefix {
		for _, n := range s.lengths {
			if n == len(m.Path) {
				return
			}
		}
		s.lengths = append(s.lengths, len(m.Path))
	}
}

// Stamp returns what is given to what is resolved by an answer that was asked
// for under p.
func (p *Purges) Stamp() Stamp {
	if p == nil {
		return Stamp{}
	}
	return p.stamp
}

// Dropped returns the index of the newest mark that p lacks, 0 = none.
func (p *Purges) Dropped() uint64 {
	if p == nil {
		return 0
	}
	return p.dropped
}

// Marks returns all marks. They must not be changed.
func (p *Purges) Marks() []PurgeMark {
	if p == nil {
		return nil
	}
	return p.marks
}

// Index returns s as an index of p's cluster: 0 for a stamp of another. Marks
// of a later generation are beyond all stamps of an earlier one.
func (p *Purges) Index(s Stamp) uint64 {
	if p == nil || s.Cluster != p.stamp.Cluster {
		return 0
	}
	return s.Index
}

// Latest returns the newest mark that matches r; its scheme and query do not
// count.
func (p *Purges) Latest(r Ref) (PurgeMark, bool) {
	if p == nil || len(p.marks) == 0 {
		return PurgeMark{}, false
	}
	best := p.latest(p.byHost[""], r.Path, -1)
	best = p.latest(p.byHost[r.Host], r.Path, best)
	if r.KeyHost != "" && r.KeyHost != r.Host {
		best = p.latest(p.byHost[r.KeyHost], r.Path, best)
	}
	if len(p.byProduct) > 0 {
		if rule, ok := p.rules(HostName(r.Host)); ok {
			best = p.latest(p.byProduct[rule.Product], r.Path, best)
		}
	}
	if best < 0 {
		return PurgeMark{}, false
	}
	return p.marks[best], true
}

func (p *Purges) latest(s *scopes, path string, best int) int {
	if s == nil {
		return best
	}
	newer := func(i int, ok bool) {
		if ok && (best < 0 || p.marks[i].Index > p.marks[best].Index) {
			best = i
		}
	}
	i, ok := s.exact[path]
	newer(i, ok)
	for _, n := range s.lengths {
		if n <= len(path) {
			i, ok := s.prefix[path[:n]]
			newer(i, ok)
		}
	}
	return best
}

// Mark returns what Version.Mark is of a version of r that is resolved by an
// answer asked for under p: the ID of the newest mark that matches. Where marks
// that may have matched are gone, it is the Mark of was, a record of r that is
// not dead; without one it is a mark of p's own, since old bytes may lie under
// any other.
func (p *Purges) Mark(r Ref, was *Object) string {
	m, ok := p.Latest(r)
	switch {
	case ok && m.Index > p.dropped:
		return m.ID
	case was != nil:
		return was.Version.Mark
	case p.Dropped() == 0:
		return ""
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "dropped marks of %q, %d, %d", p.stamp.Cluster, p.stamp.Generation, p.dropped))
	return hex.EncodeToString(sum[:8])
}

// Killed reports whether a mark that matches r is newer than s.
func (p *Purges) Killed(r Ref, s Stamp) bool {
	if p == nil || len(p.marks) == 0 {
		return false
	}
	have := p.Index(s)
	if have >= p.stamp.Index {
		return false
	}
	m, ok := p.Latest(r)
	return ok && m.Index > have
}

// Judges reports whether p can judge what bears s: no mark after s is missing.
func (p *Purges) Judges(s Stamp) bool { return p == nil || p.dropped == 0 || p.Index(s) >= p.dropped }

// Dead reports whether what was resolved for r under s must not be used: a
// newer mark kills it, or may have done so and is gone.
func (p *Purges) Dead(r Ref, s Stamp) bool { return !p.Judges(s) || p.Killed(r, s) }
