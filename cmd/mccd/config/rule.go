package config

import (
	"net/netip"
	"time"

	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/storage/catalogue"
)

// Rules returns the configured origins as complete rules: what an entry leaves
// open is what its profile says (catalogue.Defaults).
func (c *Config) Rules() []storage.Rule {
	rules := make([]storage.Rule, len(c.Origins))
	for i := range c.Origins {
		rules[i] = c.Origins[i].rule()
	}
	return rules
}

// IPPrefixes returns what ip_origins lists, without what cannot be read.
func (c *Config) IPPrefixes() []netip.Prefix { return Prefixes(c.IPOrigins) }

// Prefixes returns the addresses and prefixes of a list, without what cannot be
// read; nil where there is none.
func Prefixes(texts []string) []netip.Prefix {
	var prefixes []netip.Prefix
	for _, text := range texts {
		if p, err := storage.ParsePrefix(text); err == nil {
			prefixes = append(prefixes, p)
		}
	}
	return prefixes
}

func (o *Origin) rule() storage.Rule {
	profile := storage.ProfileDO
	if o.Profile == storage.ProfileHTTP.String() {
		profile = storage.ProfileHTTP
	}
	r := catalogue.Defaults(profile)
	r.Name, r.Product, r.Hosts, r.KeyHost = o.Name, o.Product, o.Hosts, o.KeyHost
	r.JoinSchemes, r.Ports, r.Connect, r.AllowPrivate = o.JoinSchemes, o.Ports, o.Connect, o.AllowPrivate
	r.FreshFor, r.MaxRequests = time.Duration(o.FreshFor), o.MaxRequests
	r.Upstream = o.Upstream
	if o.UpstreamFallback != nil {
		r.UpstreamOnly = !*o.UpstreamFallback
	}
	if o.QueryInKey != nil {
		r.QueryInKey = *o.QueryInKey
	}
	if o.LastModifiedLength != nil {
		r.LastModifiedLength = *o.LastModifiedLength
	}
	for _, list := range []struct {
		given []string
		field *[]string
	}{
		{o.ImmutablePrefixes, &r.ImmutablePrefixes},
		{o.AlwaysRevalidate, &r.AlwaysRevalidate},
		{o.PassNotFound, &r.PassNotFound},
	} {
		if list.given != nil {
			*list.field = list.given
		}
	}
	return r
}
