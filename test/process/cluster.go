package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// Cluster is a set of nodes that know one another.
type Cluster struct {
	Nodes []*Node
	cfg   Config
}

// New makes the directories and configuration files of cfg.Nodes nodes and
// starts nothing.
func New(cfg Config) (*Cluster, error) {
	if cfg.Bin == "" || cfg.Dir == "" {
		return nil, errors.New("new cluster: Bin and Dir are required")
	}
	c := &Cluster{cfg: cfg}
	var seeds []string
	for i := range max(1, cfg.Nodes) {
		n, err := c.add(i, seeds)
		if err != nil {
			return nil, fmt.Errorf("new node %d: %w", i+1, err)
		}
		seeds = append(seeds, n.Gossip)
	}
	return c, nil
}

// add makes one node, which joins the seeds at its start.
func (c *Cluster) add(i int, seeds []string) (*Node, error) {
	name := fmt.Sprintf("node%d", i+1)
	addrs, err := freeAddrs(fmt.Sprintf("127.0.0.%d", i+1), 4)
	if err != nil {
		return nil, err
	}
	dir, err := filepath.Abs(filepath.Join(c.cfg.Dir, name))
	if err != nil {
		return nil, err
	}
	n := &Node{
		Name: name, Index: i, Dir: dir, Drive: filepath.Join(dir, "cache"),
		Addr: addrs[0], Ops: addrs[1], Peer: addrs[2], Gossip: addrs[3],
		Socket:     filepath.Join(dir, "mccd.sock"),
		ConfigFile: filepath.Join(dir, "mccd.yaml"),
		LogFile:    filepath.Join(dir, "mccd.log"),
		bin:        c.cfg.Bin,
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	settings := c.cfg.settings(n, seeds)
	if c.cfg.Amend != nil {
		c.cfg.Amend(i, settings)
	}
	if err := writeConfig(n.ConfigFile, settings); err != nil {
		return nil, err
	}
	c.Nodes = append(c.Nodes, n)
	return n, nil
}

// Start starts every node and waits until each is ready and knows all.
func (c *Cluster) Start(ctx context.Context) error {
	for _, n := range c.Nodes {
		if err := n.Start(); err != nil {
			return err
		}
		// One after the other: a node joins those before it.
		if err := n.Ready(ctx); err != nil {
			return err
		}
	}
	return c.Together(ctx)
}

// Together waits until every running node counts every running node alive.
func (c *Cluster) Together(ctx context.Context) error {
	running := c.Running()
	for _, n := range running {
		if err := n.Members(ctx, len(running)); err != nil {
			return err
		}
	}
	return nil
}

// Running returns the nodes whose process runs.
func (c *Cluster) Running() []*Node {
	var running []*Node
	for _, n := range c.Nodes {
		if n.Running() {
			running = append(running, n)
		}
	}
	return running
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
	const tail = 16 << 10
	for _, n := range c.Nodes {
		text, err := os.ReadFile(n.LogFile)
		if err != nil {
			continue
		}
		fmt.Fprintf(w, "--- log of %s\n%s\n", n.Name, text[max(0, len(text)-tail):])
	}
}
