package main

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mccd/mccd/cluster/admin"
	"github.com/mccd/mccd/cluster/state"
)

func newPurge(environ []string) *cobra.Command {
	var prefix bool
	cmd := &cobra.Command{
		Use:   "purge URL",
		Short: "Make all nodes forget content",
		Long: `Make all nodes forget what a URL names: what was fetched before is not served
any more, whoever holds it, also a node that is away now. The next client's
request fetches it anew.

The query does not count: every query of the path is meant. With --prefix every
path that begins so. Without a host ("/some/path") the path at every host.`,
		Example: `  mccd purge http://deb.debian.org/debian/dists/stable/Release
  mccd purge --prefix http://deb.debian.org/debian/dists/
  mccd purge --prefix http://deb.debian.org/`,
		Args: cobra.ExactArgs(1),
	}
	flags := addSettings(cmd, environ, "data_dir", "admin_socket")
	cmd.Flags().BoolVar(&prefix, "prefix", false, "every path that begins with that of URL")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		spec, err := purgeSpec(args[0])
		if err != nil {
			return exit(exitUsage, err)
		}
		spec.Prefix = prefix
		return withDaemon(cmd.Context(), flags, writeWait, func(ctx context.Context, client *admin.Client) error {
			index, err := client.Purge(ctx, spec)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "Purged %s (purge index %d).\n", purged(spec), index)
			return err
		})
	}
	return cmd
}

// purgeSpec reads a URL, or a path alone for every host. The path stays as it
// is written: content is named by raw bytes. Faults do not repeat the query,
// which may be signed.
func purgeSpec(text string) (state.PurgeSpec, error) {
	text, _, _ = strings.Cut(text, "#")
	text, _, _ = strings.Cut(text, "?")
	if strings.HasPrefix(text, "/") && !strings.HasPrefix(text, "//") {
		return state.PurgeSpec{Path: text}, nil
	}
	scheme, rest, ok := strings.Cut(text, "://")
	scheme = strings.ToLower(scheme)
	host, path, _ := strings.Cut(rest, "/")
	u, err := url.Parse(scheme + "://" + host)
	if !ok || err != nil || scheme != "http" && scheme != "https" || u.Hostname() == "" || u.User != nil {
		return state.PurgeSpec{}, fmt.Errorf("%q is not a URL; write http://HOST/PATH, or /PATH for every host", text)
	}
	host = strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if port := u.Port(); port != "" && port != map[string]string{"http": "80", "https": "443"}[scheme] {
		host += ":" + port
	}
	return state.PurgeSpec{Host: host, Path: "/" + path}, nil
}

func purged(s state.PurgeSpec) string {
	host, all := s.Host, ""
	if host == "" {
		host = "every host's "
	}
	if s.Prefix {
		all = " and all below it"
	}
	return host + s.Path + all
}
