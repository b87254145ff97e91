package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/mccd/mccd/cluster/admin"
)

// writeWait bounds a command that changes what the cluster agrees on;
// rotateWait one that changes the keys at all nodes.
const (
	writeWait  = 30 * time.Second
	rotateWait = 2 * time.Minute
)

func newRemove(environ []string) *cobra.Command {
	var yes, compromised bool
	cmd := &cobra.Command{
		Use:   "remove NODE",
		Short: "Take another node out of the cluster, and refuse it from then on",
		Long: `Take another node out of the cluster by its name or id: one that is lost for
good, or not to be trusted. It is refused at each connection, its connections
are closed, and the gossip key is replaced. The others take over its part.

With --compromised its secrets count as known to others: the sealing key, the
certificate authority and all certificates are replaced too. Every node that is
up goes on without a break.

A node that works leaves by itself: "mccd leave" there. A removed node may join
again only with a new token.`,
		Example: `  mccd remove beta
  mccd remove 00112233445566778899aabbccddeeff --compromised --yes`,
		Args: cobra.ExactArgs(1),
	}
	flags := addSettings(cmd, environ, "data_dir", "admin_socket")
	cmd.Flags().BoolVar(&compromised, "compromised", false, "its secrets may be in wrong hands: replace all keys of the cluster")
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		node := args[0]
		return withDaemon(cmd.Context(), flags, rotateWait, func(ctx context.Context, client *admin.Client) error {
			question := fmt.Sprintf("Remove %s from the cluster and refuse it from now on?", node)
			if compromised {
				question = fmt.Sprintf("Remove %s and replace all keys of the cluster?", node)
			}
			if err := confirm(cmd, yes, question); err != nil {
				return err
			}
			if err := client.Remove(ctx, node, compromised); err != nil {
				return err
			}
			said := "The gossip key is being replaced."
			if compromised {
				said = "All keys of the cluster are being replaced; mccd status warns of nodes that have not got theirs. A certificate for https that it knew is not: get one with a new key (mccd tls csr), and have the old one revoked."
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s is removed and refused from now on. %s\n", node, said)
			return err
		})
	}
	return cmd
}
