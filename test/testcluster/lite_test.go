package testcluster_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"time"

	"github.com/mccd/mccd/test/faultorigin"
)

// errMixed: a client got bytes of two versions.
var errMixed = errors.New("bytes of two versions")

// lite downloads as Delivery Optimization Lite does.
type lite struct {
	r *rand.Rand
	// number tells it from others, one of its downloads from another downloads.
	number, downloads int
}

func newLite(i int) *lite { return &lite{r: seeded(i), number: i} }

// from returns a client for one download: with an address of its own, or that
// of all who are behind one gateway.
func (l *lite) from(shared bool) *http.Client {
	l.downloads++
	ip := net.IPv4(127, 1, byte(l.number), byte(l.downloads))
	if shared {
		ip = net.IPv4(127, 2, 0, 1)
	}
	from := &net.Dialer{LocalAddr: &net.TCPAddr{IP: ip}}
	return &http.Client{Transport: &http.Transport{
		DialContext: from.DialContext, DisableKeepAlives: true, DisableCompression: true,
	}}
}

// attempt is one download in progress.
type attempt struct {
	*lite
	http    *http.Client
	v       *versions
	version string
	size    int64
	got     int64
	ranges  []string
}

// download gets the object once, through one node after another: some of its
// connections break, and it goes on at another node with one more Range line.
func (l *lite) download(ctx context.Context, v *versions) (e ending) {
	e.shared = l.r.IntN(8) == 0
	a := &attempt{lite: l, v: v, http: l.from(e.shared)}
	breaks := l.r.IntN(3)
	for ; ; breaks-- {
		cut := int64(-1)
		if breaks > 0 && a.size > 0 {
			cut = a.got + 1 + l.r.Int64N(a.size-a.got)
		} else if breaks > 0 {
			cut = 1 + l.r.Int64N(8<<20)
		}
		done, err := a.ask(ctx, cut)
		if a.version != "" {
			_, _ = fmt.Sscan(a.version, &e.version)
		}
		switch {
		case errors.Is(err, errMixed) || ctx.Err() != nil:
			e.err = fmt.Errorf("version %s, %d of %d bytes, ranges %q: %w", a.version, a.got, a.size, a.ranges, errors.Join(err, context.Cause(ctx)))
			return e
		case done:
			return e
		case err == nil: // the client broke off by itself
		case a.got == 0 || e.closed:
			e.closed, e.lost = true, true // it goes on at the CDN
			e.why = fmt.Sprintf("%s; at %d of %d bytes: %v", e.why, a.got, a.size, err)
			return e
		default:
			e.closed = true
			e.why = fmt.Sprintf("at %d of %d bytes: %v", a.got, a.size, err)
		}
		a.ranges = append(a.ranges, fmt.Sprintf("bytes=%d-%d", a.got, a.size-1))
		e.resumes++
	}
}

// ask sends one request and reads up to cut, negative = to the end. done tells
// that the object is whole; no error without it that the client broke off.
func (a *attempt) ask(ctx context.Context, cut int64) (done bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	node := a.v.c.Nodes[a.r.IntN(len(a.v.c.Nodes))]
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, node.URL(changingPath), nil)
	if err != nil {
		return false, err
	}
	req.Host = updates
	req.Header.Set("User-Agent", "Microsoft-Delivery-Optimization-Lite/10.0.0.1")
	if len(a.ranges) > 0 {
		req.Header["Range"] = a.ranges
	}
	resp, err := a.http.Do(req)
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	switch {
	case len(a.ranges) == 0 && resp.StatusCode == http.StatusOK:
		a.size = resp.ContentLength
		if a.version = versionOf(resp.Header.Get("ETag")); a.version == "" {
			return false, fmt.Errorf("%w: ETag %q", errMixed, resp.Header.Get("ETag"))
		}
	case len(a.ranges) > 0 && resp.StatusCode == http.StatusPartialContent:
		if want := fmt.Sprintf("bytes %d-%d/%d", a.got, a.size-1, a.size); resp.Header.Get("Content-Range") != want {
			return false, fmt.Errorf("%w: Content-Range %q, want %q", errMixed, resp.Header.Get("Content-Range"), want)
		}
	case resp.StatusCode == http.StatusServiceUnavailable:
		return false, errors.New(resp.Status)
	default:
		return false, fmt.Errorf("%w: status %s to %q", errMixed, resp.Status, a.ranges)
	}
	err = a.read(ctx, resp.Body, cut)
	return err == nil && a.got == a.size, err
}

func (a *attempt) read(ctx context.Context, body io.Reader, cut int64) error {
	buf := make([]byte, 256<<10)
	for a.got < a.size && (cut < 0 || a.got < cut) {
		n, err := io.ReadFull(body, buf[:min(int64(len(buf)), a.size-a.got)])
		if at := faultorigin.Check(buf[:n], changingPath, a.version, a.got); at >= 0 {
			return fmt.Errorf("%w: at %d", errMixed, at)
		}
		if a.got += int64(n); err != nil {
			return err
		}
		if err := pause(ctx, time.Duration(n)*time.Second/changingRate); err != nil {
			return err
		}
	}
	return nil
}

// versionOf returns the version with that ETag, "" for none.
func versionOf(etag string) string {
	for v := 1; v <= *changes+1; v++ {
		if faultorigin.ETag(changingPath, fmt.Sprint(v)) == etag {
			return fmt.Sprint(v)
		}
	}
	return ""
}
