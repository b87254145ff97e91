package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/mccd/mccd/cluster/servercert"
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
merged with the environment as serve does it, and of the certificate that it
names. Nothing is started or written.`,
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
		if err := checkCertificate(cmd, loaded); err != nil {
			return err
		}
		_, err = fmt.Fprintln(cmd.OutOrStdout(), "The configuration has no faults.")
		return err
	}
	return cmd
}

// checkCertificate judges the files of tls.cert_file and tls.key_file as a
// node does that serves with them.
func checkCertificate(cmd *cobra.Command, loaded *config.Loaded) error {
	if loaded.TLS.CertFile == "" {
		return nil
	}
	_, chain, err := servercert.Load(loaded.TLS.CertFile, loaded.TLS.KeyFile)
	if err != nil {
		return badConfig(config.Faults{loaded.Fault("tls.cert_file", err.Error())})
	}
	if err := chain.CheckTime(time.Now()); err != nil {
		fmt.Fprintf(cmd.ErrOrStderr(), "warning: tls.cert_file: %v\n", err)
	}
	return nil
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
