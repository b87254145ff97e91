package main

import (
	"github.com/spf13/cobra"
)

func newDrive(environ []string) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "drive",
		Short: "Make room on a drive",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newDriveFree(environ))
	return cmd
}
