package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"

	"github.com/mccd/mccd/cmd/mccd/config"
	"github.com/mccd/mccd/cmd/mccd/node"
)

// fallbackListen is tried when port 80 was not asked for by name and is not to
// be had.
const fallbackListen = ":8080"

// newLogger returns a logger that writes to w by the validated log section.
func newLogger(c config.Log, w io.Writer) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.Level)); err != nil {
		level = slog.LevelInfo
	}
	opts := &slog.HandlerOptions{Level: level}
	if c.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, opts))
	}
	return slog.New(slog.NewTextHandler(w, opts))
}

// chooseDrives gives a node that was told no drives its default one.
func chooseDrives(c *config.Config, log *slog.Logger) error {
	if len(c.Drives) > 0 {
		return nil
	}
	drive, err := c.DefaultDrive()
	if err != nil {
		return fmt.Errorf("choose default drive: %w", err)
	}
	c.Drives = []config.Drive{drive}
	log.Info("no drives configured; content goes to the data directory", "path", drive.Path, "size", drive.Size)
	return nil
}

// chooseListen moves a node that was not told where to listen off port 80 when
// it cannot have it. A port that was asked for by name is never replaced.
func chooseListen(l *config.Loaded, log *slog.Logger) {
	if l.Given("listen") {
		return
	}
	ln, err := net.Listen("tcp", l.Listen)
	if err == nil {
		if err = ln.Close(); err == nil {
			return
		}
	}
	log.Warn("port 80 is not to be had; listening on 8080 instead (--listen chooses)", "reason", reason(err))
	l.Listen = fallbackListen
}

// reason returns what the system said, without the address.
func reason(err error) string {
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err.Error()
	}
	return err.Error()
}

// announce says where the node listens and where to point clients.
func announce(n *node.Node, socket string, log *slog.Logger) {
	log.Info("serving", "version", version(), "clients", n.Addr(), "operators", n.OpsAddr(),
		"peers", n.PeerAddr(), "gossip", n.GossipAddr(), "admin", socket)
	host, port := cacheHost(n.Addr())
	if port == "80" {
		log.Info("point Windows clients here by the policy DOCacheHost", "DOCacheHost", host)
		return
	}
	log.Info("HTTP clients may ask here; Windows clients (DOCacheHost) ask only at port 80", "address", net.JoinHostPort(host, port))
}

// cacheHost returns what clients call this node: its address where it has one,
// else the host's name; and its port.
func cacheHost(listen string) (host, port string) {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return listen, ""
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		if host, err = os.Hostname(); err != nil {
			host = "localhost"
		}
	}
	return host, port
}
