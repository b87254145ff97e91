package process

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// Configure changes what the node's configuration file says; a running process
// does not see it. A changed name is the Node's from then on.
func (n *Node) Configure(change func(settings map[string]any)) error {
	change(n.settings)
	if name, ok := n.settings["name"].(string); ok {
		n.Name = name
	}
	return writeConfig(n.ConfigFile, n.settings)
}

// Readdress gives a stopped node other ports for everything.
func (n *Node) Readdress() error {
	if n.Running() {
		return fmt.Errorf("readdress %s: it runs", n.Name)
	}
	if err := n.pickPorts(); err != nil {
		return err
	}
	return n.Configure(func(settings map[string]any) {
		for key, addr := range n.listens() {
			settings[key] = addr
		}
	})
}

func (n *Node) listens() map[string]string {
	return map[string]string{"listen": n.Addr, "https_listen": n.HTTPS, "ops_listen": n.Ops, "peer_listen": n.Peer, "gossip_listen": n.Gossip}
}

// pickPorts chooses the node's addresses. Those of a host of its own need no
// look whether they are free.
func (n *Node) pickPorts() error {
	addrs, err := freeAddrs(n.IP, 5, n.wrap == nil)
	if err != nil {
		return err
	}
	n.Addr, n.Ops, n.Peer, n.Gossip, n.HTTPS = addrs[0], addrs[1], addrs[2], addrs[3], addrs[4]
	return nil
}

// Wipe removes all that a stopped node kept, but not its configuration and
// logs: its id, its membership and its content.
func (n *Node) Wipe() error {
	if n.Running() {
		return fmt.Errorf("wipe %s: it runs", n.Name)
	}
	entries, err := os.ReadDir(n.Dir)
	if err != nil {
		return err
	}
	keep := []string{filepath.Base(n.ConfigFile), filepath.Base(n.LogFile), "access.log"}
	var errs []error
	for _, e := range entries {
		if !slices.Contains(keep, e.Name()) {
			errs = append(errs, os.RemoveAll(filepath.Join(n.Dir, e.Name())))
		}
	}
	return errors.Join(errs...)
}
