package rival

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"

	"github.com/mccd/mccd/test/bench/load"
	"github.com/mccd/mccd/test/process"
)

// stopGrace is how long a server may take to end by itself.
const stopGrace = 5 * time.Second

var errEnded = errors.New("it has ended")

// group is a server's process group.
type group struct {
	id   int
	done chan struct{} // closed when the leader has ended
	stop sync.Once
}

// launch starts argv as leader of a group of its own that dies with this
// process, with at most files open files.
func launch(output string, files int, argv []string) (*group, error) {
	out, err := os.OpenFile(output, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	if files > 0 {
		argv = append(Limited(files), argv...)
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	g := &group{done: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		// The kernel takes the end of this thread for the parent's.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer func() { _ = out.Close() }()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait()
			close(g.done)
		}
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	g.id = cmd.Process.Pid
	return g, nil
}

// Limited returns the beginning of a command whose process may have so many
// open files.
func Limited(files int) []string {
	return []string{"sh", "-c", fmt.Sprintf(`ulimit -n %d && exec "$@"`, files), "sh"}
}

// while returns a context that ends with the group's leader as well.
func (g *group) while(ctx context.Context) (context.Context, context.CancelCauseFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	go func() {
		select {
		case <-g.done:
			cancel(errEnded)
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

// end asks the leader to end, kills what is left of the group after that and
// returns when nothing is.
func (g *group) end() { g.stop.Do(g.kill) }

func (g *group) kill() {
	_ = syscall.Kill(g.id, syscall.SIGTERM)
	timer := time.NewTimer(stopGrace)
	defer timer.Stop()
	select {
	case <-g.done:
	case <-timer.C:
	}
	_ = syscall.Kill(-g.id, syscall.SIGKILL)
	<-g.done
	ctx, cancel := context.WithTimeout(context.Background(), stopGrace)
	defer cancel()
	_ = process.Poll(ctx, func(context.Context) error {
		if members, err := load.Members(g.id); err == nil {
			return fmt.Errorf("processes %v are left", members)
		}
		return nil
	})
}

// connects reports whether addr takes a connection.
func connects(ctx context.Context, addr string) error {
	c, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err == nil {
		_ = c.Close()
	}
	return err
}

// answers reports whether addr answers a request for what is not there as the
// origin does, so that a cache is known to work, not only to listen.
func answers(ctx context.Context, addr string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/ready", nil)
	if err != nil {
		return err
	}
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		return err
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusNotFound {
		return fmt.Errorf("answered %s", resp.Status)
	}
	return nil
}
