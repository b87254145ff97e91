package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mccd/mccd/cluster/admin"
	"github.com/mccd/mccd/cmd/mccd/config"
)

// moveWait bounds a command that moves a drive's content.
const moveWait = 30 * 24 * time.Hour

func newDrive(environ []string) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "drive",
		Short: "List, add, remove, replace or free drives while the node runs",
		Long: `List, add, remove or replace the drives of the node that runs here, or make room
on them, while it serves. What is added or removed lasts until its next start:
the command prints what belongs into the configuration file.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newDriveList(environ), newDriveAdd(environ), newDriveRemove(environ), newDriveReplace(environ), newDriveFree(environ))
	return cmd
}

func newDriveList(environ []string) *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the drives and how they are",
		Long: `List the node's drives: how much they hold, in what state they are, how many
blocks were corrupt and how far the scrub is.`,
		Example: `  mccd drive list
  mccd drive list --output json`,
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
				return writeJSON(cmd.OutOrStdout(), r.Drives)
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), driveList(r.Drives, time.Now(), widthOf(cmd.OutOrStdout(), flags.getenv)))
			return err
		})
	}
	return cmd
}

// driveList renders all that is known of drives.
func driveList(drives []admin.Drive, now time.Time, width int) string {
	rows := make([][]string, len(drives))
	for i, d := range drives {
		state := d.State
		if d.Failing {
			state += ", failing"
		}
		scrub := fmt.Sprintf("%.0f %%", 100*d.ScrubProgress)
		if !d.Scrubbed.IsZero() {
			scrub += fmt.Sprintf(", whole %d days ago", int(now.Sub(d.Scrubbed).Hours()/24))
		}
		rows[i] = []string{
			d.Path, state, ibytes(d.Used), ibytes(d.Size), fmt.Sprint(d.Chunks), fmt.Sprint(d.Corrupt), scrub, ibytes(d.Foreign), d.Reason,
		}
	}
	return fit(width, []column{
		{"Drive", 0}, {"State", 0}, {"Used", 0}, {"Limit", 0}, {"Chunks", 3}, {"Corrupt", 0}, {"Scrub", 2}, {"Foreign", 4}, {"", 1},
	}, rows)
}

func newDriveAdd(environ []string) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "add PATH=SIZE",
		Short: "Take a drive in",
		Long: `Take a drive in: PATH is its directory, usually a mount point, and SIZE how much
it may hold. What it holds already, from this node or another, is used.`,
		Example: `  mccd drive add /srv/cache2=4TiB`,
		Args:    cobra.ExactArgs(1),
	}
	flags := addSettings(cmd, environ, "data_dir", "admin_socket")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		path, size, err := driveArg(args[0])
		if err != nil {
			return exit(exitUsage, err)
		}
		return withDaemon(cmd.Context(), flags, writeWait, func(ctx context.Context, client *admin.Client) error {
			yaml, err := client.AddDrive(ctx, path, size)
			if err != nil {
				return err
			}
			return saidOfDrives(cmd.OutOrStdout(), fmt.Sprintf("Added %s.", path), yaml)
		})
	}
	return cmd
}

func newDriveRemove(environ []string) *cobra.Command {
	var drop bool
	cmd := &cobra.Command{
		Use:   "remove PATH",
		Short: "Move a drive's content to the others and let go of it",
		Long: `Move what a drive holds to the other drives, at limits.move_rate, and let go of
it. Downloads go on meanwhile. If the command is interrupted the drive stays.

With --drop the drive is let go at once: what it holds stays on it, and other
nodes or the origins are asked for it. So a drive goes that does not answer.`,
		Example: `  mccd drive remove /srv/cache1
  mccd drive remove /srv/broken --drop`,
		Args: cobra.ExactArgs(1),
	}
	flags := addSettings(cmd, environ, "data_dir", "admin_socket")
	cmd.Flags().BoolVar(&drop, "drop", false, "let go at once, without moving anything")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		path, err := filepath.Abs(args[0])
		if err != nil {
			return exit(exitUsage, err)
		}
		return withDaemon(cmd.Context(), flags, moveWait, func(ctx context.Context, client *admin.Client) error {
			yaml, err := client.RemoveDrive(ctx, path, drop, tellMoved(cmd.ErrOrStderr()))
			if err != nil {
				return err
			}
			return saidOfDrives(cmd.OutOrStdout(), fmt.Sprintf("Removed %s; it may be unmounted.", path), yaml)
		})
	}
	return cmd
}

func newDriveReplace(environ []string) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "replace OLD NEW=SIZE",
		Short: "Take a drive in and let go of another, whose content moves",
		Long: `Take the drive NEW in, move what OLD holds to NEW and the other drives, at
limits.move_rate, and let go of OLD. Downloads go on meanwhile. If the command is
interrupted both drives stay; mccd drive remove OLD goes on.`,
		Example: `  mccd drive replace /srv/cache1 /srv/cache2=8TiB`,
		Args:    cobra.ExactArgs(2),
	}
	flags := addSettings(cmd, environ, "data_dir", "admin_socket")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		old, err := filepath.Abs(args[0])
		if err != nil {
			return exit(exitUsage, err)
		}
		path, size, err := driveArg(args[1])
		if err != nil {
			return exit(exitUsage, err)
		}
		return withDaemon(cmd.Context(), flags, moveWait, func(ctx context.Context, client *admin.Client) error {
			yaml, err := client.ReplaceDrive(ctx, old, path, size, tellMoved(cmd.ErrOrStderr()))
			if err != nil {
				return err
			}
			return saidOfDrives(cmd.OutOrStdout(), fmt.Sprintf("Replaced %s by %s; the old one may be unmounted.", old, path), yaml)
		})
	}
	return cmd
}

// driveArg reads PATH=SIZE; the path becomes absolute, as the daemon stands
// elsewhere.
func driveArg(arg string) (path string, size int64, err error) {
	i := strings.LastIndex(arg, "=")
	if i < 1 {
		return "", 0, fmt.Errorf("%q has no size; write PATH=SIZE, such as /srv/cache=4TiB", arg)
	}
	bytes, err := config.ParseSize(arg[i+1:])
	if err != nil {
		return "", 0, err
	}
	if bytes <= 0 {
		return "", 0, errors.New("a drive's size must be more than 0")
	}
	path, err = filepath.Abs(arg[:i])
	return path, int64(bytes), err
}

// tellMoved writes how far a move is.
func tellMoved(w io.Writer) func(done, total int64) {
	return func(done, total int64) {
		if total > 0 {
			_, _ = fmt.Fprintf(w, "moved %s of %s\n", ibytes(done), ibytes(total))
		}
	}
}

func saidOfDrives(w io.Writer, what, yaml string) error {
	_, err := fmt.Fprintf(w, "%s\nFor the next start, the configuration file needs:\n\n%s", what, yaml)
	return err
}
