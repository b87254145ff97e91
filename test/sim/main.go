package main

import (
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"
)

func main() {
	begun := time.Now()
	all := traces()
	printPolicies(os.Stdout, all)
	printSites(os.Stdout, all)
	fmt.Fprintf(os.Stdout, "\n%d traces in %s\n", len(all), time.Since(begun).Round(time.Second/10))
}

// printPolicies prints the hits of each policy, by reads and by bytes.
func printPolicies(out io.Writer, all []trace) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "hits in percent\tFIFO\tLRU\tmccd\tideal\tmccd - LRU\t\tbytes: LRU\tmccd\tideal\t")
	for _, t := range all {
		fifo, lru, our, best := queued(t, false), queued(t, true), ours(t), ideal(t)
		fmt.Fprintf(w, "%s\t%.2f\t%.2f\t%.2f\t%.2f\t%+.2f\t\t%.2f\t%.2f\t%.2f\t\n", t.name,
			100*fifo.ratio(), 100*lru.ratio(), 100*our.ratio(), 100*best.ratio(), 100*(our.ratio()-lru.ratio()),
			100*lru.byteRatio(), 100*our.byteRatio(), 100*best.byteRatio())
	}
	_ = w.Flush()
}

// singlePart is the part of a cluster's drives that one cache has to which the
// cluster is compared.
const singlePart = 0.75

// printSites prints what four nodes ask of the origin beside one cache with 0.75
// of their room.
func printSites(out io.Writer, all []trace) {
	fmt.Fprintln(out)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "four nodes\torigin, GiB\tone cache of 0.75\tratio\tlocal hits\tfrom other nodes, GiB\t")
	for _, t := range all {
		our, c, one := compared(t)
		fmt.Fprintf(w, "%s\t%.1f\t%.1f\t%.3f\t%.1f %%\t%.1f\t\n", t.name, gib(c.origin), gib(one.misses()),
			float64(c.origin)/float64(one.misses()), 100*our.ratio(), gib(c.lan))
	}
	_ = w.Flush()
}

// compared replays t with four nodes, and with one cache of 0.75 of their room.
func compared(t trace) (our score, c *site, one score) {
	small := t
	small.capacity = int64(singlePart * float64(t.capacity))
	our, c = clustered(t, 4, t.capacity, 20, 1)
	return our, c, ours(small)
}

func gib(n int64) float64 { return float64(n) / (1 << 30) }
