package node

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"
)

// maxCredential bounds a token or a secret, in bytes.
const maxCredential = 4096

// credentials returns the token and the join secret that the configuration
// names; a missing token file is no fault of a node that is a member already.
func (n *Node) credentials() (token string, secret []byte, err error) {
	token = n.cfg.Token
	if n.cfg.TokenFile != "" && token == "" {
		b, err := readCredential(n.cfg.TokenFile)
		switch {
		case os.IsNotExist(err):
			n.log.Warn("no token there; this node joins nobody by itself", "token_file", n.cfg.TokenFile)
		case err != nil:
			return "", nil, fmt.Errorf("token_file: %w", err)
		}
		token = string(b)
	}
	if n.cfg.JoinSecretFile != "" {
		b, err := readCredential(n.cfg.JoinSecretFile)
		if err != nil {
			return "", nil, fmt.Errorf("join_secret: %w", err)
		}
		secret = b
	}
	return token, secret, nil
}

// readCredential reads a small file that only its owner may read, without the
// white space around. One that is empty is refused: a secret that is not
// mounted yet must not make this node found a cluster of its own.
func readCredential(path string) ([]byte, error) {
	f, err := os.Open(filepath.Clean(path))
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if openToOthers(info.Mode()) {
		return nil, fmt.Errorf("%s may be read by other users: run chmod 600 %s", path, path)
	}
	// What is read counts, not the size: a pipe has none.
	b, err := io.ReadAll(io.LimitReader(f, maxCredential+1))
	switch {
	case err != nil:
		return nil, err
	case len(b) > maxCredential:
		return nil, fmt.Errorf("%s has more than %d bytes", path, maxCredential)
	}
	if b = bytes.TrimSpace(b); len(b) == 0 {
		return nil, fmt.Errorf("%s holds no secret: it is empty", path)
	}
	return b, nil
}

// gossipAdvertise returns what others are told of the gossip's address: its
// port is added by the gossip where it is 0.
func (n *Node) gossipAdvertise() (string, error) {
	if n.cfg.GossipAdvertise != "" {
		return n.cfg.GossipAdvertise, nil
	}
	host, port, err := net.SplitHostPort(n.cfg.GossipListen)
	if err != nil {
		return "", fmt.Errorf("gossip_listen: %w", err)
	}
	if ip := net.ParseIP(host); host != "" && (ip == nil || !ip.IsUnspecified()) {
		return "", nil
	}
	addr, err := advertised("", net.JoinHostPort("0.0.0.0", port), net.InterfaceAddrs)
	if err != nil {
		return "", fmt.Errorf("gossip_advertise: %w", err)
	}
	return addr, nil
}

// handOverReport is how often a hand-over says how far it is.
const handOverReport = 2 * time.Second

// handOver gives what only this node holds to others before it leaves, and keeps
// nothing that was purged: alone, it would not know of it any more.
func (n *Node) handOver(ctx context.Context) error {
	if err := n.purges.removed(ctx); err != nil {
		return err
	}
	begun := time.Now()
	var told atomic.Int64 // nanoseconds since begun; several goroutines report
	err := n.filler.HandOver(ctx, func(done, total int64) {
		last, now := told.Load(), int64(time.Since(begun))
		if done == total || now-last > int64(handOverReport) && told.CompareAndSwap(last, now) {
			n.log.Info("hand over before leaving", "done", done, "total", total)
		}
	})
	if err != nil {
		return err
	}
	return n.purges.removed(ctx) // what was purged meanwhile
}
