package config

import (
	"time"

	"github.com/mccd/mccd/storage"
)

// Rules returns the configured origins as rules. What an entry leaves open is
// what its profile says.
func (c *Config) Rules() []storage.Rule {
	rules := make([]storage.Rule, len(c.Origins))
	for i := range c.Origins {
		rules[i] = c.Origins[i].rule()
	}
	return rules
}

func (o *Origin) rule() storage.Rule {
	profile := storage.ProfileDO
	if o.Profile == storage.ProfileHTTP.String() {
		profile = storage.ProfileHTTP
	}
	do := profile == storage.ProfileDO
	rule := storage.Rule{
		Name: o.Name, Product: o.Product, Profile: profile, Hosts: o.Hosts, KeyHost: o.KeyHost,
		QueryInKey: or(o.QueryInKey, !do), JoinSchemes: o.JoinSchemes,
		LastModifiedLength: or(o.LastModifiedLength, do),
		ImmutablePrefixes:  o.ImmutablePrefixes, AlwaysRevalidate: o.AlwaysRevalidate, PassNotFound: o.PassNotFound,
		FreshFor: time.Duration(o.FreshFor), Ports: o.Ports, Connect: o.Connect,
		AllowPrivate: o.AllowPrivate, MaxRequests: o.MaxRequests,
	}
	if rule.Product == "" {
		rule.Product = o.Name
	}
	return rule
}

func or(value *bool, otherwise bool) bool {
	if value == nil {
		return otherwise
	}
	return *value
}
