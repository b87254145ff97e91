package windows

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/mccd/mccd/test/clients/agent"
)

// stream is one of the two: a connection to each source, one request at a time.
type stream struct {
	d     *download
	n     int
	links []*agent.Link // by source
	buf   []byte
	asked int
}

func newStream(d *download, n int) *stream {
	s := &stream{d: d, n: n, buf: make([]byte, 64<<10)}
	for _, name := range d.c.Names {
		s.links = append(s.links, &agent.Link{Lookup: name.Lookup, Times: d.c.Times})
	}
	s.links = append(s.links, &agent.Link{Lookup: func() []string { return []string{d.c.CDN} }, Times: d.c.Times})
	return s
}

func (s *stream) close() {
	for _, l := range s.links {
		l.Close()
	}
}

func (s *stream) run(ctx context.Context) {
	if !s.get(ctx, 0, min(2, s.d.o.Size), false) {
		return
	}
	for {
		off, end, ok := s.d.take()
		if !ok || !s.get(ctx, off, end, true) {
			return
		}
	}
}

// get gets the bytes from off to end from the present source, and from the
// CDN after that. piece tells that they are one, and no probe.
func (s *stream) get(ctx context.Context, off, end int64, piece bool) bool {
	tries := s.d.c.Tries
	if tries == 0 {
		tries = 12
	}
	var last *agent.Failure
	atCDN := 0
	for range tries {
		source := s.d.where()
		f := s.request(ctx, source, off, end, piece)
		if f == nil {
			return true
		}
		if ctx.Err() != nil {
			return false
		}
		f.Off, last = off, f
		s.d.failed(source, f)
		if s.d.cdn(source) {
			agent.Sleep(ctx, s.d.c.Times.BackOff(atCDN))
			atCDN++
		}
	}
	s.d.giveUp(last)
	return false
}

// request asks source once.
func (s *stream) request(ctx context.Context, source int, off, end int64, piece bool) *agent.Failure {
	o, link := s.d.o, s.links[source]
	s.d.count(off > 0)
	s.asked++
	path, host := o.Path, o.Host
	if !s.d.cdn(source) {
		path, host = agent.CachePath(o.Path, o.Host), s.d.c.Names[source].String()
	}
	text := fmt.Sprintf("GET %s HTTP/1.1\r\nHost: %s\r\nConnection: Keep-Alive\r\nAccept: */*\r\nRange: bytes=%d-%d\r\nUser-Agent: %s\r\nMS-CV: mccd.%d.%d\r\n\r\n",
		path, host, off, end-1, userAgent, s.n, s.asked)
	a, f := link.Ask(ctx, text)
	if f != nil {
		return f
	}
	if f := s.inspect(a, off, end); f != nil {
		link.Close()
		return f
	}
	sum := sha256.New()
	if f := s.body(a, sum, s.d.cdn(source), piece); f != nil {
		link.Close()
		return f
	}
	a.End()
	if piece && !s.d.piece(off/agent.PieceSize, [sha256.Size]byte(sum.Sum(nil))) {
		return &agent.Failure{Cause: agent.CauseHash, Addr: a.Addr, Status: a.Head.Status}
	}
	return nil
}

// inspect refuses an answer that is not just what was asked for.
func (s *stream) inspect(a *agent.Answer, off, end int64) *agent.Failure {
	f := &agent.Failure{Cause: agent.CauseAnswer, Status: a.Head.Status, Addr: a.Addr}
	if a.Head.Status >= 400 {
		f.Cause = agent.CauseStatus
		return f
	}
	want := fmt.Sprintf("bytes %d-%d/%d", off, end-1, s.d.o.Size)
	got, _ := a.Head.Fold("Content-Range")
	length, told := a.Head.Fold("Content-Length")
	switch {
	case a.Head.Status != http.StatusPartialContent:
		f.Err = fmt.Errorf("status %d to a range", a.Head.Status)
	case got != want:
		f.Err = fmt.Errorf("content-range %q, not %q", got, want)
	case told && length != strconv.FormatInt(end-off, 10):
		f.Err = fmt.Errorf("length %s of %d bytes", length, end-off)
	default:
		return nil
	}
	return f
}

func (s *stream) body(a *agent.Answer, sum hash.Hash, cdn, piece bool) *agent.Failure {
	for {
		n, err := a.Read(s.buf)
		if n > 0 {
			_, _ = sum.Write(s.buf[:n])
			if piece {
				s.d.got(a.Addr, int64(n), cdn)
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return a.Broke(err)
		}
	}
}

// count counts a request.
func (d *download) count(resume bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.report.Requests++
	if resume {
		d.report.Resumes++
	}
}

// got counts bytes of the object.
func (d *download) got(addr string, n int64, cdn bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.report.First == 0 {
		d.report.First = time.Since(d.began)
	}
	d.report.Got(addr, n, cdn)
}
