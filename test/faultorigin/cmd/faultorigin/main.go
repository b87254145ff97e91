// Command faultorigin runs a scripted CDN as a process of its own: generated
// objects and real files, with the ledger on a second address. It is used by
// the tests of real processes and by the demo.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/mccd/mccd/test/faultorigin"
)

func main() {
	if err := run(os.Args[1:]); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "faultorigin:", err)
		os.Exit(1)
	}
}

// run serves until a signal. It prints "origin ADDR" and "ledger ADDR" on
// standard output once they accept connections.
func run(args []string) error {
	var cfg faultorigin.Config
	flags := flag.NewFlagSet("faultorigin", flag.ContinueOnError)
	flags.StringVar(&cfg.Addr, "listen", "127.0.0.1:0", "serve objects on `addr`")
	flags.StringVar(&cfg.Dir, "dir", "", "serve the files below `folder` too")
	flags.Int64Var(&cfg.Rate, "rate", 0, "send at most so many `bytes` per second, all answers together (0 = no bound)")
	ledger := flags.String("ledger-http", "", "serve GET /_ledger on `addr`")
	delay := flags.Duration("delay", 0, "wait before each answer")
	flags.Func("object", "serve a generated object: `path=size[=version]`, repeatable", func(v string) error {
		o, err := object(v)
		cfg.Objects = append(cfg.Objects, o)
		return err
	})
	if err := flags.Parse(args); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	s, err := faultorigin.Listen(cfg)
	if err != nil {
		return err
	}
	defer s.Close()
	if *delay > 0 {
		s.Script(faultorigin.AnyPath, faultorigin.Behaviour{Delay: *delay})
	}
	fmt.Println("origin", s.Addr())
	if *ledger != "" {
		listener, err := net.Listen("tcp", *ledger)
		if err != nil {
			return fmt.Errorf("listen for the ledger: %w", err)
		}
		server := &http.Server{Handler: s.Ledger().Handler(), ReadHeaderTimeout: 10 * time.Second}
		defer server.Close()
		go func() { _ = server.Serve(listener) }()
		fmt.Println("ledger", listener.Addr())
	}
	<-ctx.Done()
	return nil
}

// object reads path=size or path=size=version. Size takes KiB, MiB and GiB.
func object(v string) (faultorigin.Object, error) {
	parts := strings.Split(v, "=")
	if len(parts) < 2 || len(parts) > 3 || !strings.HasPrefix(parts[0], "/") {
		return faultorigin.Object{}, errors.New("want /path=size or /path=size=version")
	}
	number, unit := parts[1], int64(1)
	for suffix, n := range map[string]int64{"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30} {
		if rest, ok := strings.CutSuffix(number, suffix); ok {
			number, unit = rest, n
		}
	}
	size, err := strconv.ParseInt(number, 10, 64)
	if err != nil || size < 0 || size > (1<<62)/unit {
		return faultorigin.Object{}, fmt.Errorf("size %q: want bytes, or a number of KiB, MiB or GiB", parts[1])
	}
	o := faultorigin.Object{Path: parts[0], Size: size * unit}
	if len(parts) == 3 {
		o.Version = parts[2]
	}
	return o, nil
}
