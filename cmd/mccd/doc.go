// Command mccd is one node of a cache cluster, and the command line that
// talks to it. It holds no logic of its own beyond reading the command line
// and the configuration, and exit codes: package node builds the node.
package main
