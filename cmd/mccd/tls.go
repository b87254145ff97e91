package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/mccd/mccd/cluster/admin"
	"github.com/mccd/mccd/cluster/state"
)

func newTLS(environ []string) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "tls",
		Short: "The certificate by which all nodes serve https",
		Long: `The certificate by which all nodes serve https: one for the name by which
clients find the nodes. Its private key is made by the cluster, or imported,
and kept sealed in the configuration that the nodes share; every node serves it
as soon as it is imported, without a restart, and so does one that joins later.

Three steps: "mccd tls csr" makes the key and the request, a certificate
authority that clients trust signs it, "mccd tls import" serves what it gave.
The same again renews it. A node whose configuration names files of its own
(tls.cert_file, tls.key_file) serves those.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newTLSCSR(environ), newTLSImport(environ), newTLSStatus(environ))
	return cmd
}

func newTLSCSR(environ []string) *cobra.Command {
	var spec state.TLSKeySpec
	cmd := &cobra.Command{
		Use:   "csr",
		Short: "Make a key, and print the request for a certificate authority",
		Long: `Make a new private key, which never leaves the cluster, and print the request
(PKCS #10, PEM) to give to a certificate authority that the clients trust. What
is served now stays so until "mccd tls import" gets the certificate.`,
		Example: `  mccd tls csr --name cache.example.com > cache.csr
  mccd tls csr --name cache.example.com --name '*.cache.example.com' --key ec`,
		Args: cobra.NoArgs,
	}
	flags := addSettings(cmd, environ, "data_dir", "admin_socket")
	cmd.Flags().StringArrayVar(&spec.Names, "name", nil, "`NAME` by which clients call the nodes (DOCacheHost): a host name or an address; may be repeated")
	cmd.Flags().StringVar(&spec.Kind, "key", "rsa", "kind of the key: rsa (2048 bits; every client takes it), ec (P-256; less work) or ed25519 (few clients take it)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if len(spec.Names) == 0 {
			return exit(exitUsage, errors.New("--name is missing: what do clients call the nodes?"))
		}
		if !slices.Contains([]string{"rsa", "ec", "ed25519"}, spec.Kind) {
			return exit(exitUsage, fmt.Errorf("--key %q: use rsa, ec or ed25519", spec.Kind))
		}
		return withDaemon(cmd.Context(), flags, writeWait, func(ctx context.Context, client *admin.Client) error {
			csr, err := client.CreateTLSKey(ctx, spec)
			if err != nil {
				return err
			}
			_, err = cmd.OutOrStdout().Write(csr)
			return err
		})
	}
	return cmd
}

func newTLSImport(environ []string) *cobra.Command {
	var keyFile, format string
	cmd := &cobra.Command{
		Use:   "import FILE",
		Short: "Serve a certificate at all nodes",
		Long: `Serve a certificate at all nodes, in place of the one before. FILE is PEM: the
server's certificate first, then the one that signed it, and so on; the root may
be left out. "-" reads standard input. It must be of the key that "mccd tls csr"
made, or of the one that is served now; with --key another key is imported too.

Connections go on; those that begin get the new certificate.`,
		Example: `  mccd tls import cache.pem
  mccd tls import fullchain.pem --key privkey.pem`,
		Args: cobra.ExactArgs(1),
	}
	flags := addSettings(cmd, environ, "data_dir", "admin_socket")
	cmd.Flags().StringVar(&keyFile, "key", "", "`FILE` of the private key (PEM), where mccd tls csr did not make it")
	addOutput(cmd, &format)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := checkOutput(format); err != nil {
			return err
		}
		chain, err := readInput(cmd, args[0])
		if err != nil {
			return exit(exitFailure, fmt.Errorf("read certificate: %w", err))
		}
		var key []byte
		if keyFile != "" {
			if key, err = os.ReadFile(keyFile); err != nil {
				return exit(exitFailure, fmt.Errorf("read private key: %w", err))
			}
		}
		return withDaemon(cmd.Context(), flags, writeWait, func(ctx context.Context, client *admin.Client) error {
			s, err := client.ImportTLS(ctx, chain, key)
			if err != nil {
				return err
			}
			return printTLS(cmd, flags, format, s)
		})
	}
	return cmd
}

// maxInput bounds what is read of a file.
const maxInput = 1 << 20

// readInput reads a file, or standard input for "-".
func readInput(cmd *cobra.Command, name string) ([]byte, error) {
	if name == "-" {
		return io.ReadAll(io.LimitReader(cmd.InOrStdin(), maxInput))
	}
	text, err := os.ReadFile(name)
	if err == nil && len(text) > maxInput {
		err = fmt.Errorf("%s has %d bytes; that is no certificate", name, len(text))
	}
	return text, err
}

func newTLSStatus(environ []string) *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show the certificate, when it ends, and which node serves it",
		Example: `  mccd tls status
  mccd tls status --output json | jq .certificate.not_after`,
		Args: cobra.NoArgs,
	}
	flags := addSettings(cmd, environ, "data_dir", "admin_socket")
	addOutput(cmd, &format)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := checkOutput(format); err != nil {
			return err
		}
		return withDaemon(cmd.Context(), flags, statusWait, func(ctx context.Context, client *admin.Client) error {
			s, err := client.TLSStatus(ctx)
			if err != nil {
				return err
			}
			return printTLS(cmd, flags, format, s)
		})
	}
	return cmd
}

func printTLS(cmd *cobra.Command, flags *settingsFlags, format string, s admin.TLSStatus) error {
	if format == "json" {
		return writeJSON(cmd.OutOrStdout(), s)
	}
	_, err := fmt.Fprint(cmd.OutOrStdout(), tlsTable(s, time.Now(), widthOf(cmd.OutOrStdout(), flags.getenv)))
	return err
}

// shortPrint is how much of a fingerprint tells certificates apart for people.
const shortPrint = 16

func shortFingerprint(s string) string { return s[:min(len(s), shortPrint)] }
