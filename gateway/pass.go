package gateway

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/mccd/mccd/storage"
)

// pass sends the request on to its origin and the answer back, storing
// nothing. In ProfileDO only an answer that fits the contract goes on: 200, or
// 206 to a Range, with a length.
func (x *exchange) pass(how string) {
	if x.g.cfg.Pass == nil {
		x.fail(storage.ErrUncacheable)
		return
	}
	resp, err := x.g.cfg.Pass.Pass(&x.wait, x.r.Method, x.ref, x.rule, x.passedHeader(), nil)
	if err != nil {
		x.fail(x.wait.explain(err))
		return
	}
	defer func() { _ = resp.Body.Close() }()
	if err := x.passable(resp); err != nil {
		x.fail(err)
		return
	}
	if how == statusUnstored && storable(resp) {
		x.g.unstored.drop(x.ref.ID()) // the next who asks finds out
	}
	x.status, x.passed = resp.StatusCode, true
	h := x.w.Header()
	drop := connectionNames(resp.Header)
	for name, values := range resp.Header {
		if name = wireName(name); name == "Date" || name == "Content-Range" || name == "Age" || !hopByHop(name) && !drop[name] {
			h[name] = values
		}
	}
	if resp.ContentLength >= 0 && resp.StatusCode != http.StatusNotModified && resp.StatusCode != http.StatusNoContent {
		h["Content-Length"] = []string{strconv.FormatInt(resp.ContentLength, 10)}
	}
	if len(h["Content-Type"]) == 0 {
		h["Content-Type"] = nil // not sniffed, not invented
	}
	x.g.nodeHead(h, []string{x.g.self + how})
	x.w.WriteHeader(resp.StatusCode)
	if x.r.Method == http.MethodHead {
		return
	}
	x.passBody(resp)
}

// passBody sends the answer's body as it comes.
func (x *exchange) passBody(resp *http.Response) {
	buf := x.g.buffers.get()
	defer x.g.buffers.put(buf)
	flush := http.NewResponseController(x.w)
	if resp.ContentLength < 0 {
		_ = flush.Flush() // the head: nobody knows when the first byte comes
	}
	n, err := copyAll(passWriter{x, flush}, passReader{x, resp}, *buf)
	switch {
	case err == nil && (resp.ContentLength < 0 || n == resp.ContentLength):
	case err == nil || errors.Is(err, errSource):
		x.abort(cutUpstream, x.wait.explain(err))
	default:
		x.abort(cutClient, err)
	}
}

// passReader bounds the wait for each part; passWriter sends it at once.
type passReader struct {
	x    *exchange
	resp *http.Response
}

func (p passReader) Read(b []byte) (int, error) {
	p.x.wait.renew()
	n, err := p.resp.Body.Read(b)
	p.x.wait.rest()
	return n, err
}

type passWriter struct {
	x     *exchange
	flush *http.ResponseController
}

func (p passWriter) Write(b []byte) (int, error) {
	if p.x.firstByte == 0 {
		p.x.firstByte = max(1, p.x.g.cfg.Now().Sub(p.x.start))
	}
	if err := p.x.pace(int64(len(b)), nil); err != nil {
		return 0, err
	}
	n, err := windowed{p.x}.Write(b)
	p.x.sent += int64(n)
	p.x.g.metrics.copied.Add(float64(n))
	if err == nil {
		err = p.flush.Flush()
	}
	return n, err
}

// passable reports why an answer may not go on to a client of ProfileDO.
func (x *exchange) passable(resp *http.Response) error {
	if x.rule.Profile == storage.ProfileHTTP {
		return nil
	}
	asked := http.StatusOK
	if x.want.kind == rangeOne {
		asked = http.StatusPartialContent
	}
	switch {
	case resp.StatusCode >= 400:
		return &storage.StatusError{Code: resp.StatusCode}
	case resp.StatusCode != asked:
		return fmt.Errorf("passed request answered %d in place of %d: %w", resp.StatusCode, asked, storage.ErrUpstream)
	case resp.ContentLength < 0 && x.r.Method != http.MethodHead:
		return storage.ErrLength
	}
	return nil
}

// passedHeader returns the client's headers that go on: end-to-end ones in
// ProfileHTTP, in ProfileDO the one Range that counts.
func (x *exchange) passedHeader() http.Header {
	h := http.Header{}
	if x.rule.Profile == storage.ProfileDO {
		if lines := x.r.Header["Range"]; x.want.kind == rangeOne {
			last := lines[len(lines)-1]
			h["Range"] = []string{"bytes=" + strings.TrimSpace(last[strings.LastIndexAny(last, ",=")+1:])}
		}
		return h
	}
	drop := connectionNames(x.r.Header)
	for name, values := range x.r.Header {
		if !hopByHop(name) && !drop[name] {
			h[name] = slices.Clone(values) // the origin's transport may read them after the answer's end
		}
	}
	return h
}

// connectionNames returns the headers that Connection names as belonging to
// one connection (RFC 9110 section 7.6.1).
func connectionNames(h http.Header) map[string]bool {
	names := map[string]bool{}
	for _, line := range h["Connection"] {
		for name := range strings.SplitSeq(line, ",") {
			names[http.CanonicalHeaderKey(strings.TrimSpace(name))] = true
		}
	}
	return names
}
