package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mccd/mccd/cluster/admin"
)

func newPurgeList(environ []string) *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the purges and which nodes have removed what they killed",
		Long: `List the purges that are kept, the newest first, and which nodes have removed
what they killed, as the node that runs here knows it. A node that is away serves
nothing of it when it is back, and removes it then. Purges that all nodes have
acknowledged stay while there is room, so that a node that joins is judged by
them.`,
		Example: `  mccd purge list
  mccd purge list --output json | jq '.marks[] | select(.away)'`,
		Args: cobra.NoArgs,
	}
	flags := addSettings(cmd, environ, "data_dir", "admin_socket")
	addOutput(cmd, &format)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := checkOutput(format); err != nil {
			return err
		}
		return withDaemon(cmd.Context(), flags, writeWait, func(ctx context.Context, client *admin.Client) error {
			list, err := client.Purges(ctx)
			if err != nil {
				return err
			}
			if format == "json" {
				return writeJSON(cmd.OutOrStdout(), list)
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), purgesTable(list, widthOf(cmd.OutOrStdout(), flags.getenv)))
			return err
		})
	}
	return cmd
}

func purgesTable(list admin.PurgeList, width int) string {
	if len(list.Marks) == 0 {
		return "Nothing was purged."
	}
	rows := make([][]string, len(list.Marks))
	for i, m := range list.Marks {
		rows[i] = []string{
			fmt.Sprint(m.Index), scopeText(m.Product, m.Host, m.Path, m.Prefix), m.Created.UTC().Format("2006-01-02 15:04:05 MST"), reached(m),
		}
	}
	text := fit(width, []column{{"Index", 0}, {"Purged", 0}, {"When", 1}, {"Removed by", 0}}, rows)
	if list.Dropped > 0 {
		text += fmt.Sprintf("\nThose up to index %d are not all kept: a node that was away since before drops all that it holds.", list.Dropped)
	}
	return text
}

// reached says which nodes have removed what a purge killed.
func reached(m admin.PurgeMark) string {
	text := fmt.Sprintf("%d of %d", len(m.Done), len(m.Done)+len(m.Waiting)+len(m.Away))
	if len(m.Waiting)+len(m.Away) == 0 {
		return "all " + fmt.Sprint(len(m.Done))
	}
	if len(m.Waiting) > 0 {
		text += "; at it: " + strings.Join(m.Waiting, ", ")
	}
	if len(m.Away) > 0 {
		text += "; away: " + strings.Join(m.Away, ", ")
	}
	return text
}
