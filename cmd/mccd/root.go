package main

import (
	"github.com/spf13/cobra"
)

const rootLong = `mccd caches software updates, games and packages inside an organisation.

Clients (Windows Delivery Optimization, or any HTTP client) ask any node for
the content of the origins it serves. The node answers from its own disk, else
from another node, else from the origin: the cluster fetches each byte once.

Exit codes: 0 success, 1 failure, 2 wrong command line or configuration,
3 no daemon to be reached.`

// newRoot builds the command tree. environ is what os.Environ returns.
func newRoot(environ []string) *cobra.Command {
	root := &cobra.Command{
		Use:           "mccd",
		Short:         "A distributed, peer-aware cache for software updates, games and packages",
		Long:          rootLong,
		SilenceErrors: true,
		SilenceUsage:  true,
		Example: `  mccd serve                       run a node with no configuration at all
  mccd join 127.0.0.1:7946         make this node and that one a cluster
  mccd status                      what the node serves, holds and sees`,
	}
	root.AddCommand(newServe(environ), newJoin(environ), newStatus(environ), newConfig(environ), newVersion())
	return root
}
