package faultorigin

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/mccd/mccd/storage"
)

// ServeHTTP answers by the script of the request's path and notes it in the
// ledger.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path, query, _ := strings.Cut(r.RequestURI, "?")
	e := &Entry{
		Began: time.Now(), Remote: r.RemoteAddr, Method: r.Method, Host: r.Host,
		Target: r.RequestURI, Path: path, Query: query, Header: r.Header.Clone(),
	}
	s.ledger.begin(e)
	s.observe(Began, e)
	ctx, cancel := context.WithCancelCause(r.Context())
	unhook := context.AfterFunc(s.ctx, func() { cancel(errClosed) })
	defer func() {
		unhook()
		cancel(nil)
		s.ledger.update(func() { e.Done = true })
		s.observe(Finished, e)
	}()
	a := &answer{s: s, w: w, r: r, ctx: ctx, entry: e, b: s.behaviour(path, e.PathN)}
	a.serve()
}

func (s *Server) observe(kind EventKind, e *Entry) {
	if s.cfg.Observe != nil {
		s.cfg.Observe(Event{Kind: kind, N: e.N, Path: e.Path})
	}
}

// answer is one request being answered.
type answer struct {
	s     *Server
	w     http.ResponseWriter
	r     *http.Request
	ctx   context.Context
	entry *Entry
	b     Behaviour
	ent   *entity
}

func (a *answer) serve() {
	if pause(a.ctx, a.b.Delay) != nil || a.hold(a.b.Gate) != nil {
		panic(http.ErrAbortHandler)
	}
	switch {
	case a.b.Drop:
		panic(http.ErrAbortHandler)
	case a.b.Token != "" && !strings.Contains(a.entry.Query, a.b.Token):
		a.text(http.StatusForbidden)
		return
	case a.b.Location != "":
		a.w.Header().Set("Location", a.b.Location)
		a.text(max(a.b.Status, http.StatusFound))
		return
	case a.b.Status != 0:
		a.text(a.b.Status)
		return
	}
	if a.ent = a.s.entity(a.entry.Path, a.b.Version); a.ent == nil {
		a.text(http.StatusNotFound)
		return
	}
	defer a.ent.close()
	if a.b.Gzip {
		a.compress()
	}
	a.object()
}

func (a *answer) hold(g *Gate) error {
	if g == nil {
		return nil
	}
	select {
	case <-g.open:
		return nil
	case <-a.ctx.Done():
		return context.Cause(a.ctx)
	}
}

// text answers a status with a short text, or none where it may have none.
func (a *answer) text(status int) {
	h := a.w.Header()
	set(h, a.b.Header)
	body := ""
	if status >= 200 && status != http.StatusNoContent && status != http.StatusNotModified {
		h.Set("Content-Type", "text/plain")
		body = fmt.Sprintf("%d %s\n", status, http.StatusText(status))
	}
	a.s.ledger.update(func() { a.entry.Status = status })
	a.w.WriteHeader(status)
	if a.r.Method != http.MethodHead {
		_, _ = io.WriteString(a.w, body)
	}
}

// compress puts the object's gzip in its place.
func (a *answer) compress() {
	var buf bytes.Buffer
	z, _ := gzip.NewWriterLevel(&buf, gzip.BestSpeed)
	_, _ = io.Copy(z, io.NewSectionReader(a.ent.content, 0, a.ent.size))
	_ = z.Close()
	a.ent.close()
	a.ent.content, a.ent.size, a.ent.close = bytes.NewReader(buf.Bytes()), int64(buf.Len()), func() {}
	a.ent.etag = strings.TrimSuffix(a.ent.etag, `"`) + `-gzip"`
	a.w.Header().Set("Content-Encoding", "gzip")
	a.b.IgnoreRange = true
}

// object answers 200, 206, 304 or 416.
func (a *answer) object() {
	h := a.w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Accept-Ranges", "bytes")
	if !a.b.NoValidators {
		etag := a.ent.etag
		if a.b.WeakETag {
			etag = "W/" + etag
		}
		h.Set("ETag", etag)
		h.Set("Last-Modified", a.ent.modified.UTC().Format(http.TimeFormat))
	}
	set(h, a.ent.header)
	set(h, a.b.Header) // before the conditions, which look at the validators

	span, status := storage.Span{Off: 0, End: a.ent.size}, http.StatusOK
	if asked, ok, ranged := parseRange(lastRange(a.r.Header), a.ent.size); ranged && !a.b.IgnoreRange && a.ifRange() {
		if status, span = http.StatusPartialContent, asked; !ok {
			status = http.StatusRequestedRangeNotSatisfiable
		}
	}
	if !a.b.IgnoreIf && a.notModified() {
		status = http.StatusNotModified
	}
	a.s.ledger.update(func() { a.entry.Status, a.entry.Asked, a.entry.Version = status, span, a.ent.version })
	switch status {
	case http.StatusNotModified:
		h.Del("Content-Type")
		a.w.WriteHeader(status)
	case http.StatusRequestedRangeNotSatisfiable:
		h.Set("Content-Range", fmt.Sprintf("bytes */%d", a.ent.size))
		a.override(h)
		set(h, a.b.Header)
		h.Set("Content-Length", "0")
		a.w.WriteHeader(status)
	default:
		if status == http.StatusPartialContent {
			h.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", span.Off, span.End-1, a.ent.size))
			a.override(h)
			set(h, a.b.Header)
		}
		switch {
		case a.b.UntilClose:
			h.Set("Transfer-Encoding", "identity")
		case !a.b.Chunked:
			h.Set("Content-Length", strconv.FormatInt(span.Len()+a.b.LengthDelta, 10))
		}
		a.w.WriteHeader(status)
		if a.r.Method != http.MethodHead {
			a.body(span)
		}
	}
}

// override sets the lies about the range.
func (a *answer) override(h http.Header) {
	switch {
	case a.b.Multipart:
		h.Set("Content-Type", "multipart/byteranges; boundary=faultorigin")
		h.Del("Content-Range")
	case a.b.ContentRange == "-":
		h.Del("Content-Range")
	case a.b.ContentRange != "":
		h.Set("Content-Range", a.b.ContentRange)
	}
}

func set(h, fields http.Header) {
	for k, v := range fields {
		h[k] = v
		if len(v) == 0 {
			h[k] = nil // net/http leaves out a default field that is set to nil
		}
	}
}
