package windows

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/mccd/mccd/test/clients/agent"
)

// userAgent is what it calls itself.
const userAgent = "Microsoft-Delivery-Optimization/10.1"

// streams are how many it reads by at once.
const streams = 2

// Client is one machine. It may download several objects at once.
type Client struct {
	// Names are DOCacheHost's, in order; CDN is the address at which every
	// origin host is reached directly.
	Names []*agent.Name
	CDN   string
	Bans  *agent.Bans
	// Times are agent.Contract's, or shorter ones.
	Times agent.Times
	// Tries bounds the requests for one piece; 0 = 12.
	Tries int
}

// download is one object on its way. Its streams share it.
type download struct {
	c *Client
	o *agent.Object

	mu     sync.Mutex // guards what follows
	report *agent.Report
	// source counts the caches that were left; len(c.Names) = the CDN.
	source int
	next   int64 // the next piece's first byte
	// versions are those that all pieces so far belong to.
	versions map[string]bool
	began    time.Time
}

// Download downloads one object and reports how that was.
func (c *Client) Download(ctx context.Context, o *agent.Object) *agent.Report {
	d := &download{c: c, o: o, report: agent.NewReport("windows", o), began: time.Now(), versions: make(map[string]bool)}
	for _, v := range o.Versions {
		d.versions[v.Name] = true
	}
	d.skipBanned()
	beside, cancel := context.WithCancel(ctx)
	var hashes, all sync.WaitGroup
	hashes.Go(func() { d.askHashes(beside) })
	for i := range streams {
		all.Go(func() {
			s := newStream(d, i)
			defer s.close()
			s.run(ctx)
		})
	}
	all.Wait()
	cancel()
	hashes.Wait()
	d.finish(ctx)
	d.report.Took = time.Since(d.began)
	return d.report
}

func (d *download) finish(ctx context.Context) {
	if d.report.Err != nil {
		return
	}
	if err := ctx.Err(); err != nil {
		d.report.Err = err
		return
	}
	for _, v := range d.o.Versions {
		if d.versions[v.Name] {
			d.report.Version = v.Name
			return
		}
	}
	d.report.Wrong = "pieces of different versions"
}

// skipBanned leaves the caches that are banned before anything is asked.
func (d *download) skipBanned() {
	for d.source < len(d.c.Names) && d.c.Bans.Banned(d.c.Names[d.source].String(), d.o.Host) {
		d.left(&agent.Failure{Cause: agent.CauseBanned})
	}
}

// left goes on to the next source. mu is held, or nothing runs yet.
func (d *download) left(why *agent.Failure) {
	from := d.c.Names[d.source].String()
	if d.source++; d.source == len(d.c.Names) {
		d.report.FallBacks = append(d.report.FallBacks, agent.FallBack{From: from, Why: why})
	}
}

// where returns the present source.
func (d *download) where() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.source
}

// cdn reports whether a source is the CDN.
func (d *download) cdn(source int) bool { return source == len(d.c.Names) }

// failed notes a failure at source: a cache is left at the first one.
func (d *download) failed(source int, f *agent.Failure) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if f.Cause == agent.CauseHash {
		d.report.Wrong = f.Error()
	}
	if d.cdn(source) {
		d.report.CDNFailures = append(d.report.CDNFailures, f)
		return
	}
	if ban, set := d.c.Bans.Note(d.c.Names[source].String(), d.o.Host, f); set {
		d.report.Bans = append(d.report.Bans, ban)
	}
	if source == d.source {
		d.left(f)
	}
}

// take returns the next piece; false when there is none.
func (d *download) take() (off, end int64, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.next >= d.o.Size || d.report.Err != nil {
		return 0, 0, false
	}
	off = d.next
	d.next = min(off+agent.PieceSize, d.o.Size)
	return off, d.next, true
}

// piece notes the digest of a piece; false where no version has it.
func (d *download) piece(index int64, sum [32]byte) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	known := false
	for _, v := range d.o.Versions {
		if v.Pieces[index] == sum {
			known = true
		}
	}
	if !known {
		return false
	}
	for _, v := range d.o.Versions {
		if v.Pieces[index] != sum {
			delete(d.versions, v.Name)
		}
	}
	return true
}

var errTries = errors.New("no bytes after all tries")

// giveUp ends the download.
func (d *download) giveUp(last *agent.Failure) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.report.Err == nil {
		d.report.Err = fmt.Errorf("%w: %w", errTries, last)
	}
}
