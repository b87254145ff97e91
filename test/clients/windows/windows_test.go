package windows_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mccd/mccd/test/clients/agent"
	"github.com/mccd/mccd/test/clients/windows"
	"github.com/mccd/mccd/test/faultorigin"
)

const (
	path = "/filestreamingservice/files/x"
	host = "cdn.test"
	size = 3*agent.PieceSize + 1234
)

type site struct {
	cache, cdn *faultorigin.Server
	client     *windows.Client
	object     *agent.Object
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{cache: faultorigin.New(faultorigin.Config{}), cdn: faultorigin.New(faultorigin.Config{})}
	t.Cleanup(s.cache.Close)
	t.Cleanup(s.cdn.Close)
	o := faultorigin.Object{Path: path, Size: size}
	s.cache.Add(o)
	s.cdn.Add(o)
	s.object = &agent.Object{Host: host, Path: path, Size: size}
	for _, version := range []string{"1", "2"} {
		content := make([]byte, size)
		faultorigin.Fill(content, path, version, 0)
		v, err := agent.Digest(version, strings.NewReader(string(content)), size)
		if err != nil {
			t.Fatal(err)
		}
		s.object.Versions = append(s.object.Versions, v)
	}
	times := agent.Contract()
	times.Step, times.Again = time.Millisecond, time.Millisecond
	s.client = &windows.Client{
		Names: []*agent.Name{agent.NewName("cache.test", 0, s.cache.Addr())}, CDN: s.cdn.Addr(), Times: times, Bans: agent.NewBans(nil),
	}
	return s
}

// Two streams that probe, then ask for aligned pieces to the exact last byte.
func TestRequests(t *testing.T) {
	s := newSite(t)
	r := s.client.Download(t.Context(), s.object)
	if faults := r.Faults(nil); len(faults) > 0 || r.Version != "1" || r.Cache != size || r.CDN != 0 {
		t.Fatalf("%v; %+v", faults, r)
	}
	ranges := map[string]int{}
	conns := map[string]bool{}
	for _, e := range s.cache.Ledger().Requests(path) {
		ranges[e.Header.Get("Range")]++
		conns[e.Remote] = true
		if e.Header.Get("User-Agent") != "Microsoft-Delivery-Optimization/10.1" || e.Header.Get("MS-CV") == "" || e.Host != "cache.test" {
			t.Errorf("%+v", e)
		}
	}
	for want, n := range map[string]int{
		"bytes=0-1": 2, "bytes=0-1048575": 1, "bytes=1048576-2097151": 1, "bytes=2097152-3145727": 1, "bytes=3145728-3146961": 1,
	} {
		if ranges[want] != n {
			t.Errorf("%s asked for %d times, not %d", want, ranges[want], n)
		}
	}
	if len(conns) != 2 {
		t.Errorf("%d connections", len(conns))
	}
}

// Piece hashes are asked for again while there are none.
func TestPieceHashes(t *testing.T) {
	s := newSite(t)
	s.cache.Script(path, faultorigin.Behaviour{Requests: []int{3}, Rate: 2 << 20})
	r := s.client.Download(t.Context(), s.object)
	if r.PieceHashes[http.StatusNotFound] < 2 || len(r.Bans) > 0 {
		t.Errorf("%+v", r)
	}
	s.cache.Add(faultorigin.Object{Path: path + "/pieceshash", Size: 100})
	if r := s.client.Download(t.Context(), s.object); r.PieceHashes[http.StatusOK] > 1 || r.PieceHashes[http.StatusNotFound] > 0 {
		t.Errorf("%+v", r)
	}
}

func TestFallBacks(t *testing.T) {
	for name, tt := range map[string]struct {
		b     faultorigin.Behaviour
		cause string
		bans  int
		wrong bool
	}{
		"503":           {faultorigin.Behaviour{Status: 503}, "status 503", 0, false},
		"404":           {faultorigin.Behaviour{Status: 404}, "status 404", 1, false},
		"no answer":     {faultorigin.Behaviour{Drop: true}, "closed without an answer", 0, false},
		"cut":           {faultorigin.Behaviour{Break: faultorigin.Short, After: 1}, "closed in mid-body", 0, false},
		"200":           {faultorigin.Behaviour{IgnoreRange: true}, "unusable answer", 0, false},
		"another range": {faultorigin.Behaviour{ContentRange: "bytes 5-6/9"}, "unusable answer", 0, false},
		"wrong bytes":   {faultorigin.Behaviour{Version: "3"}, "piece hash", 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			s.cache.Script(path, tt.b)
			r := s.client.Download(t.Context(), s.object)
			if r.Err != nil || len(r.FallBacks) != 1 || r.FallBacks[0].Why.Kind() != tt.cause || (r.Wrong != "") != tt.wrong || r.CDN != size {
				t.Errorf("%v; %+v", r.Faults(nil), r)
			}
			if min(len(r.Bans), 1) != tt.bans {
				t.Errorf("bans %v", r.Bans)
			}
		})
	}
}

// A list is used in order; pieces of two versions are no file.
func TestListAndVersions(t *testing.T) {
	s := newSite(t)
	const dead = "127.0.0.1:1" // of no service, and given to nobody as a free one
	s.client.Names = append([]*agent.Name{agent.NewName("dead.test", 0, dead)}, s.client.Names...)
	r := s.client.Download(t.Context(), s.object)
	if r.Version != "1" || len(r.FallBacks) > 0 || r.CDN > 0 || len(r.Bans) == 0 || r.Bans[0].Cache != "dead.test" {
		t.Errorf("%v; %+v", r.Faults(nil), r)
	}
	s.cache.Script(path, faultorigin.Behaviour{Requests: []int{3, 4, 5, 6, 7, 9}, Version: "2"})
	s.client.Bans = agent.NewBans(nil)
	s.cache.Ledger().Reset()
	if r := s.client.Download(t.Context(), s.object); r.Wrong == "" && r.Version == "" {
		t.Errorf("%+v", r)
	}
}
