package main

import (
	"context"
	"encoding/json"
	"errors"
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
		Long: `Show the node that runs on this machine: its addresses, the members that it
sees, its drives, and what it served from where. Exit code 3 where no daemon is
to be reached.`,
		Example: `  mccd status
  mccd status --output json | jq '.nodes[] | select(.state != "alive")'
  mccd status --admin-socket /run/mccd/mccd.sock`,
		Args: cobra.NoArgs,
	}
	flags := addSettings(cmd, environ, "data_dir", "admin_socket")
	cmd.Flags().StringVarP(&format, "output", "o", "table", "`FORMAT` of the output: table or json")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if format != "table" && format != "json" {
			return exit(exitUsage, fmt.Errorf("--output %q: use table or json", format))
		}
		loaded, err := flags.load()
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), statusWait)
		defer cancel()
		client, _, err := dialDaemon(ctx, loaded)
		if errors.Is(err, admin.ErrUnreachable) {
			return exit(exitUnreachable, err)
		}
		if err != nil {
			return exit(exitFailure, err)
		}
		defer func() { _ = client.Close() }()
		r, err := client.Status(ctx)
		if err != nil {
			return exit(exitFailure, fmt.Errorf("ask for status: %w", err))
		}
		if format == "json" {
			enc := json.NewEncoder(cmd.OutOrStdout())
			enc.SetIndent("", "  ")
			err = enc.Encode(r)
		} else {
			_, err = fmt.Fprint(cmd.OutOrStdout(), statusTable(&r, time.Now()))
		}
		if err != nil {
			return exit(exitFailure, err)
		}
		return nil
	}
	return cmd
}
