package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mccd/mccd/test/process"
)

// What the process in the bed is told by the one outside.
const (
	bedEnv = "BENCH_BED"  // which bed it is in
	dirEnv = "BENCH_DIR"  // folder that the one outside removes
	binEnv = "BENCH_MCCD" // the mccd program
)

const (
	congestionFile = "/proc/sys/net/ipv4/tcp_congestion_control"
	// codeNoBed is the exit code of a process that cannot make its bed, so
	// that the next best is tried.
	codeNoBed = 75
	// endGrace is how long the process in the bed may take to end.
	endGrace = 30 * time.Second
)

var errNoBed = errors.New("this bed cannot be had")

// insideError is the exit code of the process in the bed, which has said why.
type insideError int

func (e insideError) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// bed is a place to measure in, by the namespaces it takes.
type bed struct {
	name  string
	flags uintptr
}

// inBed builds what needs a network or time and runs the program again in the
// best bed that can be had.
func inBed(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "mccd-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	bin, err := process.Build(ctx, dir)
	if err != nil {
		return err
	}
	beds := []bed{{"plain", 0}}
	if os.Geteuid() == 0 {
		network := uintptr(syscall.CLONE_NEWNET)
		beds = append([]bed{{"processes", network | syscall.CLONE_NEWPID | syscall.CLONE_NEWNS}, {"network", network}}, beds...)
	}
	// The kernel takes the end of the thread that started the child for this
	// process's.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for _, b := range beds {
		cmd := exec.CommandContext(ctx, self, args...)
		cmd.Stdout, cmd.Stderr = stdout, stderr
		cmd.Env = append(os.Environ(), roleEnv+"="+roleBed, bedEnv+"="+b.name, dirEnv+"="+dir, binEnv+"="+bin)
		cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
		cmd.WaitDelay = endGrace
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: b.flags, Setpgid: true, Pdeathsig: syscall.SIGKILL}
		err = cmd.Run()
		refused := errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOSYS) || errors.Is(err, syscall.EINVAL)
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			err, refused = insideError(exit.ExitCode()), exit.ExitCode() == codeNoBed
		}
		if !refused {
			return err
		}
	}
	return err
}

// prepareBed makes the namespaces a fair bed and returns in words what it is.
func prepareBed() (string, error) {
	own := "network namespace"
	switch os.Getenv(bedEnv) {
	case "plain":
		return "not fair: " + bedNow() + " (run as root for namespaces of its own)", nil
	case "processes":
		own = "namespaces for network and processes"
		// Without a /proc of this namespace nothing is known about its
		// processes.
		err := unix.Mount("none", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")
		if err == nil {
			err = unix.Mount("proc", "/proc", "proc", 0, "")
		}
		if err != nil {
			return "", fmt.Errorf("%w: mount /proc: %w", errNoBed, err)
		}
	}
	// Without the loopback nothing goes; the rest only makes it fairer.
	if out, err := exec.Command("ip", "link", "set", "lo", "mtu", "1500", "up").CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: set up loopback: %w: %s", errNoBed, err, out)
	}
	// Where it may not be changed, bedNow tells what it is.
	_ = os.WriteFile(congestionFile, []byte("reno"), 0o644)
	return own + " of its own, " + bedNow(), nil
}

// bedNow reads what decides about delivery over loopback.
func bedNow() string {
	// Not by /sys, which shows the namespace that it was mounted in.
	mtu := "unknown"
	if lo, err := net.InterfaceByName("lo"); err == nil {
		mtu = strconv.Itoa(lo.MTU)
	}
	control := "unknown"
	if text, err := os.ReadFile(congestionFile); err == nil {
		control = strings.TrimSpace(string(text))
	}
	return fmt.Sprintf("loopback mtu %s, congestion control %s, %d processors", mtu, control, runtime.NumCPU())
}
