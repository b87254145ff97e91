package config

import (
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	// minDrive is the smallest limit of a drive: a few chunks must fit.
	minDrive = Size(32 << 20)
	// maxSocketPath is what a Unix socket address holds, less its end mark.
	maxSocketPath = 107
	// maxSocketDir leaves room for the private name under which it is made.
	maxSocketDir = 89
	// maxClientWait keeps clear of the 20 s after which clients give a cache
	// up (docs/clients.md section 5).
	maxClientWait = Duration(15 * time.Second)
)

// validator judges a merged configuration and names, for each fault, where the
// value was given.
type validator struct {
	cfg    *Config
	where  map[string]Where
	faults *Faults
}

// fault adds one, unless the key's value could not even be read.
func (v *validator) fault(key, format string, args ...any) {
	if slices.ContainsFunc(*v.faults, func(f Fault) bool { return f.Key == key }) {
		return
	}
	*v.faults = append(*v.faults, Fault{v.find(key), key, fmt.Sprintf(format, args...)})
}

// find returns where key, or else the nearest thing that holds it, was given.
func (v *validator) find(key string) Where {
	for key != "" {
		if w, ok := v.where[key]; ok {
			return w
		}
		key = key[:max(strings.LastIndexAny(key, ".["), 0)]
	}
	return Where{}
}

func (v *validator) all() {
	v.names()
	v.addresses()
	v.drives()
	v.origins()
	v.limits()
	v.timeouts()
	v.oneOf("log.level", v.cfg.Log.Level, "debug", "info", "warn", "error")
	v.oneOf("log.format", v.cfg.Log.Format, "text", "json")
}

func (v *validator) names() {
	name := regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$`)
	for key, value := range map[string]string{"name": v.cfg.Name, "zone": v.cfg.Zone} {
		if value != "" && !name.MatchString(value) {
			v.fault(key, "%q is not a name: letters, digits, dots, dashes and underscores, at most 63", value)
		}
	}
	socket := v.cfg.AdminSocket
	if socket != "" && !filepath.IsAbs(socket) {
		v.fault("admin_socket", "%q is not an absolute path", socket)
	}
	if err := checkSocket(socket); err != nil {
		v.fault("admin_socket", "%v", err)
	}
}

func checkSocket(path string) error {
	if len(path) > maxSocketPath || len(filepath.Dir(path)) >= maxSocketDir {
		return fmt.Errorf("has %d bytes; the system allows %d, and %d for the directory", len(path), maxSocketPath, maxSocketDir)
	}
	return nil
}

func (v *validator) addresses() {
	c, taken := v.cfg, make(map[string]string)
	for _, a := range []struct {
		key, value               string
		optional, loopback, dial bool
	}{
		{key: "listen", value: c.Listen},
		{key: "ops_listen", value: c.OpsListen, optional: true},
		{key: "peer_listen", value: c.PeerListen, loopback: true},
		{key: "gossip_listen", value: c.GossipListen, loopback: true},
		{key: "peer_advertise", value: c.PeerAdvertise, optional: true, dial: true},
		{key: "gossip_advertise", value: c.GossipAdvertise, optional: true, dial: true},
	} {
		if a.value == "" && a.optional {
			continue
		}
		host, port, err := splitAddress(a.value)
		switch {
		case err != nil:
			v.fault(a.key, "%v", err)
		case a.dial && (host == "" || port == 0):
			v.fault(a.key, "%q cannot be dialled; write a host and a port", a.value)
		case a.loopback && !isLoopback(host):
			v.fault(a.key, "%q is not a loopback address; traffic between nodes is not encrypted in this release, so use 127.0.0.1", a.value)
		}
		if err != nil || a.dial || port == 0 {
			continue
		}
		if other, ok := taken[a.value]; ok {
			v.fault(a.key, "%q is %s already", a.value, other)
		}
		taken[a.value] = a.key
	}
	for i, peer := range c.Join {
		if host, port, err := splitAddress(peer); err != nil {
			v.fault(fmt.Sprintf("join[%d]", i), "%v", err)
		} else if host == "" || port == 0 {
			v.fault(fmt.Sprintf("join[%d]", i), "%q cannot be dialled; write a host and a port", peer)
		}
	}
}

// splitAddress reads "host:port"; the host may be empty, the port 0.
func splitAddress(s string) (host string, port int, err error) {
	host, text, err := net.SplitHostPort(s)
	if err != nil {
		return "", 0, fmt.Errorf("%q is not an address; write host:port, such as 127.0.0.1:8080 or :80", s)
	}
	port, err = strconv.Atoi(text)
	if err != nil || port < 0 || port > 65535 {
		return "", 0, fmt.Errorf("%q has no port between 0 and 65535", s)
	}
	if strings.ContainsAny(host, " /@") {
		return "", 0, fmt.Errorf("%q has no valid host", s)
	}
	return host, port, nil
}

func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}

func (v *validator) drives() {
	for i, drive := range v.cfg.Drives {
		key := fmt.Sprintf("drives[%d]", i)
		if drive.Path == "" {
			v.fault(key+".path", "is missing")
		}
		if drive.Size < minDrive {
			v.fault(key+".size", "is %s; a drive needs at least %s", drive.Size, minDrive)
		}
		for j, other := range v.cfg.Drives[:i] {
			if drive.Path != "" && other.Path != "" && nested(drive.Path, other.Path) {
				v.fault(key+".path", "%q and drives[%d] %q are one inside the other", drive.Path, j, other.Path)
			}
		}
	}
}

func nested(a, b string) bool {
	a, b = filepath.Clean(a)+"/", filepath.Clean(b)+"/"
	return strings.HasPrefix(a, b) || strings.HasPrefix(b, a)
}

func (v *validator) limits() {
	l := v.cfg.Limits
	for key, value := range map[string]int{
		"limits.max_connections": l.MaxConnections, "limits.requests_per_origin": l.RequestsPerOrigin,
		"limits.fills_per_peer": l.FillsPerPeer, "limits.flights": l.Flights,
	} {
		if value < 0 {
			v.fault(key, "is %d; it cannot be negative", value)
		}
	}
}

func (v *validator) timeouts() {
	t := v.cfg.Timeouts
	for key, value := range map[string]Duration{
		"timeouts.connect": t.Connect, "timeouts.first_byte": t.FirstByte, "timeouts.stall": t.Stall,
		"timeouts.client_first_byte": t.ClientFirstByte, "timeouts.peer_silence": t.PeerSilence,
		"timeouts.peer_heartbeat": t.PeerHeartbeat, "timeouts.breaker_open": t.BreakerOpen,
		"timeouts.shutdown_grace": t.ShutdownGrace, "timeouts.gossip_probe": t.GossipProbe,
	} {
		if value <= 0 {
			v.fault(key, "is %s; it must be more than 0", value)
		}
	}
	if t.ClientFirstByte > maxClientWait {
		v.fault("timeouts.client_first_byte", "is %s; clients give a cache up at 20s, so at most %s", t.ClientFirstByte, maxClientWait)
	}
	if t.PeerHeartbeat > t.PeerSilence/2 {
		v.fault("timeouts.peer_heartbeat", "is %s; it must be at most half of peer_silence (%s)", t.PeerHeartbeat, t.PeerSilence)
	}
}

func (v *validator) oneOf(key, value string, allowed ...string) {
	if !slices.Contains(allowed, value) {
		v.fault(key, "is %q; use %s", value, strings.Join(allowed, ", "))
	}
}
