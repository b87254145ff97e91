package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// Cluster is a set of nodes. Unless Config.Alone is set, the first one founds
// the cluster and the others join it by a token.
type Cluster struct {
	Nodes []*Node
	// TokenFile is what the nodes' configuration names; Start writes it.
	TokenFile string
	cfg       Config
}

// New makes the directories and configuration files of cfg.Nodes nodes and
// starts nothing.
func New(cfg Config) (*Cluster, error) {
	if cfg.Bin == "" || cfg.Dir == "" {
		return nil, errors.New("new cluster: Bin and Dir are required")
	}
	dir, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return nil, err
	}
	c := &Cluster{cfg: cfg, TokenFile: filepath.Join(dir, "token")}
	for i := range max(1, cfg.Nodes) {
		if _, err := c.Add(nil); err != nil {
			return nil, fmt.Errorf("new node %d: %w", i+1, err)
		}
	}
	return c, nil
}

// Add makes one more node, which joins the first one at its start unless the
// nodes are to be alone, and starts nothing. change may amend its
// configuration after Config.Amend; nil changes nothing.
func (c *Cluster) Add(change func(settings map[string]any)) (*Node, error) {
	i := len(c.Nodes)
	ip, wrap := fmt.Sprintf("127.0.0.%d", i+1), []string(nil)
	if c.cfg.Host != nil {
		ip, wrap = c.cfg.Host(i)
	}
	dir, err := filepath.Abs(filepath.Join(c.cfg.Dir, fmt.Sprintf("node%d", i+1)))
	if err != nil {
		return nil, err
	}
	n := &Node{
		Name: filepath.Base(dir), Index: i, Dir: dir, Drive: filepath.Join(dir, "cache"), IP: ip,
		Socket:     filepath.Join(dir, "mccd.sock"),
		ConfigFile: filepath.Join(dir, "mccd.yaml"),
		LogFile:    filepath.Join(dir, "mccd.log"),
		bin:        c.cfg.Bin, wrap: wrap,
	}
	if err := n.pickPorts(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	n.settings = c.cfg.settings(n)
	if i > 0 && !c.cfg.Alone {
		n.settings["join"] = []string{c.Nodes[0].Peer}
		n.settings["token_file"] = c.TokenFile
	}
	if err := n.Configure(func(settings map[string]any) {
		if c.cfg.Amend != nil {
			c.cfg.Amend(i, settings)
		}
		if change != nil {
			change(settings)
		}
	}); err != nil {
		return nil, err
	}
	c.Nodes = append(c.Nodes, n)
	return n, nil
}

// Start starts every node and waits until each is ready and knows all, or,
// where they are to be alone, leads itself. The first one founds the cluster
// and gives the token by which the others join.
func (c *Cluster) Start(ctx context.Context) error {
	for i, n := range c.Nodes {
		if err := n.Restart(ctx); err != nil {
			return err
		}
		if i == 0 && len(c.Nodes) > 1 && !c.cfg.Alone {
			if err := c.writeToken(ctx, n); err != nil {
				return err
			}
		}
		if c.cfg.Alone {
			if err := n.Writable(ctx); err != nil {
				return err
			}
		}
	}
	if c.cfg.Alone {
		return nil
	}
	return c.Together(ctx)
}

// StartAll starts the nodes that do not run, in the order given (nil = that of
// Nodes), without waiting in between, and waits until they are together.
func (c *Cluster) StartAll(ctx context.Context, order []int) error {
	if order == nil {
		for i := range c.Nodes {
			order = append(order, i)
		}
	}
	for _, i := range order {
		if c.Nodes[i].Running() {
			continue
		}
		if err := c.Nodes[i].Start(); err != nil {
			return err
		}
	}
	return c.Together(ctx)
}

// Running returns the nodes whose process runs.
func (c *Cluster) Running() []*Node {
	return slices.DeleteFunc(slices.Clone(c.Nodes), func(n *Node) bool { return !n.Running() })
}

// Awake returns the nodes whose process runs and is not paused.
func (c *Cluster) Awake() []*Node {
	return slices.DeleteFunc(c.Running(), func(n *Node) bool { return n.paused.Load() })
}

// Close ends every process: by SIGTERM, and after grace by SIGKILL. It
// returns what went wrong in a stop, never leaving a process behind.
func (c *Cluster) Close(grace time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	errs := make([]error, len(c.Nodes))
	var wg sync.WaitGroup
	for i, n := range c.Nodes {
		wg.Go(func() {
			if client := n.takeClient(); client != nil {
				_ = client.Close()
			}
			if !n.Running() {
				return
			}
			_ = n.Resume()
			errs[i] = n.Stop(ctx)
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// DumpLogs writes the end of each node's log to w.
func (c *Cluster) DumpLogs(w io.Writer) {
	const tail = 64 << 10
	for _, n := range c.Nodes {
		text, err := os.ReadFile(n.LogFile)
		if err != nil {
			continue
		}
		fmt.Fprintf(w, "--- log of %s\n%s\n", n.Name, text[max(0, len(text)-tail):])
	}
}
