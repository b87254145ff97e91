package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/mccd/mccd/cmd/mccd/config"
)

// errUnreachable means that no daemon answers on this machine.
var errUnreachable = errors.New("no daemon answers")

// daemonClient is what the command line asks of a running daemon.
type daemonClient interface {
	Status(ctx context.Context) (report, error)
	Join(ctx context.Context, peers []string) error
	Close()
}

// dialDaemon finds the daemon that the configuration means. errUnreachable
// says that there is none.
func dialDaemon(_ context.Context, loaded *config.Loaded) (daemonClient, string, error) {
	sockets := loaded.Sockets(loaded.Given("admin_socket"))
	return nil, "", fmt.Errorf("%w at %s", errUnreachable, strings.Join(sockets, " or "))
}
