package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/mccd/mccd/cluster/admin"
)

// ErrNotRunning is the answer to a signal for a node that does not run.
var ErrNotRunning = errors.New("node is not running")

// Node is one mccd process and its directories. Its methods may be called
// from several goroutines.
type Node struct {
	// Name is the node's name, its Index the place in Cluster.Nodes.
	Name  string
	Index int
	// Dir is the data directory, Drive the one that holds content.
	Dir, Drive string
	// IP is of all its ports.
	IP string
	// Addr is where clients ask, HTTPS where https clients do, Ops the operators'
	// HTTP, Peer and Gossip the ports between nodes, Socket the admin service.
	Addr, HTTPS, Ops, Peer, Gossip, Socket string
	// ConfigFile and LogFile are paths. The log of all lives of the node is
	// kept.
	ConfigFile, LogFile string

	bin string
	// wrap is the command that runs the process, nil for none.
	wrap []string
	// settings are what the configuration file says.
	settings map[string]any
	paused   atomic.Bool

	// mu guards what follows.
	mu   sync.Mutex
	life *life
	// client of the admin service, nil while it is in use or there is none.
	client *admin.Client
}

// life is one process, from its start to its exit.
type life struct {
	cmd  *exec.Cmd
	done chan struct{} // closed at the exit, after err is set
	err  error
}

// Start starts the process; it does not wait until it serves (Ready does).
func (n *Node) Start() error { return n.StartAs("serve") }

// StartAs is Start with another command than serve, which takes the same flags.
func (n *Node) StartAs(command ...string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.life != nil && !n.life.over() {
		return fmt.Errorf("start %s: it runs already", n.Name)
	}
	argv := slices.Concat(n.wrap, []string{n.bin}, command, []string{"--config", n.ConfigFile})
	l, err := launch(n.LogFile, argv...)
	if err != nil {
		return fmt.Errorf("start %s: %w", n.Name, err)
	}
	n.life = l
	n.paused.Store(false)
	return nil
}

// launch starts argv with its output appended to the log. The goroutine that
// starts the process keeps its thread until the exit, since the kernel takes
// that thread's end for the parent's (PR_SET_PDEATHSIG).
func launch(logFile string, argv ...string) (*life, error) {
	log, err := os.OpenFile(logFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = ownGroup()
	cmd.Env = environment(os.Environ())
	l := &life{cmd: cmd, done: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer func() { _ = log.Close() }()
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		l.err = cmd.Wait()
		close(l.done)
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return l, nil
}

// environment leaves mccd's own variables out: a node is what its file says.
func environment(all []string) []string {
	return slices.DeleteFunc(all, func(v string) bool { return strings.HasPrefix(v, "MCCD_") })
}

func (l *life) over() bool {
	select {
	case <-l.done:
		return true
	default:
		return false
	}
}

// current returns the present life, nil before the first start.
func (n *Node) current() *life {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.life
}

// Running reports whether the process runs (a paused one does).
func (n *Node) Running() bool {
	l := n.current()
	return l != nil && !l.over()
}

// PID returns the process's id, 0 before the first start.
func (n *Node) PID() int {
	if l := n.current(); l != nil {
		return l.cmd.Process.Pid
	}
	return 0
}

// Exited is closed when the present process has ended; before the first start
// it is closed as well.
func (n *Node) Exited() <-chan struct{} {
	if l := n.current(); l != nil {
		return l.done
	}
	none := make(chan struct{})
	close(none)
	return none
}

// Wait waits for the exit and returns the exit code, -1 for a signal.
func (n *Node) Wait(ctx context.Context) (int, error) {
	l := n.current()
	if l == nil {
		return 0, ErrNotRunning
	}
	select {
	case <-l.done:
		return l.cmd.ProcessState.ExitCode(), nil
	case <-ctx.Done():
		return 0, fmt.Errorf("wait for the end of %s: %w", n.Name, ctx.Err())
	}
}

// Kill ends the process by SIGKILL and waits for its end.
func (n *Node) Kill() error {
	l, err := n.signal(syscall.SIGKILL)
	if err != nil {
		return err
	}
	<-l.done
	return nil
}

// Stop asks the process to drain and end (SIGTERM) and waits; when ctx ends
// first it is killed and that is an error.
func (n *Node) Stop(ctx context.Context) error {
	l, err := n.signal(syscall.SIGTERM)
	if err != nil {
		return err
	}
	select {
	case <-l.done:
	case <-ctx.Done():
		_ = n.Kill()
		return fmt.Errorf("stop %s: %w", n.Name, ctx.Err())
	}
	if code := l.cmd.ProcessState.ExitCode(); code != 0 {
		return fmt.Errorf("stop %s: exit code %d", n.Name, code)
	}
	return nil
}

// Restart starts a node that has ended again and waits until it is ready.
func (n *Node) Restart(ctx context.Context) error {
	if err := n.Start(); err != nil {
		return err
	}
	return n.Ready(ctx)
}

// signal sends s to the node's process group.
func (n *Node) signal(s syscall.Signal) (*life, error) {
	l := n.current()
	if l == nil || l.over() {
		return nil, fmt.Errorf("%s: %w", n.Name, ErrNotRunning)
	}
	if err := send(l.cmd.Process, s); err != nil {
		return nil, fmt.Errorf("signal %s: %w", n.Name, err)
	}
	return l, nil
}
