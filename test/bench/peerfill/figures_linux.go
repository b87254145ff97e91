package main

import (
	"runtime"
	"syscall"
	"time"
)

// figures are what one round found.
type figures struct {
	mibPerSecond, cpuPerGiB, allocated float64
}

// measured runs work, which moves n bytes, and tells what it cost this process.
func measured(n int64, work func() error) (figures, error) {
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	cpu, begun := cpuUsed(), time.Now()
	if err := work(); err != nil {
		return figures{}, err
	}
	took, used := time.Since(begun), cpuUsed()-cpu
	runtime.ReadMemStats(&after)
	gib := float64(n) / (1 << 30)
	return figures{
		mibPerSecond: gib * 1024 / took.Seconds(),
		cpuPerGiB:    used.Seconds() / gib,
		allocated:    float64(after.TotalAlloc-before.TotalAlloc) / 1e6 / gib,
	}, nil
}

// cpuUsed returns the CPU time of this process, in user and kernel mode.
func cpuUsed() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err) // it knows no failure for the process itself
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
