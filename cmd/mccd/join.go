package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/spf13/cobra"

	"github.com/mccd/mccd/cluster/admin"
	"github.com/mccd/mccd/cmd/mccd/config"
)

// joinWait bounds how long a daemon may take to join.
const joinWait = 2 * time.Minute

func newJoin(environ []string) *cobra.Command {
	var token string
	cmd := &cobra.Command{
		Use:   "join PEER",
		Short: "Make this node one of PEER's cluster",
		Long: `Make this node one of PEER's cluster. PEER is any node of it: the address of its
port for peers, 7947 unless given. What this node holds stays and is of use to
the others.

A token admits it: "mccd token create" at any node of the cluster prints one,
with the command to type here. The token is taken from --token-file (- is the
standard input), from MCCD_TOKEN, or asked for at the terminal. --token works,
too, but other users of this machine see it in the list of processes.

Where a daemon runs on this machine, it is told to join. Where none runs, join
does what "mccd serve --join PEER" does, and takes the same flags; the same
command line then serves for each later start.`,
		Example: `  mccd join 192.0.2.1 --token-file token
  mccd token create --quiet | ssh node2 mccd join node1.example --token-file -
  MCCD_TOKEN=MCCD1-... mccd join 192.0.2.1:7947 --admin-socket /run/mccd.sock`,
		Args: cobra.ExactArgs(1),
	}
	flags := addSettings(cmd, environ)
	cmd.Flags().StringVar(&token, "token", "", "the `TOKEN` itself; seen in the list of processes, so prefer --token-file")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		peer, err := config.PeerAddress(args[0])
		if err != nil {
			return exit(exitUsage, err)
		}
		loaded, err := flags.load()
		if err != nil {
			return err
		}
		if token != "" {
			loaded.Token = token
		}
		if err := chooseToken(cmd, loaded); err != nil {
			return err
		}
		client, socket, err := dialDaemon(cmd.Context(), loaded)
		if errors.Is(err, admin.ErrUnreachable) && !errors.Is(err, fs.ErrPermission) {
			fmt.Fprintf(cmd.ErrOrStderr(), "No daemon runs here; starting one that joins %s.\n", peer)
			loaded.Join = append([]string{peer}, loaded.Join...)
			return serve(cmd, loaded)
		}
		if err != nil {
			return exit(exitFailure, err)
		}
		defer func() { _ = client.Close() }()
		if loaded.Token, err = tokenNow(cmd, loaded); err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), joinWait)
		defer cancel()
		nodes, err := client.Join(ctx, []string{peer}, loaded.Token)
		if err != nil {
			return daemonError(err, joinWait)
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "The daemon at %s joined %s. The cluster:\n\n%s\n", socket, peer,
			nodesTable(nodes, time.Now(), widthOf(cmd.OutOrStdout(), flags.getenv)))
		return err
	}
	return cmd
}

// chooseToken lets --token-file go over MCCD_TOKEN, as flags go over the
// environment, and reads a token that comes by the standard input: nothing
// can read that again later.
func chooseToken(cmd *cobra.Command, loaded *config.Loaded) error {
	if flag := cmd.Flags().Lookup("token"); flag != nil && flag.Changed {
		loaded.TokenFile = ""
		return nil
	}
	if loaded.TokenFile != "" && cmd.Flags().Changed("token-file") {
		loaded.Token = ""
	}
	if loaded.TokenFile != "-" {
		return nil
	}
	loaded.TokenFile = ""
	if loaded.Token != "" {
		return nil
	}
	token, err := readSecret(cmd, "token", "-")
	if err != nil {
		return exit(exitUsage, err)
	}
	loaded.Token = token
	return nil
}

// tokenNow returns the token, from its file or the terminal where need be.
func tokenNow(cmd *cobra.Command, loaded *config.Loaded) (string, error) {
	if loaded.Token != "" {
		return loaded.Token, nil
	}
	if loaded.TokenFile != "" {
		token, err := readSecret(cmd, "token", loaded.TokenFile)
		if err != nil {
			return "", exit(exitFailure, err)
		}
		return token, nil
	}
	token, _, err := askSecret(cmd, "Token (mccd token create at a node of that cluster prints one): ")
	if err != nil {
		return "", exit(exitFailure, err)
	}
	if token == "" {
		return "", exit(exitUsage, errors.New("no token: make one at a node of that cluster by `mccd token create`, "+
			"then give it by --token-file FILE (- is the standard input) or in "+config.TokenEnv))
	}
	return token, nil
}
