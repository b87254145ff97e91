package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mccd/mccd/cluster/admin"
	"github.com/mccd/mccd/cluster/state"
)

// purgeFlags are those of mccd purge.
type purgeFlags struct {
	host, product string
	prefix, dry   bool
}

func newPurge(environ []string) *cobra.Command {
	var p purgeFlags
	cmd := &cobra.Command{
		Use:   "purge URL | --host HOST [/PATH] | --product PRODUCT [/PATH]",
		Short: "Make all nodes forget content",
		Long: `Make all nodes forget what a URL names: what was fetched before is not served
any more, whoever holds it, also a node that is away now or joins later. The next
client's request fetches it anew.

The query does not count: every query of the path is meant, http and https alike,
and of mirrors under one key host all of them. Only cacheHostOrigin=HOST in it is
read: it names the host, as it does for clients. With --prefix every path that
begins so. Without a host ("/some/path") the path at every host.

--host forgets all of a host (HOST:PORT where the port is neither 80 nor 443),
--product all of the hosts that a product of the catalogue has, by each node's
own rules when it hears of the purge; a rule's name does too. With a /PATH as
well, that path there. --dry-run tells what would be purged, and purges nothing.

"mccd purge list" shows which nodes have removed what was purged. None serves any
of it from when it hears of the purge, which after a start is before it serves
anything.`,
		Example: `  mccd purge http://deb.debian.org/debian/dists/stable/Release
  mccd purge --prefix http://deb.debian.org/debian/dists/
  mccd purge --host deb.debian.org
  mccd purge --product Xbox
  mccd purge list`,
		Args: cobra.MaximumNArgs(1),
	}
	flags := addSettings(cmd, environ, "data_dir", "admin_socket")
	cmd.Flags().BoolVar(&p.prefix, "prefix", false, "every path that begins with that of URL")
	cmd.Flags().StringVar(&p.host, "host", "", "all of this origin `HOST`")
	cmd.Flags().StringVar(&p.product, "product", "", "all of the hosts of this `PRODUCT`")
	cmd.Flags().BoolVar(&p.dry, "dry-run", false, "tell what would be purged")
	cmd.AddCommand(newPurgeList(environ))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		spec, err := p.spec(args)
		if err != nil {
			return exit(exitUsage, err)
		}
		return withDaemon(cmd.Context(), flags, writeWait, func(ctx context.Context, client *admin.Client) error {
			done, err := client.Purge(ctx, spec, p.dry)
			if err != nil {
				return err
			}
			if done.Product != "" {
				spec.Product = done.Product
			}
			_, err = fmt.Fprint(cmd.OutOrStdout(), purgeText(spec, done, p.dry))
			return err
		})
	}
	return cmd
}

// spec returns what is to be purged.
func (p *purgeFlags) spec(args []string) (state.PurgeSpec, error) {
	if p.host == "" && p.product == "" {
		if len(args) == 0 {
			return state.PurgeSpec{}, errors.New("name a URL, or --host or --product")
		}
		spec, err := purgeSpec(args[0])
		spec.Prefix = p.prefix
		return spec, err
	}
	spec := state.PurgeSpec{Path: "/", Prefix: true, Product: p.product}
	if len(args) > 0 {
		at, err := purgeSpec(args[0])
		if err != nil || at.Host != "" {
			return state.PurgeSpec{}, errors.New("with --host or --product name a /PATH alone, or none")
		}
		spec.Path, spec.Prefix = at.Path, p.prefix
	}
	switch {
	case p.host != "" && p.product != "":
		return state.PurgeSpec{}, errors.New("--host and --product exclude each other")
	case p.host != "":
		at, err := purgeSpec("http://" + p.host + "/")
		if err != nil || at.Path != "/" || strings.ContainsAny(p.host, "?#/*") {
			return state.PurgeSpec{}, fmt.Errorf("--host %q is not a host", p.host)
		}
		spec.Host = strings.TrimSuffix(at.Host, ":443")
	}
	return spec, nil
}

// purgeSpec reads a URL, or a path alone for every host. The path stays as it
// is written: content is named by raw bytes. cacheHostOrigin in the query names
// the host (docs/clients.md section 1, form 1). Faults do not repeat the query,
// which may be signed.
func purgeSpec(text string) (state.PurgeSpec, error) {
	text, _, _ = strings.Cut(text, "#")
	text, query, _ := strings.Cut(text, "?")
	for part := range strings.SplitSeq(query, "&") {
		key, value, _ := strings.Cut(part, "=")
		if !strings.EqualFold(key, "cacheHostOrigin") {
			continue
		}
		spec, err := purgeSpec(text)
		if err != nil {
			return spec, err
		}
		scheme, _, ok := strings.Cut(text, "://")
		if !ok {
			scheme = "http"
		}
		origin, err := url.PathUnescape(value)
		at, wrong := purgeSpec(scheme + "://" + origin)
		if err != nil || wrong != nil || at.Path != "/" || strings.ContainsAny(origin, "/?#") {
			return state.PurgeSpec{}, errors.New("cacheHostOrigin in the query names no host")
		}
		return state.PurgeSpec{Host: at.Host, Path: spec.Path}, nil
	}
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

// purgeText tells what was purged, or would be.
func purgeText(s state.PurgeSpec, done admin.Purged, dry bool) string {
	var b strings.Builder
	if dry {
		fmt.Fprintf(&b, "Would purge %s; nothing is done.\n", scopeText(s.Product, s.Host, s.Path, s.Prefix))
	} else {
		fmt.Fprintf(&b, "Purged %s (purge index %d).\n", scopeText(s.Product, s.Host, s.Path, s.Prefix), done.Index)
	}
	if len(done.Hosts) > 0 {
		fmt.Fprintf(&b, "The hosts of %s by this node's rules:\n", s.Product)
		for _, h := range done.Hosts {
			fmt.Fprintf(&b, "  %s\n", h)
		}
	}
	return b.String()
}

// scopeText says what a purge hits.
func scopeText(product, host, path string, prefix bool) string {
	whose := host
	switch {
	case product != "":
		whose = "product " + product
	case host == "":
		whose = "every host"
	}
	switch {
	case prefix && path == "/":
		return "all of " + whose
	case product == "" && host != "":
		whose = host + path
	default:
		whose += "'s " + path
	}
	if prefix {
		whose += " and all that begins so"
	}
	return whose
}
