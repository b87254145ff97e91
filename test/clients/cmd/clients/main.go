// Command clients downloads through a cluster as Delivery Optimization clients
// do, of both kinds, and says what went wrong for them. Its exit code is 1 if
// there was a ban, a wrong or missing file or, unless -fall-backs is given, a
// client that went to the CDN.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/mccd/mccd/test/clients"
	"github.com/mccd/mccd/test/clients/agent"
)

const usage = `usage: clients -nodes ip:port[,ip:port...] -host origin.host -cdn ip:port [flags] /path [/path...]

Downloads the paths of an origin host through a cluster, whose nodes stand under
one round-robin name, as simulated Delivery Optimization clients. What is right
is learned first, from the CDN itself, over plain http.

  clients -nodes 10.0.0.1:80,10.0.0.2:80,10.0.0.3:80 -host au.download.windowsupdate.com \
      -cdn 192.0.2.34:80 -downloads 100 /d/msdownload/update/x.cab

`

type settings struct {
	nodes, name, host, cdn string
	answers                int
	fallBacks              bool
	limit                  time.Duration
	run                    clients.Config
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var s settings
	flags := flag.NewFlagSet("clients", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprint(stderr, usage)
		flags.PrintDefaults()
	}
	flags.StringVar(&s.nodes, "nodes", "", "addresses of the nodes, in the order of the name's answers; `ip:port[,ip:port]`")
	flags.StringVar(&s.name, "name", "cache.test", "what DOCacheHost says: the `name` in Host")
	flags.StringVar(&s.host, "host", "", "the origin's host `name`")
	flags.StringVar(&s.cdn, "cdn", "", "where the origin is reached directly; `ip:port`")
	flags.IntVar(&s.answers, "answers", 0, "how many addresses one answer of the name holds; 0 = all")
	flags.IntVar(&s.run.Downloads, "downloads", 20, "how many downloads in all")
	flags.IntVar(&s.run.Machines, "machines", 8, "how many machines at once; every second one is a Windows agent")
	flags.BoolVar(&s.run.OnlyLite, "only-lite", false, "no Windows agents")
	flags.BoolVar(&s.run.OnlyWindows, "only-windows", false, "Windows agents only")
	flags.Float64Var(&s.run.Pauses, "pauses", 0.5, "share of Lite's downloads that are paused and go on by Range")
	flags.Uint64Var(&s.run.Seed, "seed", 1, "order and pauses")
	flags.BoolVar(&s.fallBacks, "fall-backs", false, "going to the CDN is no failure")
	flags.DurationVar(&s.limit, "limit", 10*time.Minute, "how long at most")
	if err := flags.Parse(args); err != nil {
		if err == flag.ErrHelp { //nolint:errorlint // as flag says
			return 0
		}
		return 2
	}
	if s.nodes == "" || s.host == "" || s.cdn == "" || flags.NArg() == 0 || s.run.OnlyLite && s.run.OnlyWindows {
		flags.Usage()
		return 2
	}
	ctx, cancel := context.WithTimeout(ctx, s.limit)
	defer cancel()
	for _, path := range flags.Args() {
		o, err := learn(ctx, s.cdn, s.host, path)
		if err != nil {
			fmt.Fprintf(stderr, "clients: learn %s from the CDN: %v\n", path, err)
			return 1
		}
		s.run.Objects = append(s.run.Objects, o)
	}
	s.run.CDN = s.cdn
	s.run.Names = []*agent.Name{agent.NewName(s.name, s.answers, strings.Split(s.nodes, ",")...)}
	result := clients.Run(ctx, s.run)
	result.Print(stdout)
	faults := result.Faults(func(*agent.Report, agent.FallBack) bool { return s.fallBacks })
	for _, f := range faults {
		fmt.Fprintln(stdout, f)
	}
	if len(faults) > 0 || len(result.Reports) < s.run.Downloads {
		return 1
	}
	return 0
}

// learn reads an object from the CDN.
func learn(ctx context.Context, cdn, host, path string) (*agent.Object, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+cdn+path, nil)
	if err != nil {
		return nil, err
	}
	req.Host = host
	resp, err := (&http.Transport{DisableCompression: true, DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK || resp.ContentLength <= 0 {
		return nil, fmt.Errorf("%s, length %d", resp.Status, resp.ContentLength)
	}
	v, err := agent.Digest("cdn", resp.Body, resp.ContentLength)
	if err != nil {
		return nil, err
	}
	return &agent.Object{Host: host, Path: path, Size: resp.ContentLength, Versions: []agent.Version{v}}, nil
}
