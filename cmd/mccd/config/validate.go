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

	"github.com/mccd/mccd/storage"
)

const (
	// minDrive is the smallest limit of a drive: a few chunks must fit.
	minDrive = Size(32 << 20)
	// minEgress is the least bound of what leaves for clients.
	minEgress = Size(1 << 20)
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
	v.https()
	v.joining()
	v.drives()
	v.origins()
	v.clients()
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
	c := v.cfg
	var taken []bound
	for _, a := range []struct {
		key, value     string
		optional, dial bool
	}{
		{key: "listen", value: c.Listen},
		{key: "https_listen", value: c.HTTPSListen, optional: true},
		{key: "ops_listen", value: c.OpsListen, optional: true},
		{key: "peer_listen", value: c.PeerListen},
		{key: "gossip_listen", value: c.GossipListen},
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
		}
		if err != nil || a.dial || port == 0 {
			continue
		}
		own := bound{a.key, host, port}
		for _, other := range taken {
			if !other.meets(own) {
				continue
			}
			// Who gave one of the two reads about that one.
			at, than := own, other
			if _, given := v.where[own.key]; !given {
				at, than = other, own
			}
			v.fault(at.key, "port %d is that of %s already", port, than.key)
		}
		taken = append(taken, own)
	}
}

// bound is an address that is listened on.
type bound struct {
	key, host string
	port      int
}

func (b bound) meets(o bound) bool {
	return b.port == o.port && (b.host == o.host || everywhere(b.host) || everywhere(o.host))
}

func everywhere(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "" || err == nil && addr.IsUnspecified()
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

// https judges the files of a certificate; whether they can be read is told by
// the running node.
func (v *validator) https() {
	switch t := v.cfg.TLS; {
	case t.CertFile != "" && t.KeyFile == "":
		v.fault("tls.key_file", "is missing: tls.cert_file needs its private key")
	case t.KeyFile != "" && t.CertFile == "":
		v.fault("tls.cert_file", "is missing: tls.key_file is of no use without the certificate")
	}
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

// clients judges the lists of addresses on the clients' side.
func (v *validator) clients() {
	for key, texts := range map[string][]string{
		"proxy_protocol": v.cfg.ProxyProtocol, "trusted_forwarders": v.cfg.TrustedForwarders, "allow_clients": v.cfg.AllowClients,
	} {
		for i, text := range texts {
			switch p, err := storage.ParsePrefix(text); {
			case err != nil:
				v.fault(fmt.Sprintf("%s[%d]", key, i), "%v", err)
			case p.Bits() == 0 && key != "allow_clients":
				v.fault(fmt.Sprintf("%s[%d]", key, i), "%q would let every client choose its address; list the balancers", text)
			}
		}
	}
}

func (v *validator) limits() {
	l := v.cfg.Limits
	if l.Egress > 0 && l.Egress < minEgress {
		v.fault("limits.egress", "is %s; clients give up a cache that is slower than 4,000 B/s to each, so at least %s", l.Egress, minEgress)
	}
	for key, value := range map[string]int{
		"limits.max_connections": l.MaxConnections, "limits.requests_per_origin": l.RequestsPerOrigin,
		"limits.fills_per_peer": l.FillsPerPeer, "limits.flights": l.Flights,
		"limits.origin_requests": l.OriginRequests, "limits.flights_per_origin": l.FlightsPerOrigin,
		"limits.borrowed_share": l.BorrowedShare,
	} {
		if value < 0 {
			v.fault(key, "is %d; it cannot be negative", value)
		}
	}
	if l.BorrowedShare > 90 {
		v.fault("limits.borrowed_share", "is %d; it is in percent of each drive, and at most 90", l.BorrowedShare)
	}
	if l.IdleAfter < 0 {
		v.fault("limits.idle_after", "is %s; it cannot be negative", l.IdleAfter)
	}
}

func (v *validator) timeouts() {
	t := v.cfg.Timeouts
	for key, value := range map[string]Duration{
		"timeouts.connect": t.Connect, "timeouts.first_byte": t.FirstByte, "timeouts.stall": t.Stall,
		"timeouts.client_first_byte": t.ClientFirstByte, "timeouts.peer_silence": t.PeerSilence,
		"timeouts.peer_heartbeat": t.PeerHeartbeat, "timeouts.breaker_open": t.BreakerOpen,
		"timeouts.shutdown_grace": t.ShutdownGrace, "timeouts.gossip_probe": t.GossipProbe,
		"timeouts.raft_heartbeat": t.RaftHeartbeat, "timeouts.raft_election": t.RaftElection,
		"timeouts.catch_up": t.CatchUp, "timeouts.drive_slow": t.DriveSlow,
	} {
		if value <= 0 {
			v.fault(key, "is %s; it must be more than 0", value)
		}
	}
	if t.ClientFirstByte > maxClientWait {
		v.fault("timeouts.client_first_byte", "is %s; clients give a cache up at 20s, so at most %s", t.ClientFirstByte, maxClientWait)
	}
	if t.RaftElection < t.RaftHeartbeat {
		v.fault("timeouts.raft_election", "is %s; it must be at least raft_heartbeat (%s)", t.RaftElection, t.RaftHeartbeat)
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
