package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// ticksPerSecond is USER_HZ, which is 100 on every architecture of Go.
const ticksPerSecond = 100

// cpuOf returns the CPU seconds that the process group led by pid has used, in
// user and kernel mode, ended children that were waited for included.
func cpuOf(pid int) (float64, error) {
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return 0, err
	}
	var ticks int64
	found := false
	for _, name := range stats {
		text, err := os.ReadFile(name)
		if err != nil {
			continue // ended meanwhile
		}
		group, used, err := parseStat(string(text))
		if err != nil {
			return 0, fmt.Errorf("%s: %w", name, err)
		}
		if group == pid {
			ticks += used
			found = true
		}
	}
	if !found {
		return 0, fmt.Errorf("no process in group %d", pid)
	}
	return float64(ticks) / ticksPerSecond, nil
}

// parseStat reads the process group and the ticks used of /proc/PID/stat.
func parseStat(text string) (group int, ticks int64, err error) {
	// The name in parentheses may hold anything.
	end := strings.LastIndexByte(text, ')')
	if end < 0 {
		return 0, 0, fmt.Errorf("no name in %q", text)
	}
	fields := strings.Fields(text[end+1:])
	if len(fields) < 15 {
		return 0, 0, fmt.Errorf("%d fields after the name", len(fields))
	}
	if group, err = strconv.Atoi(fields[2]); err != nil {
		return 0, 0, err
	}
	for _, field := range fields[11:13] { // utime, stime
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, 0, err
		}
		ticks += n
	}
	return group, ticks, nil
}
