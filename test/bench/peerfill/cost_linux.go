package peerfill

import (
	"runtime"
	"syscall"
	"time"
)

// cost is what one round took: of memory, in MB per GiB.
type cost struct {
	mibPerSecond, cpuPerGiB, allocatedPerGiB float64
}

// costs are those of the rounds.
type costs []cost

func (all costs) cpu() []float64 { return all.pick(func(c cost) float64 { return c.cpuPerGiB }) }
func (all costs) throughput() []float64 {
	return all.pick(func(c cost) float64 { return c.mibPerSecond })
}

func (all costs) allocated() []float64 {
	return all.pick(func(c cost) float64 { return c.allocatedPerGiB })
}

func (all costs) pick(of func(cost) float64) []float64 {
	values := make([]float64, len(all))
	for i, c := range all {
		values[i] = of(c)
	}
	return values
}

// measured runs work, which moves n bytes, and tells what it cost this process.
func measured(n int64, work func() error) (cost, error) {
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	cpu, begun := cpuUsed(), time.Now()
	if err := work(); err != nil {
		return cost{}, err
	}
	took, used := time.Since(begun), cpuUsed()-cpu
	runtime.ReadMemStats(&after)
	gib := float64(n) / (1 << 30)
	return cost{
		mibPerSecond:    gib * 1024 / took.Seconds(),
		cpuPerGiB:       used.Seconds() / gib,
		allocatedPerGiB: float64(after.TotalAlloc-before.TotalAlloc) / 1e6 / gib,
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
