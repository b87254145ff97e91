package lite_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mccd/mccd/test/clients/agent"
	"github.com/mccd/mccd/test/clients/lite"
	"github.com/mccd/mccd/test/faultorigin"
)

const (
	path = "/d/x"
	host = "cdn.test"
	size = 300_000
)

// site is a cache and a CDN, both scripted.
type site struct {
	cache, cdn *faultorigin.Server
	client     *lite.Client
	object     *agent.Object
	now        time.Time
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{cache: faultorigin.New(faultorigin.Config{}), cdn: faultorigin.New(faultorigin.Config{}), now: time.Unix(1e9, 0)}
	t.Cleanup(s.cache.Close)
	t.Cleanup(s.cdn.Close)
	o := faultorigin.Object{Path: path, Size: size}
	s.cache.Add(o)
	s.cdn.Add(o)
	content := make([]byte, size)
	faultorigin.Fill(content, path, "1", 0)
	v, err := agent.Digest("1", strings.NewReader(string(content)), size)
	if err != nil {
		t.Fatal(err)
	}
	s.object = &agent.Object{Host: host, Path: path, Size: size, Versions: []agent.Version{v}}
	times := agent.Contract()
	times.Step, times.FallBack = time.Millisecond, time.Millisecond
	s.client = &lite.Client{
		Name: agent.NewName("cache.test", 0, s.cache.Addr()), CDN: s.cdn.Addr(), Times: times,
		Bans: agent.NewBans(func() time.Time { return s.now }),
	}
	return s
}

func (s *site) download(t *testing.T, pauses ...int64) *agent.Report {
	t.Helper()
	return s.client.Download(t.Context(), lite.Job{Object: s.object, Pauses: pauses})
}

// Range lines accumulate, oldest first; a good cache gives the right file.
func TestResumes(t *testing.T) {
	s := newSite(t)
	r := s.download(t, 1000, 5000, 200_000)
	if faults := r.Faults(nil); len(faults) > 0 || r.Version != "1" || r.Resumes != 3 || r.Cache != size || r.CDN != 0 {
		t.Errorf("%v; %+v", faults, r)
	}
	entries := s.cache.Ledger().Entries()
	if len(entries) != 4 {
		t.Fatalf("%d requests", len(entries))
	}
	for i, e := range entries {
		if got := len(e.Header["Range"]); got != i {
			t.Errorf("request %d has %d Range lines", i, got)
		}
		if e.Header.Get("User-Agent") != "Microsoft-Delivery-Optimization-Lite/10.0.0.1" || e.Host != "cache.test" ||
			e.Query != "cacheHostOrigin="+host || len(e.Header["Accept-Encoding"]) > 0 {
			t.Errorf("request %d: %+v", i, e)
		}
	}
	if got, want := entries[3].Header["Range"][2], fmt.Sprintf("bytes=200000-%d", size-1); got != want {
		t.Errorf("%s, not %s", got, want)
	}
	if conns := slices.CompactFunc(entries, func(a, b faultorigin.Entry) bool { return a.Remote == b.Remote }); len(conns) < 4 {
		t.Error("a pause keeps the connection, with bytes on their way")
	}
}

// What failure costs (docs/clients.md section 5).
func TestFallBacks(t *testing.T) {
	for name, tt := range map[string]struct {
		b      faultorigin.Behaviour
		cause  string
		banned bool
	}{
		"404":       {faultorigin.Behaviour{Status: 404}, "status 404", true},
		"429":       {faultorigin.Behaviour{Status: 429}, "status 429", true},
		"503":       {faultorigin.Behaviour{Status: 503}, "status 503", false},
		"no answer": {faultorigin.Behaviour{Drop: true}, "closed without an answer", false},
		"cut":       {faultorigin.Behaviour{Break: faultorigin.Short, After: 70_000}, "closed in mid-body", false},
		"reset":     {faultorigin.Behaviour{Break: faultorigin.Reset, After: 70_000}, "closed in mid-body", false},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			s.cache.Script(path, tt.b)
			r := s.download(t)
			if r.Version != "1" || len(r.FallBacks) != 1 || r.FallBacks[0].Why.Kind() != tt.cause || (len(r.Bans) == 1) != tt.banned || r.CDN == 0 {
				t.Errorf("%v; %+v", r.Faults(nil), r)
			}
			if again := s.download(t); tt.banned != (again.Cache == 0 && again.FallBacks[0].Why.Cause == agent.CauseBanned) {
				t.Errorf("afterwards: %+v", again)
			}
			s.cache.Script(path)
			if s.now = s.now.Add(agent.BanTime); len(s.download(t).FallBacks) > 0 {
				t.Error("15 minutes later the cache is not used")
			}
		})
	}
}

func TestRefusedAndUnresolved(t *testing.T) {
	s := newSite(t)
	const dead = "127.0.0.1:1" // of no service, and given to nobody as a free one
	s.client.Name = agent.NewName("half", 0, dead, s.cache.Addr())
	if r := s.download(t); len(r.Faults(nil)) > 0 || r.CDN > 0 {
		t.Errorf("the second address was not asked: %v", r.Faults(nil))
	}
	for name, addrs := range map[string][]string{"none": nil, "all refuse": {dead}} {
		s.client.Name = agent.NewName(name, 0, addrs...)
		r := s.download(t)
		if len(r.Bans) != 1 || r.Bans[0].Host != "" || r.CDN != size || r.Version != "1" {
			t.Errorf("%s: %+v", name, r)
		}
		if !s.client.Bans.Banned(name, "any.other") {
			t.Errorf("%s: not banned for all", name)
		}
	}
}

func TestStall(t *testing.T) {
	s := newSite(t)
	s.client.Times.Pace.For = 500 * time.Millisecond
	s.cache.Script(path, faultorigin.Behaviour{Break: faultorigin.Stall, After: 100})
	if r := s.download(t); len(r.Bans) != 1 || r.Bans[0].Host != "" || r.Version != "1" {
		t.Errorf("%v; %+v", r.Faults(nil), r)
	}
}

// What the agent takes for right although it is not, and what it does not
// survive (docs/clients.md section 4).
func TestWhatItDoesNotSee(t *testing.T) {
	answer := func(text string) string { return "HTTP/1.1 " + text }
	whole := fmt.Sprintf("200 OK\r\nContent-Length: %d\r\n\r\n", size)
	for name, tt := range map[string]struct {
		answers []string // of the first, the second request; the last again
		wrong   string
		crashed bool
	}{
		"204":                         {[]string{answer("204 No Content\r\n\r\n")}, "a file of 0 bytes", false},
		"202":                         {[]string{answer("202 Accepted\r\nContent-Length: 2\r\n\r\nhi")}, "a file of 0 bytes", false},
		"short 206 to a plain GET":    {[]string{answer(fmt.Sprintf("206 Partial Content\r\nContent-Range: bytes 0-1/%d\r\nContent-Length: 2\r\n\r\nhi", size))}, "a file of 2 bytes", false},
		"200 to a Range":              {[]string{answer(whole) + body(0, size)}, fmt.Sprintf("a file of %d bytes", size+1000), false},
		"lower-case length":           {[]string{answer(strings.ToLower(whole)) + body(0, size)}, "a pause after 1000 of -1", true},
		"lower-case range":            {[]string{answer(whole) + body(0, size), answer(fmt.Sprintf("206 Partial Content\r\ncontent-range: bytes 1000-2999/%d\r\nContent-Length: 2000\r\n\r\n", size)) + body(1000, 1500)}, "a break after 1500 of -1", true},
		"no length, and it breaks":    {[]string{answer("200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1f4\r\n") + body(0, 500) + "\r\n1f4\r\nx"}, "a break after 501 of -1", true},
		"the right Range, as it asks": {[]string{answer(whole) + body(0, size), answer(fmt.Sprintf("206 Partial Content\r\nContent-Range: bytes 1000-%d/%d\r\nContent-Length: %d\r\n\r\n", size-1, size, size-1000)) + body(1000, size)}, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			s.client.Name = agent.NewName("raw", 0, raw(t, tt.answers))
			r := s.download(t, 1000)
			if r.Crashed != tt.crashed || !strings.Contains(r.Wrong, tt.wrong) || (tt.wrong == "") != (r.Wrong == "" && r.Version == "1") {
				t.Errorf("%v; %+v", r.Faults(nil), r)
			}
		})
	}
}

func body(off, end int64) string {
	p := make([]byte, end-off)
	faultorigin.Fill(p, path, "1", off)
	return string(p)
}

// raw answers requests with texts, in order, the last one again, each by a
// connection of its own.
func raw(t *testing.T, texts []string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for i := 0; ; i++ {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			buf := make([]byte, 4096)
			_, _ = conn.Read(buf)
			_, _ = io.WriteString(conn, texts[min(i, len(texts)-1)])
			_ = conn.(*net.TCPConn).CloseWrite()
			go func() { _, _ = io.Copy(io.Discard, conn); _ = conn.Close() }()
		}
	}()
	return l.Addr().String()
}

// Both give 5xx: it alternates and backs off.
func TestAlternation(t *testing.T) {
	s := newSite(t)
	s.cache.Script(path, faultorigin.Behaviour{Requests: []int{1, 2, 3}, Status: http.StatusServiceUnavailable})
	s.cdn.Script(path, faultorigin.Behaviour{Status: http.StatusServiceUnavailable})
	r := s.download(t)
	if r.Version != "1" || r.Cache != size || len(s.cdn.Ledger().Entries()) < 2 || len(r.Bans) > 0 {
		t.Errorf("%v; %+v, CDN asked %d times", r.Faults(nil), r, len(s.cdn.Ledger().Entries()))
	}
	s.cdn.Script(path, faultorigin.Behaviour{Status: http.StatusForbidden})
	s.cache.Script(path, faultorigin.Behaviour{Status: http.StatusServiceUnavailable})
	if r := s.download(t); r.Err == nil {
		t.Errorf("a 403 of the CDN: %+v", r)
	}
}

// Redirects are followed, 10 at most, the Range repeated.
func TestRedirects(t *testing.T) {
	s := newSite(t)
	s.cache.Script(path, faultorigin.Behaviour{Location: "http://" + s.cdn.Addr() + path})
	r := s.download(t, 1000)
	if r.Version != "1" || len(r.FallBacks) > 0 {
		t.Errorf("%v", r.Faults(nil))
	}
	if e := s.cdn.Ledger().Entries(); len(e) != 2 || len(e[1].Header["Range"]) != 1 {
		t.Errorf("asked there: %+v", e)
	}
	s.cache.Script(path, faultorigin.Behaviour{Location: "http://" + s.cache.Addr() + path})
	if r := s.download(t); len(r.FallBacks) != 1 {
		t.Errorf("a loop: %+v", r)
	}
}
