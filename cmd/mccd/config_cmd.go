package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/mccd/mccd/cmd/mccd/config"
)

func newConfig(environ []string) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Check a configuration, or print an example",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newConfigCheck(environ), newConfigExample())
	return cmd
}

func newConfigCheck(environ []string) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check [FILE]",
		Short: "Report every fault of a configuration file",
		Long: `Report every fault of a configuration file, or of the one that serve would read,
merged with the environment as serve does it. Nothing is started or written.`,
		Example: `  mccd config check
  mccd config check mccd.yaml`,
		Args: cobra.MaximumNArgs(1),
	}
	flags := addSettings(cmd, environ, "none")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 1 {
			if err := cmd.Flags().Set("config", args[0]); err != nil {
				return err
			}
		}
		loaded, err := flags.load()
		if err != nil {
			return err
		}
		for _, warning := range loaded.Warnings {
			fmt.Fprintf(cmd.ErrOrStderr(), "warning: %s\n", warning)
		}
		_, err = fmt.Fprintln(cmd.OutOrStdout(), "The configuration has no faults.")
		return err
	}
	return cmd
}

func newConfigExample() *cobra.Command {
	return &cobra.Command{
		Use:     "example",
		Short:   "Print a commented configuration file with every key at its default",
		Example: `  mccd config example > mccd.yaml`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return config.WriteExample(cmd.OutOrStdout())
		},
	}
}
