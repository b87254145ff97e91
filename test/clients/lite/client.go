package lite

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/mccd/mccd/test/clients/agent"
)

// userAgent is what it calls itself.
const userAgent = "Microsoft-Delivery-Optimization-Lite/10.0.0.1"

// Client is one machine. It may download several objects at once.
type Client struct {
	// Name is DOCacheHost; CDN the address at which every origin host is
	// reached directly.
	Name *agent.Name
	CDN  string
	Bans *agent.Bans
	// Times are agent.Contract's, or shorter ones.
	Times agent.Times
	// Tries bounds the requests of one download; 0 = 16.
	Tries int
}

// Job is one download.
type Job struct {
	Object *agent.Object
	// Pauses are the numbers of bytes after which its user pauses it and has it
	// go on at once; ascending.
	Pauses []int64
	// Paused is told of each pause, by number from 0; may be nil.
	Paused func(i int)
}

// Download downloads one object and reports how that was.
func (c *Client) Download(ctx context.Context, job Job) *agent.Report {
	d := &download{
		c: c, job: job, report: agent.NewReport("lite", job.Object), file: sha256.New(), total: -1, began: time.Now(),
		cache: &agent.Link{Lookup: c.Name.Lookup, Times: c.Times},
		cdn:   &agent.Link{Lookup: func() []string { return []string{c.CDN} }, Times: c.Times},
	}
	defer d.cache.Close()
	defer d.cdn.Close()
	tries := c.Tries
	if tries == 0 {
		tries = 16
	}
	d.run(ctx, tries)
	d.report.Took = time.Since(d.began)
	return d.report
}

// outcome is how one request ended for the agent.
type outcome uint8

const (
	failed outcome = iota
	paused
	done
	crashed
)

var errTries = errors.New("no file after all tries")

func (d *download) run(ctx context.Context, tries int) {
	var last *agent.Failure
	for range tries + len(d.job.Pauses) {
		if err := ctx.Err(); err != nil {
			d.report.Err = err
			return
		}
		d.choose(last)
		var end outcome
		end, last = d.request(ctx)
		switch end {
		case paused:
			last = nil
		case done:
			d.finish()
			return
		case crashed:
			d.report.Crashed = true
			return
		case failed:
			if !d.failed(ctx, last) {
				return
			}
		}
	}
	d.report.Err = fmt.Errorf("%w: %w", errTries, last)
}

// choose chooses where the next request goes: last is how the one before
// failed, nil for a first one or after a pause.
func (d *download) choose(last *agent.Failure) {
	was, barren := d.onCDN, d.received == d.begunAt
	next := false // the cache
	switch {
	case last == nil:
	case !was:
		next = !d.cdnTried || barren && d.tries >= 2
	default:
		next = !barren || d.tries < 2
	}
	cache, host := d.c.Name.String(), d.job.Object.Host
	if !next && d.c.Bans.Banned(cache, host) {
		next = true
		if last == nil {
			last = &agent.Failure{Cause: agent.CauseBanned, Off: d.received}
		}
	}
	if next && !was && last != nil {
		d.report.FallBacks = append(d.report.FallBacks, agent.FallBack{From: cache, Why: last})
	}
	if d.tries++; next != was || d.report.Requests == 0 {
		d.tries = 1
	}
	d.onCDN, d.begunAt = next, d.received
	d.cdnTried = d.cdnTried || next
}

// failed notes a failure and waits as long as the agent does; false ends the
// download.
func (d *download) failed(ctx context.Context, f *agent.Failure) bool {
	if ctx.Err() != nil {
		d.report.Err = ctx.Err()
		return false
	}
	if !d.onCDN {
		if ban, set := d.c.Bans.Note(d.c.Name.String(), d.job.Object.Host, f); set {
			d.report.Bans = append(d.report.Bans, ban)
		}
	}
	if d.onCDN {
		d.report.CDNFailures = append(d.report.CDNFailures, f)
	}
	if d.received > 0 && d.total <= d.received {
		d.crash("a break after %d of %d bytes", d.received, d.total)
		return false
	}
	fatal := f.Cause == agent.CauseStatus && f.Status >= 400 && f.Status < 500
	wait := time.Duration(0)
	switch {
	case d.onCDN && fatal:
		d.report.Err = f
		return false
	case !d.onCDN && (fatal || !d.cdnTried):
		d.back = 0
		if f.Cause == agent.CauseStatus {
			wait = d.c.Times.FallBack
		}
	default:
		wait = d.c.Times.BackOff(d.back)
		d.back++
	}
	return agent.Sleep(ctx, wait) || ctx.Err() == nil
}

// crash notes that the agent would have ended here.
func (d *download) crash(format string, args ...any) {
	d.report.Crashed, d.report.Wrong = true, fmt.Sprintf(format, args...)
}

// finish looks at what the agent takes for the file.
func (d *download) finish() {
	name, right := d.job.Object.Find([sha256.Size]byte(d.file.Sum(nil)))
	if right {
		d.report.Version = name
		return
	}
	d.report.Wrong = fmt.Sprintf("a file of %d bytes that is no version of the object (%d bytes), taken for right", d.received, d.job.Object.Size)
}
