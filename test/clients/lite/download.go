package lite

import (
	"context"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/mccd/mccd/test/clients/agent"
)

// maxHops bounds the redirects of one request.
const maxHops = 10

// download is one file on its way.
type download struct {
	c      *Client
	job    Job
	report *agent.Report
	began  time.Time
	cache  *agent.Link
	cdn    *agent.Link

	// file is what was appended, received its length; total is the length that
	// the last answer told, -1 = none did.
	file            hash.Hash
	received, total int64
	// ranges are the Range lines so far: the next resume adds one.
	ranges []string
	pauses int

	// onCDN says where the present request goes, tries how many in a row have
	// gone there, begunAt how much was there before it.
	onCDN, cdnTried bool
	tries, back     int
	begunAt         int64
}

// text is the request as the agent writes it. A request for the whole file
// forgets the Range lines of those before.
func (d *download) text(host, path string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: %s\r\nAccept: */*\r\n", path, host, userAgent)
	for _, r := range d.ranges {
		fmt.Fprintf(&b, "Range: %s\r\n", r)
	}
	b.WriteString("\r\n")
	return b.String()
}

// request sends one request and takes its answer.
func (d *download) request(ctx context.Context) (outcome, *agent.Failure) {
	if d.received == 0 {
		d.ranges = nil
	} else {
		d.ranges = append(d.ranges, fmt.Sprintf("bytes=%d-%d", d.received, d.total-1))
		d.report.Resumes++
	}
	o := d.job.Object
	link, host, path := d.cache, d.c.Name.String(), agent.CachePath(o.Path, o.Host)
	if d.onCDN {
		link, host, path = d.cdn, o.Host, o.Path
	}
	for range maxHops + 1 {
		d.report.Requests++
		a, f := link.Ask(ctx, d.text(host, path))
		if f != nil {
			f.Off = d.received
			return failed, f
		}
		next, hop := redirect(a, host)
		if !hop {
			end, f := d.take(a)
			if end == done || end == failed && f.Cause == agent.CauseStatus {
				_, _ = io.CopyN(io.Discard, a, 4<<10) // an error's text
				a.End()
			} else {
				link.Close() // in mid-transfer
			}
			return end, f
		}
		link.Close()
		link = &agent.Link{Lookup: func() []string { return []string{next.Host} }, Times: d.c.Times}
		defer link.Close()
		host, path = next.Host, next.RequestURI()
	}
	return failed, &agent.Failure{Cause: agent.CauseAnswer, Off: d.received, Err: errors.New("too many redirects")}
}

// redirect returns where an answer sends its client.
func redirect(a *agent.Answer, host string) (*url.URL, bool) {
	switch a.Head.Status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
	default:
		return nil, false
	}
	location, _ := a.Head.Fold("Location")
	next, err := (&url.URL{Scheme: "http", Host: host, Path: "/"}).Parse(location)
	if err != nil || location == "" {
		return nil, false
	}
	if next.Port() == "" {
		next.Host += ":80"
	}
	return next, true
}

// take reads one answer as the agent does.
func (d *download) take(a *agent.Answer) (outcome, *agent.Failure) {
	switch a.Head.Status {
	case http.StatusOK:
		text, _ := a.Head.Exact("Content-Length")
		d.learn(text)
	case http.StatusPartialContent:
		text, _ := a.Head.Exact("Content-Range")
		_, total, _ := strings.Cut(text, "/")
		d.learn(total)
	case http.StatusCreated, http.StatusAccepted, http.StatusNonAuthoritativeInfo, http.StatusNoContent:
		return done, nil // a success, with what is there
	default:
		return failed, &agent.Failure{Cause: agent.CauseStatus, Status: a.Head.Status, Addr: a.Addr, Off: d.received}
	}
	buf := make([]byte, 32<<10)
	for {
		p := buf
		if pause := d.nextPause(); pause > 0 {
			p = buf[:min(int64(len(buf)), pause)]
		}
		n, err := a.Read(p)
		if n > 0 {
			d.append(a.Addr, p[:n])
		}
		switch {
		case errors.Is(err, io.EOF):
			return done, nil // whatever its length
		case err != nil:
			f := a.Broke(err)
			f.Off = d.received
			return failed, f
		case d.pauses < len(d.job.Pauses) && d.received >= d.job.Pauses[d.pauses]:
			return d.pause(), nil
		}
	}
}

// learn takes the length that an answer tells; without one, the total is not
// known.
func (d *download) learn(text string) {
	if n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64); err == nil {
		d.total = n
		return
	}
	d.total = -1
}

func (d *download) append(addr string, p []byte) {
	if d.report.First == 0 {
		d.report.First = time.Since(d.began)
	}
	d.back = 0
	_, _ = d.file.Write(p)
	d.received += int64(len(p))
	d.report.Got(addr, int64(len(p)), d.onCDN)
}

// nextPause returns how many bytes are left until the next pause, 0 = there is
// none.
func (d *download) nextPause() int64 {
	if d.pauses >= len(d.job.Pauses) {
		return 0
	}
	return max(1, d.job.Pauses[d.pauses]-d.received)
}

// pause ends the transfer for its user, who wants it to go on at once.
func (d *download) pause() outcome {
	if d.job.Paused != nil {
		d.job.Paused(d.pauses)
	}
	d.pauses++
	if d.total <= d.received {
		d.crash("a pause after %d of %d bytes", d.received, d.total)
		return crashed
	}
	return paused
}
