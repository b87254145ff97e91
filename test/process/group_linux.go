package process

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// ownGroup makes the child lead a group of its own, away from the terminal's
// Ctrl-C, and die with its parent.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// stopTime bounds how long the threads of a process go on after SIGSTOP.
const stopTime = 30 * time.Second

var errGoesOn = errors.New("not all threads are stopped")

// awaitStop returns when the last thread of the child is stopped. It takes
// nothing from who waits for the child's end (waitid(2), WNOWAIT).
func awaitStop(pid int) error {
	ctx, cancel := context.WithTimeout(context.Background(), stopTime)
	defer cancel()
	err := Poll(ctx, func(context.Context) error {
		var info unix.Siginfo
		err := unix.Waitid(unix.P_PID, pid, &info, unix.WSTOPPED|unix.WNOHANG|unix.WNOWAIT, nil)
		switch {
		case errors.Is(err, unix.ECHILD):
			return nil // it has ended
		case err == nil && info.Signo == 0:
			return errGoesOn
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("stop process %d: %w", pid, err)
	}
	return nil
}
