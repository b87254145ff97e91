package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"

	"github.com/mccd/mccd/cluster/admin"
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

// forbidden reports whether a socket is there that this user may not use: a
// daemon may well run.
func forbidden(ctx context.Context, path string) bool {
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", path)
	if err == nil {
		_ = conn.Close()
	}
	return errors.Is(err, fs.ErrPermission)
}
