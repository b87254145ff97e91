package gateway

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/mccd/mccd/storage"
)

// versionTries bounds how often a request begins anew because the version that
// it was about to send is gone.
const versionTries = 3

// exchange is one request and its response. It is used by one goroutine.
type exchange struct {
	g    *Gateway
	w    http.ResponseWriter
	r    *http.Request
	conn *conn
	ref  storage.Ref
	rule *storage.Rule
	want wanted
	wait patience
	delivery
}

func (g *Gateway) serveHTTP(w http.ResponseWriter, r *http.Request) {
	g.flying.enter()
	defer g.flying.leave()
	x := &exchange{g: g, w: w, r: r}
	x.start = g.cfg.Now()
	if x.conn, _ = r.Context().Value(connKey{}).(*conn); x.conn != nil && r.TLS == nil {
		r.TLS = x.conn.tls // net/http knows none of what it was handed
	}
	x.client = g.clientOf(r, x.conn)
	defer func() { g.finish(&x.delivery, r, x.ref.Host, x.ref.Path) }()
	no := x.admit()
	if r.ContentLength != 0 {
		// No body means anything here, and what one reader takes for a body and
		// another for a request is read by nobody; who sends it slowly is cut.
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(g.cfg.ReadHeader))
		w.Header()["Connection"] = g.values.close
		if no == nil {
			no = refuse(http.StatusBadRequest, "A request to this cache has no body.")
		}
	}
	if no != nil {
		if no.nameless && x.summarized() {
			return
		}
		x.refuse(no, statusRefused)
		return
	}
	x.serve()
}

// admit names the object and refuses what is not served, before anything is
// looked up.
func (x *exchange) admit() (no *refusal) {
	if x.r.Method == http.MethodConnect {
		return &refusal{status: http.StatusMethodNotAllowed, text: "This is a cache, not a proxy.", allow: "GET, HEAD"}
	}
	if x.ref, x.rule, no = x.g.name(x.r); no != nil {
		return no
	}
	x.delivery.rule = x.rule
	if !x.g.allowed(x.client) {
		x.g.metrics.denied.Inc()
		return refusalOfClient(x.rule)
	}
	caches, looped := cachesPassed(x.r.Header["Cdn-Loop"], x.g.cfg.Cluster())
	if looped {
		return refuse(http.StatusLoopDetected, "This request has passed through this cluster already: two caches name each other as parents. Take one of the two out of the configuration.")
	}
	x.ref.Caches = caches
	// A child cluster tells clusters apart by what no two of them share; its
	// nodes may be called as ours are.
	if caches == "" && x.g.looped(x.r.Header["Via"]) {
		return refuse(http.StatusLoopDetected, "This request has passed through this node already: the origin's name leads back to the cache. Check how it resolves at the nodes.")
	}
	if x.r.Method != http.MethodGet && x.r.Method != http.MethodHead {
		return &refusal{status: http.StatusMethodNotAllowed, text: "Only GET and HEAD are served.", allow: "GET, HEAD"}
	}
	x.want = readRange(x.r)
	// What no object could meet asks for none.
	switch do := x.rule.Profile == storage.ProfileDO; {
	case do && x.want.kind != rangeNone && x.want.kind != rangeOne:
		return refusalOfDecision(http.StatusServiceUnavailable)
	case x.want.kind == rangeTooMany && !conditional(x.r.Header):
		return refusalOfDecision(http.StatusRequestedRangeNotSatisfiable)
	default:
		return nil
	}
}

// looped reports whether a Via line names this node (RFC 9110 section 7.6.3).
func (g *Gateway) looped(via []string) bool {
	for _, line := range via {
		for entry := range strings.SplitSeq(line, ",") {
			fields := strings.Fields(entry)
			if len(fields) < 2 {
				continue
			}
			by := strings.ToLower(fields[1])
			for _, name := range g.loopNames {
				if by == name {
					return true
				}
			}
		}
	}
	return false
}

func (x *exchange) serve() {
	x.wait.parent, x.wait.limit = x.r.Context(), x.g.cfg.FirstByte
	defer x.wait.end()
	if e := x.g.egress; e != nil && x.r.Method != http.MethodHead {
		if !e.enter() {
			x.fail(storage.ErrBusy)
			return
		}
		defer e.exit()
	}
	if x.rule.Profile == storage.ProfileHTTP && len(x.r.Header["Authorization"]) > 0 {
		x.pass(statusBypass) // RFC 9111 section 3.5
		return
	}
	if x.rule.Profile == storage.ProfileHTTP && x.g.unstored.has(x.ref.ID(), x.start) {
		x.pass(statusUnstored)
		return
	}
	content, d, run, err := x.open()
	switch {
	case err == nil:
	case errors.Is(err, storage.ErrUncacheable) || errors.Is(err, storage.ErrLength) && x.rule.Profile == storage.ProfileHTTP:
		if x.rule.Profile == storage.ProfileHTTP {
			x.g.unstored.add(x.ref.ID(), x.start)
		}
		x.pass(statusUnstored)
		return
	default:
		x.fail(err)
		return
	}
	defer content.Close()
	switch d.status {
	case http.StatusOK, http.StatusPartialContent, http.StatusNotModified:
		x.deliver(content, d, run)
	default:
		no := refusalOfDecision(d.status)
		if d.status == http.StatusRequestedRangeNotSatisfiable {
			x.w.Header()["Content-Range"] = []string{"bytes */" + strconv.FormatInt(content.Object().Size(), 10)}
		}
		x.refuse(no, statusHit)
	}
}

// open finds the object, decides, and waits for the first run, so that an
// upstream without an answer is a status and not a cut body. The content is
// nil on an error and the caller's to close otherwise.
func (x *exchange) open() (Content, decision, storage.Run, error) {
	req := x.want.request(x.ref, x.rule, x.r.Method == http.MethodHead)
	req.Client = x.client
	req.Resumes = x.rule.Profile == storage.ProfileDO && lite(x.r)
	req.NotBefore = notBefore(x.r.Header["Cache-Control"], x.rule, x.start)
	var err error
	for range versionTries {
		var content Content
		if content, err = x.g.cfg.Source.Open(&x.wait, req); err != nil {
			if errors.Is(err, storage.ErrRange) && x.rule.Profile == storage.ProfileHTTP && !req.HeadOnly {
				req.HeadOnly = true // a 416 tells the size
				continue
			}
			if errors.Is(err, storage.ErrVersionGone) && req.Total == 0 {
				continue
			}
			break
		}
		obj := content.Object()
		if obj.Size() < 0 {
			content.Close()
			err = storage.ErrLength
			break
		}
		d := decide(x.r, x.rule.Profile, obj, x.want)
		if d.widened && !req.Whole && !req.HeadOnly && obj.Size() > 0 {
			// If-Range named another version: all of this one is wanted.
			content.Close()
			x.want = readRange(&http.Request{Method: http.MethodGet})
			req = x.want.request(x.ref, x.rule, false)
			continue
		}
		if d.span.Empty() || x.r.Method == http.MethodHead {
			return content, d, storage.Run{}, nil
		}
		if req.HeadOnly {
			// The size was needed to know which of several ranges have bytes.
			content.Close()
			req.HeadOnly, req.First, req.Whole = false, d.span, false
			continue
		}
		var run storage.Run
		if run, err = x.next(content, d.span); err == nil {
			return content, d, run, nil
		}
		content.Close()
		if !errors.Is(err, storage.ErrVersionGone) || req.Total > 0 {
			break // who resumes wants the version that it began with, and no other
		}
	}
	return nil, decision{}, storage.Run{}, x.wait.explain(err)
}

// fail answers an error that came before the head.
func (x *exchange) fail(err error) {
	x.err = err
	if x.r.Context().Err() != nil {
		x.cut = cutClient
		panic(http.ErrAbortHandler)
	}
	if x.rule.Profile == storage.ProfileDO && x.want.kind == rangeOne && errors.Is(err, storage.ErrVersionGone) {
		// A resume of what is held nowhere any more: no answer may be taken for
		// its rest (docs/clients.md section 8).
		x.cut = cutVersion
		panic(http.ErrAbortHandler)
	}
	no := refusalOf(err, x.rule, x.ref.Path)
	switch {
	case no.own: // nobody else tells of it
		x.g.cfg.Logger.Warn("request failed", "url", x.ref.String(), "error", err)
	case no.status == http.StatusServiceUnavailable:
		x.g.cfg.Logger.Debug("request refused", "url", x.ref.String(), "error", err)
	}
	x.refuse(no, statusFailed)
}

func (x *exchange) refuse(no *refusal, cacheStatus string) {
	x.status = no.status
	x.g.respond(x.w, no, x.g.self+cacheStatus)
}
