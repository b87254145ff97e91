package process

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"go.yaml.in/yaml/v3"
)

// Origin is a rule of the configuration file (docs/configuration.md).
type Origin struct {
	Name         string   `yaml:"name"`
	Product      string   `yaml:"product,omitempty"`
	Hosts        []string `yaml:"hosts"`
	Profile      string   `yaml:"profile,omitempty"`
	Connect      string   `yaml:"connect,omitempty"`
	AllowPrivate bool     `yaml:"allow_private,omitempty"`
	JoinSchemes  bool     `yaml:"join_schemes,omitempty"`
	MaxRequests  int      `yaml:"max_requests,omitempty"`
}

// Config says which nodes to start. Zero values mean what each field says.
type Config struct {
	// Bin is the program (see Build). Required.
	Bin string
	// Dir is where the nodes' directories and the token's file are made. Required; its path must
	// be short enough for a Unix socket inside it (about 80 bytes).
	Dir string
	// Nodes is how many; 0 = one.
	Nodes int
	// Origins are the rules that every node gets.
	Origins []Origin
	// DriveSize is the limit of each node's one drive; empty = "4GiB".
	DriveSize string
	// Alone leaves each node the cluster of its own that it is at first; else
	// the first one founds one, which all others join by a token.
	Alone bool
	// Host gives node i an address of its own and the command that runs a
	// process there ("ip netns exec x"); nil = 127.0.0.(i+1) and none.
	Host func(i int) (ip string, wrap []string)
	// Amend changes node i's configuration before it is written; may be nil.
	Amend func(i int, settings map[string]any)
}

// settings returns what node i's file says.
func (c Config) settings(n *Node) map[string]any {
	size := c.DriveSize
	if size == "" {
		size = "4GiB"
	}
	m := map[string]any{
		"name":         n.Name,
		"data_dir":     n.Dir,
		"admin_socket": n.Socket,
		"drives":       []map[string]any{{"path": n.Drive, "size": size}},
		"origins":      c.Origins,
		"log":          map[string]any{"level": "info", "format": "text"},
		"access_log":   filepath.Join(n.Dir, "access.log"),
		"timeouts":     map[string]any{},
	}
	for key, addr := range n.listens() {
		m[key] = addr
	}
	return m
}

func writeConfig(path string, settings map[string]any) error {
	text, err := yaml.Marshal(settings)
	if err != nil {
		return fmt.Errorf("encode configuration: %w", err)
	}
	return os.WriteFile(path, text, 0o600)
}

// Ports are taken from below the range that Linux gives to outgoing
// connections, so that none of those sits on a node's port while it is down.
const firstPort, lastPort = 20000, 32000

// freeAddrs returns n addresses of ip, no two equal; with look, ones whose TCP
// and UDP ports were free a moment ago.
func freeAddrs(ip string, n int, look bool) ([]string, error) {
	addrs := make([]string, 0, n)
	for tries := 0; len(addrs) < n; tries++ {
		if tries > 64*n {
			return nil, fmt.Errorf("no free ports at %s", ip)
		}
		addr := net.JoinHostPort(ip, strconv.Itoa(firstPort+rand.IntN(lastPort-firstPort)))
		if slices.Contains(addrs, addr) {
			continue
		}
		if !look {
			addrs = append(addrs, addr)
			continue
		}
		l, err := net.Listen("tcp", addr)
		if err != nil {
			continue // taken by somebody else; the next one
		}
		_ = l.Close()
		u, err := net.ListenPacket("udp", addr)
		if err != nil {
			continue
		}
		_ = u.Close()
		addrs = append(addrs, addr)
	}
	return addrs, nil
}
