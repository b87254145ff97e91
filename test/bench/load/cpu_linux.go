package load

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// CPU returns the time that the processes of the groups have used, in user and
// kernel mode, ended threads included but not ended processes.
func CPU(groups ...int) (time.Duration, error) {
	var total time.Duration
	for _, group := range groups {
		members, err := Members(group)
		if err != nil {
			return 0, err
		}
		for _, pid := range members {
			used, err := clock(pid)
			if err != nil && !errors.Is(err, unix.EINVAL) { // it has ended
				return 0, fmt.Errorf("clock of process %d: %w", pid, err)
			}
			total += used
		}
	}
	return total, nil
}

// clock reads the CPU clock of a process, which counts nanoseconds where
// /proc counts ticks of 10 ms (clock_getcpuclockid(3)).
func clock(pid int) (time.Duration, error) {
	const ofProcess = 2 // CPUCLOCK_SCHED
	var ts unix.Timespec
	err := unix.ClockGettime(int32(^pid<<3|ofProcess), &ts)
	return time.Duration(ts.Nano()), err
}

// Members returns the processes of the group led by pid that have not ended;
// none is an error.
func Members(group int) ([]int, error) {
	names, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, err
	}
	var members []int
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			continue // ended meanwhile
		}
		p, err := parseStat(string(text))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if p.group == group && p.state != "Z" {
			members = append(members, p.pid)
		}
	}
	if len(members) == 0 {
		return nil, fmt.Errorf("no process in group %d", group)
	}
	return members, nil
}

type process struct {
	pid, group int
	state      string
}

// parseStat reads /proc/PID/stat (proc(5)).
func parseStat(text string) (process, error) {
	begin, _, found := strings.Cut(text, " (")
	// The name in parentheses may hold anything.
	end := strings.LastIndexByte(text, ')')
	if !found || end < 0 {
		return process{}, fmt.Errorf("no name in %q", text)
	}
	fields := strings.Fields(text[end+1:])
	if len(fields) < 3 {
		return process{}, fmt.Errorf("%d fields after the name", len(fields))
	}
	pid, err := strconv.Atoi(begin)
	if err != nil {
		return process{}, err
	}
	group, err := strconv.Atoi(fields[2])
	return process{pid, group, fields[0]}, err
}
