package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"time"

	"github.com/spf13/cobra"

	"github.com/mccd/mccd/cluster/admin"
	"github.com/mccd/mccd/cmd/mccd/config"
)

// gossipPort is what a peer without a port is taken to listen on.
const gossipPort = "7946"

// joinWait bounds how long a daemon may take to join.
const joinWait = 30 * time.Second

func newJoin(environ []string) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "join PEER",
		Short: "Make this node and PEER one cluster",
		Long: `Make this node and PEER one cluster. PEER is the gossip address of any node of
it; the port is 7946 unless given.

Where a daemon runs on this machine, it is told to join. Where none runs, join
does what "mccd serve --join PEER" does, and takes the same flags.`,
		Example: `  mccd join 127.0.0.2
  mccd join 127.0.0.2:7946 --admin-socket /run/mccd/mccd.sock`,
		Args: cobra.ExactArgs(1),
	}
	flags := addSettings(cmd, environ)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		peer, err := peerAddress(args[0])
		if err != nil {
			return exit(exitUsage, err)
		}
		loaded, err := flags.load()
		if err != nil {
			return err
		}
		client, socket, err := dialDaemon(cmd.Context(), loaded)
		if errors.Is(err, admin.ErrUnreachable) && !errors.Is(err, fs.ErrPermission) {
			fmt.Fprintf(cmd.ErrOrStderr(), "No daemon runs here; starting one that joins %s.\n", peer)
			joined := append(loaded.Join, peer)
			return serve(cmd, flags, config.Setting{Source: "join " + args[0], Key: "join", Values: joined})
		}
		if err != nil {
			return exit(exitFailure, err)
		}
		defer func() { _ = client.Close() }()
		ctx, cancel := context.WithTimeout(cmd.Context(), joinWait)
		defer cancel()
		nodes, err := client.Join(ctx, []string{peer}, "")
		if err != nil {
			return exit(exitFailure, fmt.Errorf("join %s: %w", peer, err))
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "The daemon at %s joined %s. The cluster:\n\n%s\n", socket, peer, nodesTable(nodes))
		return err
	}
	return cmd
}

// peerAddress adds the default port where there is none.
func peerAddress(peer string) (string, error) {
	host, port, err := net.SplitHostPort(peer)
	if err != nil {
		host, port = peer, gossipPort
	}
	if host == "" || port == "" {
		return "", fmt.Errorf("%q is not a peer; write HOST or HOST:PORT", peer)
	}
	return net.JoinHostPort(host, port), nil
}
