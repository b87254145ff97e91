package config

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"
)

const (
	// PeerPort is the port for peers where an address names none.
	PeerPort = 7947
	// tokenPrefix begins a token: one in place of a file's name is not echoed.
	tokenPrefix = "MCCD1-"
	maxWeight   = 4

	minCertLife, maxCertLife = Duration(time.Hour), Duration(365 * 24 * time.Hour)
)

// joining judges what a node says of its way into a cluster.
func (v *validator) joining() {
	c := v.cfg
	for i, peer := range c.Join {
		if _, err := PeerAddress(peer); err != nil {
			v.fault(fmt.Sprintf("join[%d]", i), "%v", err)
		}
	}
	for key, value := range map[string]string{"token_file": c.TokenFile, "join_secret": c.JoinSecret} {
		if strings.HasPrefix(value, tokenPrefix) {
			v.fault(key, "is a token itself, not the name of a file; put it into a file of mode 0600, or into "+TokenEnv)
		}
	}
	switch {
	case c.JoinSecret != "" && c.TokenFile != "":
		v.fault("join_secret", "and token_file are two ways to join; use one of them")
	case c.JoinSecret != "" && len(c.Join) == 0:
		v.fault("join_secret", "needs join: the names of all nodes that start at once, in the same order at each")
	}
	if c.Weight < 0 || c.Weight > maxWeight {
		v.fault("weight", "is %d; use 1 to %d, or 0 for the size of the drives to decide", c.Weight, maxWeight)
	}
	if c.CertLife < minCertLife || c.CertLife > maxCertLife {
		v.fault("cert_life", "is %s; use %s to %s", c.CertLife, minCertLife, maxCertLife)
	}
}

// PeerAddress returns "host:port" of a peer written as "host" or "host:port";
// the port is PeerPort unless given.
func PeerAddress(peer string) (string, error) {
	if strings.HasPrefix(peer, tokenPrefix) {
		return "", fmt.Errorf("a token stands in place of a peer; tokens go into a file (--token-file) or %s", TokenEnv)
	}
	host, port, err := net.SplitHostPort(peer)
	if err != nil {
		host, port = strings.TrimSuffix(strings.TrimPrefix(peer, "["), "]"), strconv.Itoa(PeerPort)
		if strings.Contains(host, ":") && net.ParseIP(host) == nil {
			host = ""
		}
	}
	n, err := strconv.Atoi(port)
	if host == "" || err != nil || n < 1 || n > 65535 || strings.ContainsAny(host, " /@[]") {
		return "", fmt.Errorf("%q is not a peer; write HOST or HOST:PORT, such as node1.example or 192.0.2.1:%d", peer, PeerPort)
	}
	return net.JoinHostPort(host, port), nil
}
