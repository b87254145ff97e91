package config

import (
	"errors"
	"fmt"
	"strings"

	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/storage/catalogue"
)

// origins judges all entries by the catalogue's own rules, so that what passes
// here starts a node: each value by itself, for its line, then together.
func (v *validator) origins() {
	v.upstream()
	before := len(*v.faults)
	for i := range v.cfg.Origins {
		v.origin(i)
	}
	if len(*v.faults) > before {
		return
	}
	rules := v.cfg.Rules()
	for i := range rules {
		own := fmt.Sprintf("origin %d ", i+1)
		for _, err := range catalogueFaults(rules[:i+1]) {
			if strings.HasPrefix(err.Error(), own) {
				v.fault(fmt.Sprintf("origins[%d]", i), "%v", errors.Unwrap(err))
			}
		}
	}
	if !v.cfg.BuiltinCatalogue && len(rules) == 0 && len(v.cfg.IPOrigins) == 0 {
		v.fault("builtin_catalogue", "is false and origins lists none, so nothing would be served")
	}
}

// upstream judges what all origins share.
func (v *validator) upstream() {
	up, err := storage.ParseUpstream(v.cfg.Upstream)
	if err != nil {
		v.fault("upstream", "%v", err)
	}
	for i, entry := range v.cfg.UpstreamBypass {
		if _, err := storage.ParseBypass([]string{entry}); err != nil {
			v.fault(fmt.Sprintf("upstream_bypass[%d]", i), "%v", err)
		}
	}
	if len(v.cfg.UpstreamBypass) > 0 && (up.Way == storage.WayDefault || up.Way == storage.WayDirect) {
		v.fault("upstream_bypass", "lists what goes past upstream, which names nothing")
	}
	for i, text := range v.cfg.IPOrigins {
		switch p, err := storage.ParsePrefix(text); {
		case err != nil:
			v.fault(fmt.Sprintf("ip_origins[%d]", i), "%v", err)
		case p.Bits() == 0:
			v.fault(fmt.Sprintf("ip_origins[%d]", i), "%q would make an open proxy; list the caches' own prefixes", text)
		}
	}
}

// origin tries each value of entry i in a rule that is right otherwise.
func (v *validator) origin(i int) {
	o, entry := &v.cfg.Origins[i], fmt.Sprintf("origins[%d].", i)
	try := func(key string, change func(*storage.Rule)) {
		rule := storage.Rule{Name: "origin", Profile: storage.ProfileHTTP, Hosts: []string{"origin.example"}}
		change(&rule)
		for _, err := range catalogueFaults([]storage.Rule{rule}) {
			v.fault(entry+key, "%v", errors.Unwrap(err))
		}
	}
	list := func(key string, values []string, field func(*storage.Rule) *[]string) {
		for j, value := range values {
			try(fmt.Sprintf("%s[%d]", key, j), func(r *storage.Rule) { *field(r) = []string{value} })
		}
	}
	v.oneOf(entry+"profile", o.Profile, "do", "http")
	if len(o.Hosts) == 0 {
		v.fault(entry+"hosts", "is missing; list the host names that clients ask for")
	}
	if o.Name != "" {
		try("name", func(r *storage.Rule) { r.Name = o.Name })
	}
	list("hosts", o.Hosts, func(r *storage.Rule) *[]string { return &r.Hosts })
	try("key_host", func(r *storage.Rule) { r.KeyHost = o.KeyHost })
	try("connect", func(r *storage.Rule) { r.Connect, r.AllowPrivate = o.Connect, o.AllowPrivate })
	try("upstream", func(r *storage.Rule) { r.Upstream = o.Upstream })
	for j, port := range o.Ports {
		try(fmt.Sprintf("ports[%d]", j), func(r *storage.Rule) { r.Ports = []int{port} })
	}
	list("immutable_prefixes", o.ImmutablePrefixes, func(r *storage.Rule) *[]string { return &r.ImmutablePrefixes })
	list("always_revalidate", o.AlwaysRevalidate, func(r *storage.Rule) *[]string { return &r.AlwaysRevalidate })
	list("pass_not_found", o.PassNotFound, func(r *storage.Rule) *[]string { return &r.PassNotFound })
	if o.FreshFor < 0 {
		v.fault(entry+"fresh_for", "is %s; it cannot be negative", o.FreshFor)
	}
	if o.MaxRequests < 0 {
		v.fault(entry+"max_requests", "is %d; it cannot be negative", o.MaxRequests)
	}
}

// catalogueFaults returns the catalogue's faults one by one, each wrapping what
// is wrong in the entry's number and name.
func catalogueFaults(rules []storage.Rule) []error {
	_, err := catalogue.New(catalogue.Config{Rules: rules, Complete: true})
	var joined interface{ Unwrap() []error }
	if errors.As(err, &joined) {
		return joined.Unwrap()
	}
	return nil
}
