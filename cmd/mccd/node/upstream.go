package node

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/storage/origin"
)

// defaultSpool is what Limits.SpoolBytes stands for when it is 0.
const defaultSpool = 256 << 20

// upstream completes cfg by what is asked in place of origins, and by the
// credentials of proxies, which are in a file and nowhere else.
func (n *Node) upstream(cfg *origin.Config) (err error) {
	up := n.cfg.Upstream
	cfg.Upstream, cfg.UpstreamOnly = up.Default, up.Only
	if cfg.Bypass, err = storage.ParseBypass(up.Bypass); err != nil {
		return fmt.Errorf("upstream_bypass: %w", err)
	}
	if up.CredentialsFile != "" {
		text, err := readCredential(up.CredentialsFile)
		if err != nil {
			return fmt.Errorf("upstream_credentials: %w", err)
		}
		if cfg.Credentials, err = parseProxies(string(text)); err != nil {
			return fmt.Errorf("upstream_credentials: %s: %w", up.CredentialsFile, err)
		}
	}
	return nil
}

// clusterName returns this cluster's name in CDN-Loop, by which two clusters
// that name each other find out.
func (n *Node) clusterName() string {
	if id := n.cluster.View().Epoch.Cluster; id != "" {
		return "mccd-" + viaName(id)
	}
	return viaName(n.cfg.Name)
}

// spool says where answers of unknown length wait for their end.
func (n *Node) spool() origin.Spool {
	bytes := n.cfg.Limits.SpoolBytes
	if bytes == 0 {
		bytes = defaultSpool
	}
	return origin.Spool{Dir: filepath.Join(n.cfg.DataDir, "spool"), Bytes: bytes}
}

// parseProxies reads lines of "host:port user:password"; those that are empty
// or begin with # are left out. The errors name lines, never what they hold.
func parseProxies(text string) (map[string]*url.Userinfo, error) {
	proxies := make(map[string]*url.Userinfo)
	var faults []error
	number := 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		at, secret, _ := strings.Cut(line, " ")
		user, password, ok := strings.Cut(strings.TrimSpace(secret), ":")
		host, port, err := net.SplitHostPort(at)
		if !ok || user == "" || err != nil || host == "" || port == "" {
			faults = append(faults, fmt.Errorf("line %d is not host:port user:password", number))
			continue
		}
		proxies[net.JoinHostPort(strings.TrimSuffix(strings.ToLower(host), "."), port)] = url.UserPassword(user, password)
	}
	return proxies, errors.Join(faults...)
}
