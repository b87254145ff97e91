package main

import (
	"context"
	"fmt"
	"io"
	stdlog "log"
	"os"
	"os/signal"
	"syscall"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/spf13/cobra"

	"github.com/mccd/mccd/cmd/mccd/config"
	"github.com/mccd/mccd/cmd/mccd/node"
)

func newServe(environ []string) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run a node",
		Long: `Run a node until it gets SIGINT or SIGTERM. It then lets downloads in progress
end (timeouts.shutdown_grace); a second signal ends it at once.

SIGHUP opens the access log anew, after a rotation.

Without any configuration it serves the built-in origins (Windows Update,
Office, Intune, Teams, Xbox and others) on port 80, or 8080 where it may not
have 80, and keeps content under its data directory.

At its first start a node is a cluster of its own, unless --join names nodes and
a token admits it (mccd join --help); the same command line serves for each
later start. Nodes find each other again by themselves.`,
		Example: `  mccd serve
  mccd serve --config /etc/mccd/mccd.yaml
  mccd serve --listen 127.0.0.1:8080 --data-dir ~/mccd --drive /srv/cache=200GiB
  mccd serve --join 192.0.2.1 --token-file token --set limits.memory=1GiB`,
		Args: cobra.NoArgs,
	}
	flags := addSettings(cmd, environ)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		loaded, err := flags.load()
		if err != nil {
			return err
		}
		if err := chooseToken(cmd, loaded); err != nil {
			return err
		}
		return serve(cmd, loaded)
	}
	return cmd
}

// serve runs a node until a signal. A second signal has its default effect: it
// ends the process.
func serve(cmd *cobra.Command, loaded *config.Loaded) error {
	ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	if err := runNode(ctx, loaded, cmd.OutOrStdout(), cmd.ErrOrStderr()); err != nil {
		return exit(exitFailure, err)
	}
	return nil
}

func runNode(ctx context.Context, loaded *config.Loaded, stdout, stderr io.Writer) error {
	log := newLogger(loaded.Log, stderr)
	// net/http writes what an origin sends unasked to the standard logger,
	// bytes of content included.
	stdlog.SetOutput(io.Discard) //nolint:forbidigo // nobody else writes there
	for _, warning := range loaded.Warnings {
		log.Warn("configuration", "warning", warning)
	}
	if err := os.MkdirAll(loaded.DataDir, 0o700); err != nil {
		return fmt.Errorf("create data directory: %w", err)
	}
	if err := chooseDrives(loaded.Config, log); err != nil {
		return err
	}
	chooseListen(loaded, log)
	access, reopenAccess, closeAccess, err := openAccessLog(loaded.AccessLog, stdout)
	if err != nil {
		return err
	}
	defer closeAccess()
	defer onHangup(func() {
		if err := reopenAccess(); err != nil {
			log.Error("the access log goes on in the former file", "error", err)
		}
	})()
	n, err := node.New(nodeConfig(loaded, log, access))
	if err != nil {
		return fmt.Errorf("start node: %w", err)
	}
	announce(n, loaded.AdminSocket, log)
	tell := func(state string) {
		if _, err := daemon.SdNotify(false, state); err != nil {
			log.Warn("tell service manager", "error", err)
		}
	}
	tell(daemon.SdNotifyReady)
	defer context.AfterFunc(ctx, func() { tell(daemon.SdNotifyStopping) })()
	if err := n.Run(ctx); err != nil {
		return fmt.Errorf("run node: %w", err)
	}
	log.Info("stopped")
	return nil
}

// onHangup calls do at each SIGHUP until the returned function is called.
func onHangup(do func()) (stop func()) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGHUP)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range signals {
			do()
		}
	}()
	return func() {
		signal.Stop(signals)
		close(signals)
		<-done
	}
}
