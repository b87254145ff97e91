package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mccd/mccd/cluster/admin"
	"github.com/mccd/mccd/cluster/state"
)

// recoverWait bounds how long a recovery, a backup or a restore may take.
const recoverWait = 2 * time.Minute

func newRecover(environ []string) *cobra.Command {
	var yes bool
	var spec state.RecoverSpec
	cmd := &cobra.Command{
		Use:   "recover",
		Short: "Rebuild the cluster from this node when most voters are lost",
		Long: `Rebuild the cluster from this node when so many voters are lost for good that
nothing can be changed any more. Downloads do not need it: every node serves on
without. Voters that only stand still are started again instead.

It first tells what it found and what may be lost, and asks. It refuses while
there is a leader, and while another voter answers: one whose log is longer is
to recover instead; any other takes its configuration from here when it is named
by --supersede. Voters that do not answer are taken for lost. The nodes that live
follow by themselves. Run it at one node only.`,
		Example: `  mccd recover
  mccd recover --supersede beta --supersede gamma --yes`,
		Args: cobra.NoArgs,
	}
	flags := addSettings(cmd, environ, "data_dir", "admin_socket")
	cmd.Flags().StringArrayVar(&spec.Supersede, "supersede", nil, "`NODE` (name or id) that answers and is to take its configuration from here; may be repeated")
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return withDaemon(cmd.Context(), flags, recoverWait, func(ctx context.Context, client *admin.Client) error {
			trial := spec
			trial.DryRun = true
			report, err := client.Recover(ctx, trial)
			if err != nil {
				return err
			}
			fmt.Fprint(cmd.OutOrStdout(), reportText(report, names(ctx, client), widthOf(cmd.OutOrStdout(), flags.getenv)))
			if err := confirm(cmd, yes, "Rebuild the cluster from this node?"); err != nil {
				return err
			}
			// The person's thinking does not count against the wait.
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recoverWait)
			defer cancel()
			done, err := client.Recover(ctx, spec)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "The cluster is rebuilt from this node (recovery generation %d). "+
				"Start lost nodes as they are: they take their configuration from here, and their content is kept. Take those that never come back out by mccd remove.\n", done.Generation)
			return err
		})
	}
	return cmd
}

// names returns the nodes' names by id, as far as they are known.
func names(ctx context.Context, client *admin.Client) map[string]string {
	known := make(map[string]string)
	if s, err := client.Status(ctx); err == nil {
		for _, n := range s.Nodes {
			known[n.ID] = n.Name
		}
	}
	return known
}

func reportText(r state.RecoverReport, known map[string]string, width int) string {
	b := &strings.Builder{}
	call := func(id string) string {
		if name := known[id]; name != "" {
			return name + " (" + short(id) + ")"
		}
		return short(id)
	}
	fmt.Fprintf(b, "%s becomes the only voter, in recovery generation %d.\n", call(r.Survivor), r.Generation)
	for _, id := range r.LostVoters {
		fmt.Fprintf(b, "  loses its vote: %s\n", call(id))
	}
	fmt.Fprintf(b, "It applied %d, and its log ends at %d", r.Applied, r.LastIndex)
	if r.Uncommitted > 0 {
		fmt.Fprintf(b, ": %d changes in between that may or may not have been confirmed; they are kept", r.Uncommitted)
	}
	b.WriteString(".\n")
	for _, text := range r.Text {
		b.WriteString(wrap("! ", text, width))
	}
	return b.String()
}

// short returns the beginning of an id, enough for people.
func short(id string) string { return id[:min(8, len(id))] }

// errTerminal refuses to fill a screen with bytes.
var errTerminal = errors.New("a backup is not for the screen: name a file, or redirect the output")
