package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/mccd/mccd/cluster/admin"
	"github.com/mccd/mccd/cmd/mccd/config"
)

// maxBackup bounds a backup, in bytes.
const maxBackup = 30 << 20

func newBackup(environ []string) *cobra.Command {
	var file string
	var force bool
	cmd := &cobra.Command{
		Use:   "backup FILE",
		Short: "Write the cluster's configuration and secrets to a file, encrypted",
		Long: `Write what the cluster agrees on, with its secrets, to a file (- is the standard
output), encrypted by a passphrase (an age file, as the tool age reads). It
holds no content and no node's own key. The passphrase is taken from
--passphrase-file, from MCCD_PASSPHRASE, or asked for at the terminal.`,
		Example: `  mccd backup mccd.age
  mccd backup - --passphrase-file /etc/mccd/passphrase > mccd.age`,
		Args: cobra.ExactArgs(1),
	}
	flags := addSettings(cmd, environ, "data_dir", "admin_socket")
	cmd.Flags().StringVar(&file, passphraseFlag, "", "`FILE` that holds the passphrase; - is the standard input")
	cmd.Flags().BoolVar(&force, "force", false, "replace FILE where it exists")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		name := args[0]
		if err := checkTarget(cmd, name, force); err != nil {
			return exit(exitUsage, err)
		}
		secret, err := passphrase(cmd, file, flags.getenv(config.PassphraseEnv), true)
		if err != nil {
			return err
		}
		return withDaemon(cmd.Context(), flags, recoverWait, func(ctx context.Context, client *admin.Client) error {
			backup, err := client.Backup(ctx, secret)
			if err != nil {
				return err
			}
			if name == "-" {
				_, err = cmd.OutOrStdout().Write(backup)
				return err
			}
			if err := writePrivate(name, backup, force); err != nil {
				return fmt.Errorf("write the backup: %w", err)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "Wrote %s (%s). Keep it and its passphrase in different places.\n", name, ibytes(int64(len(backup))))
			return err
		})
	}
	return cmd
}

// checkTarget fails where the backup could not be written, before anybody is
// asked for a passphrase.
func checkTarget(cmd *cobra.Command, name string, force bool) error {
	if name == "-" {
		if terminalOf(cmd.OutOrStdout()) != nil {
			return errTerminal
		}
		return nil
	}
	switch _, err := os.Lstat(name); {
	case err == nil && !force:
		return fmt.Errorf("%s exists; --force replaces it", name)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	}
	return nil
}

// writePrivate writes a file that only its owner may read, whole or not at
// all. It replaces one only by force.
func writePrivate(name string, data []byte, force bool) (err error) {
	f, err := os.CreateTemp(filepath.Dir(name), ".mccd-backup-*") // 0600
	if err != nil {
		return err
	}
	defer func() {
		if removeErr := os.Remove(f.Name()); removeErr != nil && !errors.Is(removeErr, fs.ErrNotExist) {
			err = errors.Join(err, removeErr)
		}
	}()
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if force {
		return os.Rename(f.Name(), name)
	}
	// A link fails where the name was taken meanwhile.
	return os.Link(f.Name(), name)
}

func newRestore(environ []string) *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "restore FILE",
		Short: "Make this node a cluster of one with what a backup holds",
		Long: `Make this node a cluster of one with the configuration of a backup (- is the
standard input), with new keys and in a new recovery generation; all tokens of
the backup are revoked. The node that runs here must be alone; what it holds
stays. Other nodes then join by new tokens.

The passphrase is taken from --passphrase-file, from MCCD_PASSPHRASE, or asked
for at the terminal.`,
		Example: `  mccd restore mccd.age
  mccd restore mccd.age --passphrase-file /etc/mccd/passphrase`,
		Args: cobra.ExactArgs(1),
	}
	flags := addSettings(cmd, environ, "data_dir", "admin_socket")
	cmd.Flags().StringVar(&file, passphraseFlag, "", "`FILE` that holds the passphrase; - is the standard input")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if args[0] == "-" && file == "-" {
			return exit(exitUsage, errors.New("the backup and the passphrase cannot both come by the standard input"))
		}
		backup, err := readBackup(cmd, args[0])
		if err != nil {
			return exit(exitFailure, err)
		}
		secret, err := passphrase(cmd, file, flags.getenv(config.PassphraseEnv), false)
		if err != nil {
			return err
		}
		return withDaemon(cmd.Context(), flags, recoverWait, func(ctx context.Context, client *admin.Client) error {
			if err := client.Restore(ctx, backup, secret); err != nil {
				return err
			}
			_, err := fmt.Fprintln(cmd.OutOrStdout(), "Restored. This node is a cluster of one now; mccd token create lets others join.")
			return err
		})
	}
	return cmd
}

func readBackup(cmd *cobra.Command, name string) ([]byte, error) {
	in := cmd.InOrStdin()
	if name != "-" {
		f, err := os.Open(filepath.Clean(name))
		if err != nil {
			return nil, fmt.Errorf("open the backup: %w", err)
		}
		defer func() { _ = f.Close() }()
		in = f
	}
	backup, err := io.ReadAll(io.LimitReader(in, maxBackup+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read the backup: %w", err)
	case len(backup) == 0:
		return nil, fmt.Errorf("%s is empty", shown(name))
	case len(backup) > maxBackup:
		return nil, fmt.Errorf("%s is larger than any backup", shown(name))
	}
	return backup, nil
}
