package clients

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/mccd/mccd/test/clients/agent"
)

// Result is what all downloads were like.
type Result struct {
	Reports []*agent.Report
	Began   time.Time
	Took    time.Duration
}

// Totals sums what is counted.
type Totals struct {
	Downloads, Requests, Resumes int
	Cache, CDN                   int64
	ByNode                       map[string]int64
	Bans, Wrong, Crashed, Failed int
	// FallBacks counts them by cause.
	FallBacks   map[string]int
	PieceHashes map[int]int
	First       time.Duration // the longest wait for a first byte
}

// Totals returns the sums, of one kind of client or ("") of both.
func (r *Result) Totals(client string) Totals {
	t := Totals{ByNode: map[string]int64{}, FallBacks: map[string]int{}, PieceHashes: map[int]int{}}
	for _, one := range r.Reports {
		if client != "" && one.Client != client {
			continue
		}
		t.Downloads++
		t.Requests += one.Requests
		t.Resumes += one.Resumes
		t.Cache += one.Cache
		t.CDN += one.CDN
		t.Bans += len(one.Bans)
		t.First = max(t.First, one.First)
		switch {
		case one.Crashed:
			t.Crashed++
		case one.Wrong != "":
			t.Wrong++
		case one.Err != nil:
			t.Failed++
		}
		for _, f := range one.FallBacks {
			t.FallBacks[f.Why.Kind()]++
		}
		for addr, n := range one.ByNode {
			t.ByNode[addr] += n
		}
		for status, n := range one.PieceHashes {
			t.PieceHashes[status] += n
		}
	}
	return t
}

// Faults returns what was not as it should be, of all downloads; expected
// reports which fall-backs are none (nil: none is).
func (r *Result) Faults(expected func(*agent.Report, agent.FallBack) bool) (faults []string) {
	for _, one := range r.Reports {
		faults = append(faults, one.Faults(expected)...)
	}
	return faults
}

// Print writes the sums as a table, and below it each fall-back with its cause
// and the slowest downloads.
func (r *Result) Print(w io.Writer) {
	fmt.Fprintf(w, "%-8s %9s %8s %7s %9s %9s %5s %6s %8s %7s %10s %11s\n",
		"client", "downloads", "requests", "resumes", "cache MiB", "CDN MiB", "bans", "wrong", "crashes", "no file", "fall-backs", "first byte")
	for _, client := range []string{"lite", "windows", ""} {
		t := r.Totals(client)
		if t.Downloads == 0 {
			continue
		}
		fallBacks := 0
		for _, n := range t.FallBacks {
			fallBacks += n
		}
		fmt.Fprintf(w, "%-8s %9d %8d %7d %9.1f %9.1f %5d %6d %8d %7d %10d %11s\n", cmp.Or(client, "both"), t.Downloads, t.Requests, t.Resumes,
			mib(t.Cache), mib(t.CDN), t.Bans, t.Wrong, t.Crashed, t.Failed, fallBacks, t.First.Round(time.Millisecond))
	}
	t := r.Totals("")
	for _, addr := range slices.Sorted(maps.Keys(t.ByNode)) {
		fmt.Fprintf(w, "  %s gave %.1f MiB\n", addr, mib(t.ByNode[addr]))
	}
	if len(t.PieceHashes) > 0 {
		fmt.Fprintf(w, "  piece hashes, by status: %v\n", t.PieceHashes)
	}
	for _, cause := range slices.Sorted(maps.Keys(t.FallBacks)) {
		fmt.Fprintf(w, "  fall-backs because of %q: %d\n", cause, t.FallBacks[cause])
	}
	for _, one := range r.Reports {
		for _, f := range one.FallBacks {
			fmt.Fprintf(w, "    %s %s: %v\n", one.Client, one.Object.Path, f.Why)
		}
		for _, f := range one.CDNFailures {
			fmt.Fprintf(w, "    %s %s: the CDN itself: %v\n", one.Client, one.Object.Path, f)
		}
	}
	slowest := slices.SortedFunc(slices.Values(r.Reports), func(a, b *agent.Report) int { return cmp.Compare(b.Took, a.Took) })
	for _, one := range slowest[:min(3, len(slowest))] {
		fmt.Fprintf(w, "  %s %s, %d bytes, %d requests, took %v\n", one.Client, one.Object.Path, one.Object.Size, one.Requests, one.Took.Round(time.Millisecond))
	}
}

func mib(n int64) float64 { return float64(n) / (1 << 20) }
