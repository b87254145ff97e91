package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/mccd/mccd/cluster/admin"
)

// leaveWait bounds how long a daemon may take to leave.
const leaveWait = 5 * time.Minute

func newLeave(environ []string) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "leave",
		Short: "Take this node out of its cluster",
		Long: `Take this node out of its cluster. It goes on as a cluster of its own, with its
id and its content, and an empty configuration of the cluster; the others take
over its part.

Stopping a node is not leaving: a node that is stopped keeps its place. A node
that cannot leave by itself is taken out by "mccd remove" at another one.`,
		Example: `  mccd leave
  mccd leave --yes`,
		Args: cobra.NoArgs,
	}
	flags := addSettings(cmd, environ, "data_dir", "admin_socket")
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return withDaemon(cmd.Context(), flags, leaveWait, func(ctx context.Context, client *admin.Client) error {
			if err := confirm(cmd, yes, "Take this node out of its cluster?"); err != nil {
				return err
			}
			if err := client.Leave(ctx); err != nil {
				return err
			}
			_, err := fmt.Fprintln(cmd.OutOrStdout(), "This node has left its cluster and goes on alone. To bring it back: mccd token create at a node of the cluster, then mccd join here.")
			return err
		})
	}
	return cmd
}
