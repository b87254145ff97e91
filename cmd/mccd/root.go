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

// The groups in which the help lists the commands.
const (
	groupNode    = "node"
	groupCluster = "cluster"
	groupRescue  = "rescue"
)

// newRoot builds the command tree. environ is what os.Environ returns.
func newRoot(environ []string) *cobra.Command {
	root := &cobra.Command{
		Use:           "mccd",
		Short:         "A distributed, peer-aware cache for software updates, games and packages",
		Long:          rootLong,
		SilenceErrors: true,
		SilenceUsage:  true,
		Example: `  mccd serve                   run a node with no configuration at all
  mccd status                  what the node serves, holds and sees
  mccd token create            let another node join; prints what to type there
  mccd join 192.0.2.1          make this node one of that node's cluster`,
	}
	root.AddGroup(
		&cobra.Group{ID: groupNode, Title: "The node:"},
		&cobra.Group{ID: groupCluster, Title: "The cluster, through the node that runs here:"},
		&cobra.Group{ID: groupRescue, Title: "When things were lost:"},
	)
	for group, commands := range map[string][]*cobra.Command{
		groupNode: {newServe(environ), newStatus(environ), newExplain(environ), newDrive(environ), newConfig(environ)},
		groupCluster: {
			newJoin(environ), newLeave(environ), newToken(environ), newNode(environ), newRemove(environ), newRotate(environ), newPurge(environ), newTLS(environ),
		},
		groupRescue: {newRecover(environ), newBackup(environ), newRestore(environ)},
	} {
		for _, cmd := range commands {
			cmd.GroupID = group
			root.AddCommand(cmd)
		}
	}
	root.AddCommand(newVersion())
	return root
}
