package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mccd/mccd/cluster/admin"
)

func newExplain(environ []string) *cobra.Command {
	var format, rng string
	cmd := &cobra.Command{
		Use:   "explain URL",
		Short: "Tell what a client's request would meet here now, and why",
		Long: `Tell what a client's request for a URL would meet at the node that runs here:
how the URL is read, by which rule, which version is known and how fresh it is,
what was purged, and for each chunk of 8 MiB which node owns it and acts for it,
who holds which part, and where the bytes would come from.

URL is what the client asks for: of a cache, with cacheHostOrigin=HOST in its
query ("/PATH?cacheHostOrigin=HOST" will do), or of the origin itself. Its query
is never shown; with - in its place the URL is read from the standard input,
where no list of processes shows it.

Nothing is changed by it, and nothing fetched from an origin; the other nodes are
asked what they hold.`,
		Example: `  mccd explain http://deb.debian.org/debian/dists/stable/InRelease
  mccd explain '/x.cab?cacheHostOrigin=dl.delivery.mp.microsoft.com' --range 0-9
  mccd explain http://deb.debian.org/x -o json | jq '.chunks[].steps'`,
		Args: cobra.ExactArgs(1),
	}
	flags := addSettings(cmd, environ, "data_dir", "admin_socket")
	cmd.Flags().StringVar(&rng, "range", "", "the bytes that are wanted, as a Range header names them: `A-B`, A- or -N")
	addOutput(cmd, &format)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := checkOutput(format); err != nil {
			return err
		}
		url := args[0]
		if url == "-" {
			line, err := bufio.NewReader(cmd.InOrStdin()).ReadString('\n')
			if err != nil && !errors.Is(err, io.EOF) {
				return fmt.Errorf("read the URL: %w", err)
			}
			url = strings.TrimSpace(line)
		}
		return withDaemon(cmd.Context(), flags, statusWait, func(ctx context.Context, client *admin.Client) error {
			e, err := client.Explain(ctx, url, rng)
			if err != nil {
				return err
			}
			if format == "json" {
				return writeJSON(cmd.OutOrStdout(), e)
			}
			_, err = fmt.Fprint(cmd.OutOrStdout(), explainText(e, widthOf(cmd.OutOrStdout(), flags.getenv)))
			return err
		})
	}
	return cmd
}
