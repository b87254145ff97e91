package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"time"

	"github.com/mccd/mccd/cluster/admin"
	"github.com/mccd/mccd/cluster/state"
	"github.com/mccd/mccd/cmd/mccd/config"
)

// dialDaemon connects to the daemon that the configuration means, and returns
// the socket at which it answered. The error wraps admin.ErrUnreachable where
// there is none, and tells of the likeliest socket.
func dialDaemon(ctx context.Context, loaded *config.Loaded) (client *admin.Client, socket string, err error) {
	for i, path := range loaded.Sockets(loaded.Given("admin_socket")) {
		if _, statErr := os.Lstat(path); i > 0 && errors.Is(statErr, fs.ErrNotExist) {
			continue
		}
		client, dialErr := admin.Dial(ctx, path)
		if dialErr == nil {
			return client, path, nil
		}
		if forbidden(ctx, path) {
			dialErr = fmt.Errorf("%w (%w)", dialErr, fs.ErrPermission)
		}
		err = errors.Join(err, dialErr)
	}
	return nil, "", err
}

// withDaemon calls do with a client of the daemon that flags mean, for at most
// wait, and gives what fails its exit code.
func withDaemon(ctx context.Context, flags *settingsFlags, wait time.Duration, do func(context.Context, *admin.Client) error) error {
	loaded, err := flags.load()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	client, _, err := dialDaemon(ctx, loaded)
	if err == nil {
		defer func() { _ = client.Close() }()
		err = do(ctx, client)
	}
	return daemonError(err, wait)
}

// daemonError gives err its exit code, unless it has one.
func daemonError(err error, wait time.Duration) error {
	var coded *exitError
	switch {
	case err == nil || errors.As(err, &coded):
		return err
	case errors.Is(err, admin.ErrUnreachable):
		return exit(exitUnreachable, err)
	case errors.Is(err, context.DeadlineExceeded):
		return exit(exitFailure, fmt.Errorf("%w; the node has not answered within %s, and may still be at it: look at mccd status", err, wait))
	case errors.Is(err, state.ErrNoQuorum):
		return exit(exitFailure, fmt.Errorf("%w (nothing was changed; mccd status tells more)", err))
	default:
		return exit(exitFailure, err)
	}
}

// forbidden reports whether a socket is there that this user may not use: a
// daemon may well run.
func forbidden(ctx context.Context, path string) bool {
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", path)
	if err == nil {
		_ = conn.Close()
	}
	return errors.Is(err, fs.ErrPermission)
}
