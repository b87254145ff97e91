package process

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// userHertz is the unit of /proc/PID/stat, 100 on every architecture of Go.
const userHertz = 100

// Usage is what a process has taken, by Linux's /proc.
type Usage struct {
	// CPU is the time in user and kernel mode since its start.
	CPU time.Duration
	// Resident is VmRSS in bytes, Peak the largest it ever was; Anonymous,
	// File and Shared are its parts: memory of its own, pages of mapped files
	// (the program), and memory files.
	Resident, Peak, Anonymous, File, Shared int64
}

// Usage reads what the node's process has taken; an error on other systems.
func (n *Node) Usage() (Usage, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", n.PID()))
	if err != nil {
		return Usage{}, err
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", n.PID()))
	if err != nil {
		return Usage{}, err
	}
	return parseUsage(string(stat), string(status))
}

func parseUsage(stat, status string) (u Usage, err error) {
	// The name in parentheses may hold anything.
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	if len(fields) < 13 {
		return u, fmt.Errorf("read stat: %d fields after the name", len(fields))
	}
	for _, field := range fields[11:13] { // utime, stime
		ticks, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return u, fmt.Errorf("read stat: %w", err)
		}
		u.CPU += time.Duration(ticks) * time.Second / userHertz
	}
	into := map[string]*int64{
		"VmRSS": &u.Resident, "VmHWM": &u.Peak, "RssAnon": &u.Anonymous, "RssFile": &u.File, "RssShmem": &u.Shared,
	}
	for line := range strings.Lines(status) {
		name, value, _ := strings.Cut(line, ":")
		if to := into[name]; to != nil {
			kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
			if err != nil {
				return u, fmt.Errorf("read status: %w", err)
			}
			*to = kib << 10
		}
	}
	return u, nil
}
