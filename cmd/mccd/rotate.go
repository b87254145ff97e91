package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/mccd/mccd/cluster/admin"
)

func newRotate(environ []string) *cobra.Command {
	said := map[string]string{
		"gossip":  "The gossip key is being replaced: every node takes the new one in before any uses it.",
		"sealing": "The sealing key is replaced, and all secrets are sealed under the new one.",
		"ca":      "The certificate authority is replaced; every node gets a new certificate by itself. Tokens made before name the former one: make new ones.",
	}
	cmd := &cobra.Command{
		Use:   "rotate gossip|sealing|ca",
		Short: "Replace a key of the cluster without downtime",
		Long: `Replace a key of the cluster without downtime:

  gossip   encrypts what nodes tell each other about who is alive
  sealing  seals the cluster's other secrets where they are kept
  ca       the certificate authority; every node gets a new certificate

A node that is away meanwhile gets what it missed when it is back. To shut out
one whose secrets are known to others, use "mccd remove --compromised".`,
		Example:   `  mccd rotate gossip`,
		Args:      cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs),
		ValidArgs: []string{"gossip", "sealing", "ca"},
	}
	flags := addSettings(cmd, environ, "data_dir", "admin_socket")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return withDaemon(cmd.Context(), flags, rotateWait, func(ctx context.Context, client *admin.Client) error {
			if err := client.Rotate(ctx, args[0]); err != nil {
				return err
			}
			_, err := fmt.Fprintln(cmd.OutOrStdout(), said[args[0]])
			return err
		})
	}
	return cmd
}
