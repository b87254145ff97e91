package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/mccd/mccd/cluster/admin"
	"github.com/mccd/mccd/cmd/mccd/config"
)

// freeWait bounds a command that evicts: a large drive holds many files.
const freeWait = 10 * time.Minute

func newDriveFree(environ []string) *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:   "free PATH SIZE",
		Short: "Make room on a drive",
		Long: `Make room on the drive of directory PATH: content goes until SIZE is free below
the drive's limit, what is worth least first (old versions, then copies of what
another node keeps) and of that what was not asked for longest. What is being
sent, and what is pinned, stays. With --all everything else goes.

The room is used again as clients ask. To keep it, give the drive a smaller size
in the configuration.`,
		Example: `  mccd drive free /srv/cache 50GiB
  mccd drive free /srv/cache --all`,
		Args: cobra.RangeArgs(1, 2),
	}
	flags := addSettings(cmd, environ, "data_dir", "admin_socket")
	cmd.Flags().BoolVar(&all, "all", false, "all that can go")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		room := int64(admin.AllRoom)
		switch {
		case all == (len(args) == 2):
			return exit(exitUsage, errors.New("give either a size or --all"))
		case !all:
			size, err := config.ParseSize(args[1])
			if err != nil {
				return exit(exitUsage, err)
			}
			if room = int64(size); room <= 0 {
				return exit(exitUsage, errors.New("a size of 0 makes no room"))
			}
		}
		path, err := filepath.Abs(args[0])
		if err != nil {
			return exit(exitUsage, err)
		}
		return withDaemon(cmd.Context(), flags, freeWait, func(ctx context.Context, client *admin.Client) error {
			freed, err := client.FreeDrive(ctx, path, room)
			if err != nil {
				return err
			}
			return printFreed(cmd.OutOrStdout(), path, room, freed)
		})
	}
	return cmd
}

// printFreed tells what went and what did not; less than was asked for is a
// failure.
func printFreed(out io.Writer, path string, room int64, f admin.Freed) error {
	_, err := fmt.Fprintf(out, "Freed %s of %s (%d chunks); %s are free below its limit.\n",
		ibytes(f.Bytes), path, f.Chunks, ibytes(f.Room))
	if err != nil || room == admin.AllRoom && f.Busy == 0 && f.Pinned == 0 || f.Room >= room {
		return err
	}
	if _, err = fmt.Fprintf(out, "%d chunks stay because they are in use, %d because they are pinned.\n", f.Busy, f.Pinned); err != nil {
		return err
	}
	if room == admin.AllRoom {
		return nil
	}
	return fmt.Errorf("%s of %s were made", ibytes(f.Room), ibytes(room))
}
