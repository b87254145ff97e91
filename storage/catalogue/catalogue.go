package catalogue

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/mccd/mccd/storage"
)

// Config says which origins there are.
type Config struct {
	// Builtin adds the built-in rows.
	Builtin bool
	// Rules are those of the configuration, in its order. Names are made lower
	// case. What a rule leaves open gets the default of its profile
	// (Defaults): a false bool and a nil list do, an empty list does not.
	Rules []storage.Rule
	// Complete tells that Rules were made from Defaults: nothing is filled in,
	// so that false means false.
	Complete bool
	// Literals are the addresses that clients may name in place of an origin's
	// name, served by profile do under a rule named "ip"; to list one allows it
	// whether it is private or not. nil: none.
	Literals []netip.Prefix
}

// Catalogue is an immutable set of rules. It is safe for concurrent use.
type Catalogue struct {
	rules []*storage.Rule
	// exact holds whole names, suffix the x of each "*.x".
	exact, suffix map[string]*storage.Rule
	// literals is the rule for addresses that are in no other; nil: none.
	literals *storage.Rule
}

// New returns the catalogue of cfg, or every fault of its rules at once, each
// with the rule's index, its name and what to do.
func New(cfg Config) (*Catalogue, error) {
	c := &Catalogue{exact: make(map[string]*storage.Rule), suffix: make(map[string]*storage.Rule)}
	if cfg.Builtin {
		for _, r := range builtin() {
			c.add(&r)
		}
	}
	var faults []error
	configured := make([]*storage.Rule, 0, len(cfg.Rules))
	for _, r := range cfg.Rules {
		r = normal(r)
		if !cfg.Complete {
			r = complete(r)
		}
		configured = append(configured, &r)
	}
	for i, r := range configured {
		for _, err := range append(check(r), clashes(configured[:i], r)...) {
			faults = append(faults, fmt.Errorf("origin %d (%s): %w", i+1, label(r), err))
		}
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	for _, r := range configured {
		c.add(r)
	}
	if len(cfg.Literals) > 0 {
		c.literals = literals(cfg.Literals)
		c.rules = append(c.rules, c.literals)
	}
	return c, nil
}

// literals returns the rule for origins that are named by their address.
func literals(prefixes []netip.Prefix) *storage.Rule {
	r := Defaults(storage.ProfileDO)
	r.Name, r.Product, r.AllowPrivate = "ip", "ip", true
	r.AllowLiterals = slices.Clone(prefixes)
	return &r
}

func (c *Catalogue) add(r *storage.Rule) {
	c.rules = append(c.rules, r)
	for _, h := range r.Hosts {
		if x, ok := strings.CutPrefix(h, "*."); ok {
			c.suffix[x] = r
		} else {
			c.exact[h] = r
		}
	}
}

// Lookup returns the rule for host, a name in lower case without port and
// trailing dot, or an address without brackets. A whole name goes before a "*.x", a longer x before a shorter
// one, and a configured rule before a built-in one for the same pattern. The
// rule must not be changed. It takes no lock and allocates nothing.
func (c *Catalogue) Lookup(host string) (*storage.Rule, bool) {
	if r, ok := c.exact[host]; ok {
		return r, true
	}
	for x := host; x != ""; {
		if r, ok := c.suffix[x]; ok {
			return r, true
		}
		_, x, _ = strings.Cut(x, ".")
	}
	if c.literals != nil {
		if addr, err := netip.ParseAddr(host); err == nil && storage.Holds(c.literals.AllowLiterals, addr) {
			return c.literals, true
		}
	}
	return nil, false
}

// Rules returns all rules, the built-in ones first; the slice is the caller's,
// the rules are not to be changed.
func (c *Catalogue) Rules() []*storage.Rule { return slices.Clone(c.rules) }
