package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/mccd/mccd/cluster/admin"
)

// statusWait bounds how long a daemon may take to answer.
const statusWait = 10 * time.Second

func newStatus(environ []string) *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show the running node, its cluster and what it served",
		Long: `Show the node that runs on this machine: its cluster and whether that can be
changed, the nodes as this one sees them, its drives, and what it served from
where. Tables are fitted to the terminal, or to COLUMNS; --output json has all.
Exit code 3 where no daemon is to be reached.`,
		Example: `  mccd status
  mccd status --output json | jq '.nodes[] | select(.state != "alive")'
  mccd status --admin-socket /run/mccd/mccd.sock`,
		Args: cobra.NoArgs,
	}
	flags := addSettings(cmd, environ, "data_dir", "admin_socket")
	addOutput(cmd, &format)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := checkOutput(format); err != nil {
			return err
		}
		return withDaemon(cmd.Context(), flags, statusWait, func(ctx context.Context, client *admin.Client) error {
			r, err := client.Status(ctx)
			if err != nil {
				return fmt.Errorf("ask for status: %w", err)
			}
			if format == "json" {
				return writeJSON(cmd.OutOrStdout(), r)
			}
			_, err = fmt.Fprint(cmd.OutOrStdout(), statusTable(&r, time.Now(), widthOf(cmd.OutOrStdout(), flags.getenv)))
			return err
		})
	}
	return cmd
}
