package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/mccd/mccd/cluster/admin"
	"github.com/mccd/mccd/cluster/state"
)

func newNode(environ []string) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "node",
		Short: "Change a node's name, zone or weight, or create its record",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newNodeSet(environ), newNodeCreate(environ))
	return cmd
}

const (
	zoneUsage   = "where it stands (a rack, a floor, a site); empty for none"
	weightUsage = "its share of the content beside the others': 1 to 4"
)

func newNodeSet(environ []string) *cobra.Command {
	var name, zone string
	var weight int
	cmd := &cobra.Command{
		Use:   "set NODE",
		Short: "Change a node's name, zone or weight",
		Long: `Change a node's name, zone or weight, for the whole cluster; NODE is its name or
id. Another zone or weight changes which node keeps what: the content moves as
it is asked for, and nothing is fetched from an origin for that.`,
		Example: `  mccd node set beta --zone hall-2
  mccd node set beta --weight 2`,
		Args: cobra.ExactArgs(1),
	}
	flags := addSettings(cmd, environ, "data_dir", "admin_socket")
	cmd.Flags().StringVar(&name, "name", "", "what people call it")
	cmd.Flags().StringVar(&zone, "zone", "", zoneUsage)
	cmd.Flags().IntVar(&weight, "weight", 0, weightUsage)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		s, err := nodeSettings(cmd.Flags(), name, zone, weight)
		if err != nil {
			return err
		}
		if s == (state.NodeSettings{}) {
			return exit(exitUsage, errors.New("nothing to set: give --name, --zone or --weight"))
		}
		return withDaemon(cmd.Context(), flags, writeWait, func(ctx context.Context, client *admin.Client) error {
			if err := client.SetNode(ctx, args[0], s); err != nil {
				return err
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "Set %s.\n", args[0])
			return err
		})
	}
	return cmd
}

func newNodeCreate(environ []string) *cobra.Command {
	var zone string
	var weight int
	cmd := &cobra.Command{
		Use:   "create NAME",
		Short: "Record a node before it joins, and print the command that joins",
		Long: `Record a node's name, zone and weight before it joins, and make a token for it.
The node that joins under this name takes them over.`,
		Example: `  mccd node create gamma --zone hall-2 --weight 2`,
		Args:    cobra.ExactArgs(1),
	}
	flags := addSettings(cmd, environ, "data_dir", "admin_socket")
	cmd.Flags().StringVar(&zone, "zone", "", zoneUsage)
	cmd.Flags().IntVar(&weight, "weight", 0, weightUsage)
	t := addTokenFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := t.read(); err != nil {
			return err
		}
		s, err := nodeSettings(cmd.Flags(), "", zone, weight)
		if err != nil {
			return err
		}
		s.Name = &args[0]
		if t.spec.Note == "" {
			t.spec.Note = "for " + args[0]
		}
		return withDaemon(cmd.Context(), flags, writeWait, func(ctx context.Context, client *admin.Client) error {
			if err := client.PreCreate(ctx, s); err != nil {
				return err
			}
			token, info, err := client.CreateToken(ctx, t.spec)
			if err != nil {
				return fmt.Errorf("%s is recorded, but make a token for it: %w", args[0], err)
			}
			return printJoin(ctx, cmd.OutOrStdout(), client, token, info, " --name "+args[0])
		})
	}
	return cmd
}

// nodeSettings returns what flags gave.
func nodeSettings(flags *pflag.FlagSet, name, zone string, weight int) (s state.NodeSettings, err error) {
	if flags.Changed("name") {
		s.Name = &name
	}
	if flags.Changed("zone") {
		s.Zone = &zone
	}
	if flags.Changed("weight") {
		if weight < 1 || weight > 4 {
			return s, exit(exitUsage, fmt.Errorf("--weight %d: use 1 to 4", weight))
		}
		s.Weight = &weight
	}
	return s, nil
}
