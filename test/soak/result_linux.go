package main

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/mccd/mccd/test/process/rows"
)

// result is what was seen.
type result struct {
	config
	crowd         *crowd
	samples       []sample
	before, after []sample
	origin        float64
}

// limit is each node's.
func (r *result) limit() int64 { return int64(r.drivesMiB/r.nodes) * mib }

// metadata is what a file system may take beside the bytes of the files: an
// index block for each, and small files of the node's own.
const metadata = 1 << 20

// most returns the largest figure of all samples.
func (r *result) most(of func(sample) int64) int64 {
	out := int64(0)
	for _, s := range r.samples {
		out = max(out, of(s))
	}
	return out
}

// resident returns the mean memory of all nodes together about a moment.
func (r *result) resident(at time.Duration) float64 {
	around := max(r.length/30, 2*time.Second) // at least one sample
	sum, n := 0.0, 0
	for _, s := range r.samples {
		if s.at >= at-around && s.at <= at+around {
			sum += float64(s.resident)
			n++
		}
	}
	if n == 0 {
		return 0
	}
	return sum / float64(n) * float64(r.nodes)
}

// growth is memory at the end by that at two fifths of the time: minute 5 by
// minute 2 of the full length.
func (r *result) growth() (early, late float64) {
	return r.resident(r.length * 2 / 5), r.resident(r.length - r.length/30)
}

// verdict returns everything that is not as it must be.
func (r *result) verdict(growth float64) error {
	var errs []error
	if n := r.crowd.wrong.Load(); n > 0 {
		errs = append(errs, fmt.Errorf("%d pieces with wrong bytes", n))
	}
	if n := r.crowd.failed.Load(); n > 0 {
		errs = append(errs, fmt.Errorf("%d requests failed: %w", n, errors.Join(r.crowd.first...)))
	}
	if cut, all := r.crowd.cut.Load(), r.crowd.requests.Load(); cut > all/100 {
		errs = append(errs, fmt.Errorf("%d of %d answers were cut off", cut, all))
	}
	if held := r.most(func(s sample) int64 { return s.held }); held > r.limit()+metadata {
		errs = append(errs, fmt.Errorf("a drive held %d bytes, its limit is %d", held, r.limit()))
	}
	if counted := r.most(func(s sample) int64 { return s.counted }); counted > r.limit() {
		errs = append(errs, fmt.Errorf("a drive counted %d bytes, its limit is %d", counted, r.limit()))
	}
	if early, late := r.growth(); late > early*growth || late == 0 {
		errs = append(errs, fmt.Errorf("memory grew from %.0f to %.0f MiB", early/mib, late/mib))
	}
	for i := range r.after {
		for _, what := range left(r.before[i], r.after[i], r.nodes) {
			errs = append(errs, errors.New(what))
		}
	}
	return errors.Join(errs...)
}

func (r *result) print(w io.Writer) {
	early, late := r.growth()
	read := float64(r.crowd.bytes.Load())
	fmt.Fprintf(w, "%d MiB of objects through %d nodes of %d MiB, %d clients, %v\n", r.contentMiB, r.nodes, r.drivesMiB/r.nodes, r.clients, r.length)
	fmt.Fprintf(w, "read %.1f GiB in %d requests; %d answered 503, %d cut off, %d failed, %d with wrong bytes\n", read/(1<<30), r.crowd.requests.Load(),
		r.crowd.busy.Load(), r.crowd.cut.Load(), r.crowd.failed.Load(), r.crowd.wrong.Load())
	fmt.Fprintf(w, "passed through: %d MiB of the content in order; from the origin %.1f GiB\n",
		min(r.crowd.cursor.Load()*runPieces, int64(r.content())), r.origin/(1<<30))
	fmt.Fprintf(w, "drive at most %.1f MiB of %d (counted %.1f)\n", float64(r.most(func(s sample) int64 { return s.held }))/mib, r.limit()/mib,
		float64(r.most(func(s sample) int64 { return s.counted }))/mib)
	ratio := 0.0
	if early > 0 {
		ratio = late / early
	}
	fmt.Fprintf(w, "memory of all nodes %.1f MiB at %v, %.1f MiB at %v: %.3f\n", early/mib, r.length*2/5, late/mib, r.length, ratio)
	for i := range r.after {
		b, a := r.before[i], r.after[i]
		fmt.Fprintf(w, "node %d: goroutines %d before, %d after; sockets %d, %d; other descriptors %d, %d; removed files open %d\n",
			i+1, b.goroutines, a.goroutines, b.sockets, a.sockets, b.other, a.other, a.deleted)
	}
}

func (r *result) content() int { return r.crowd.content.pieces() }

// write writes the samples, their plot and the figures.
func (r *result) write(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	f, err := os.Create(filepath.Join(dir, "soak.csv"))
	if err != nil {
		return err
	}
	w := csv.NewWriter(f)
	_ = w.Write([]string{"seconds", "node", "resident", "held", "counted", "removed_open", "sockets", "descriptors", "goroutines", "evictions"})
	for _, s := range r.samples {
		_ = w.Write([]string{fmt.Sprintf("%.1f", s.at.Seconds()), strconv.Itoa(s.node + 1), strconv.FormatInt(s.resident, 10),
			strconv.FormatInt(s.held, 10), strconv.FormatInt(s.counted, 10), strconv.Itoa(s.deleted), strconv.Itoa(s.sockets),
			strconv.Itoa(s.other), strconv.Itoa(s.goroutines), strconv.FormatFloat(s.evictions, 'f', 0, 64)})
	}
	w.Flush()
	if err := errors.Join(w.Error(), f.Close()); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "soak.svg"), r.plot(), 0o644); err != nil {
		return err
	}
	early, late := r.growth()
	return rows.Write(filepath.Join(dir, "soak.json"), []rows.Row{
		rows.New("soak/memory", late/mib, early/mib, "MiB of all nodes at the end, by that at two fifths"),
		rows.New("soak/held", float64(r.most(func(s sample) int64 { return s.held }))/mib, float64(r.limit())/mib, "MiB of the fullest drive, by its limit"),
		rows.New("soak/failed", float64(r.crowd.failed.Load()), 0, "requests"),
		rows.New("soak/cut", float64(r.crowd.cut.Load()), 0, "answers"),
		rows.New("soak/wrong", float64(r.crowd.wrong.Load()), 0, "pieces"),
		rows.New("soak/read", float64(r.crowd.bytes.Load())/(1<<30), float64(r.contentMiB)/1024, "GiB read, by GiB of content"),
	})
}
