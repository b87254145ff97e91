package config

import (
	"fmt"
	"net/netip"
	"path"
	"regexp"
	"strings"
)

// origin judges one entry of origins by itself.
func (v *validator) origin(i int) {
	o, key := &v.cfg.Origins[i], fmt.Sprintf("origins[%d]", i)
	if o.Name == "" {
		v.fault(key+".name", "is missing; it is what metrics and logs call this origin")
	}
	v.oneOf(key+".profile", o.Profile, "do", "http")
	if len(o.Hosts) == 0 {
		v.fault(key+".hosts", "is missing; list the host names that clients ask for")
	}
	for j, host := range o.Hosts {
		if err := checkHost(strings.TrimPrefix(host, "*.")); err != nil {
			v.fault(fmt.Sprintf("%s.hosts[%d]", key, j), "%v", err)
		}
	}
	if o.KeyHost != "" {
		if err := checkHost(o.KeyHost); err != nil {
			v.fault(key+".key_host", "%v", err)
		}
	}
	if o.Connect != "" {
		if host, port, err := splitAddress(o.Connect); err != nil {
			v.fault(key+".connect", "%v", err)
		} else if host == "" || port == 0 {
			v.fault(key+".connect", "%q cannot be dialled; write a host and a port", o.Connect)
		}
	}
	for j, port := range o.Ports {
		if port < 1 || port > 65535 {
			v.fault(fmt.Sprintf("%s.ports[%d]", key, j), "%d is not a port between 1 and 65535", port)
		}
	}
	v.originPatterns(o, key)
	if o.FreshFor < 0 {
		v.fault(key+".fresh_for", "is %s; it cannot be negative", o.FreshFor)
	}
	if o.MaxRequests < 0 {
		v.fault(key+".max_requests", "is %d; it cannot be negative", o.MaxRequests)
	}
}

func (v *validator) originPatterns(o *Origin, key string) {
	for j, prefix := range o.ImmutablePrefixes {
		if !strings.HasPrefix(prefix, "/") {
			v.fault(fmt.Sprintf("%s.immutable_prefixes[%d]", key, j), "%q does not begin with /", prefix)
		}
	}
	for name, patterns := range map[string][]string{"always_revalidate": o.AlwaysRevalidate, "pass_not_found": o.PassNotFound} {
		for j, pattern := range patterns {
			where := fmt.Sprintf("%s.%s[%d]", key, name, j)
			if _, err := path.Match(pattern, "x"); err != nil {
				v.fault(where, "%q is not a pattern; * stands for any text, ? for one character", pattern)
			} else if strings.Contains(pattern, "/") {
				v.fault(where, "%q holds a slash; it is compared with file names, not with paths", pattern)
			}
		}
	}
}

// originsTogether judges what no entry shows by itself.
func (v *validator) originsTogether() {
	names, hosts := make(map[string]int), make(map[string]int)
	for i, o := range v.cfg.Origins {
		if first, ok := names[o.Name]; ok && o.Name != "" {
			v.fault(fmt.Sprintf("origins[%d].name", i), "%q is the name of origins[%d] already", o.Name, first)
		} else {
			names[o.Name] = i
		}
		for j, host := range o.Hosts {
			if first, ok := hosts[host]; ok {
				v.fault(fmt.Sprintf("origins[%d].hosts[%d]", i, j), "%q is served by origins[%d] already", host, first)
				continue
			}
			hosts[host] = i
		}
	}
	if !v.cfg.BuiltinCatalogue && len(v.cfg.Origins) == 0 {
		v.fault("builtin_catalogue", "is false and origins lists none, so nothing would be served")
	}
}

// checkHost accepts a DNS name in lower case.
func checkHost(host string) error {
	label := regexp.MustCompile(`^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$`)
	if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return fmt.Errorf("%q is an address; list names, and put an address under connect", host)
	}
	if strings.Contains(host, "*") {
		return fmt.Errorf("%q: a star may only stand first, as in *.example.com", host)
	}
	if strings.Contains(host, ":") || strings.Contains(host, "/") {
		return fmt.Errorf("%q is not a bare host name; leave out the scheme, the port (ports) and the path", host)
	}
	if host != strings.ToLower(host) {
		return fmt.Errorf("%q: write host names in lower case", host)
	}
	if len(host) == 0 || len(host) > 253 {
		return fmt.Errorf("%q is not a host name", host)
	}
	for part := range strings.SplitSeq(host, ".") {
		if !label.MatchString(part) {
			return fmt.Errorf("%q is not a host name", host)
		}
	}
	return nil
}
