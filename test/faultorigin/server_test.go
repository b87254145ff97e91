package faultorigin_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/test/faultorigin"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func start(t *testing.T, cfg faultorigin.Config) *faultorigin.Server {
	t.Helper()
	s := faultorigin.New(cfg)
	t.Cleanup(s.Close)
	return s
}

// get sends one request on a connection of its own and reads what it can.
func get(t *testing.T, s *faultorigin.Server, target string, header ...string) (*http.Response, []byte, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL()+target, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Add(header[i], header[i+1])
	}
	tr := &http.Transport{DisableCompression: true, DisableKeepAlives: true}
	if pool := s.CertPool(); pool != nil {
		tr.TLSClientConfig = &tls.Config{RootCAs: pool}
	}
	resp, err := tr.RoundTrip(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp, body, err
}

func TestHonestOrigin(t *testing.T) {
	s := start(t, faultorigin.Config{Objects: []faultorigin.Object{{Path: "/a%2fB", Size: 300_000}}})
	tests := []struct {
		name   string
		header []string
		status int
		span   storage.Span
		cr     string
	}{
		{"whole", nil, 200, storage.Span{End: 300_000}, ""},
		{"range", []string{"Range", "bytes=10-99999"}, 206, storage.Span{Off: 10, End: 100_000}, "bytes 10-99999/300000"},
		{"open", []string{"Range", "bytes=299999-"}, 206, storage.Span{Off: 299_999, End: 300_000}, "bytes 299999-299999/300000"},
		{"suffix", []string{"Range", "bytes=-5"}, 206, storage.Span{Off: 299_995, End: 300_000}, "bytes 299995-299999/300000"},
		{"past the end", []string{"Range", "bytes=300000-"}, 416, storage.Span{}, "bytes */300000"},
		{"if-range of another version", []string{"Range", "bytes=0-0", "If-Range", `"x"`}, 200, storage.Span{End: 300_000}, ""},
		{"same ETag", []string{"If-None-Match", faultorigin.ETag("/a%2fB", "1")}, 304, storage.Span{}, ""},
		{"other ETag", []string{"If-None-Match", `"x"`}, 200, storage.Span{End: 300_000}, ""},
		{"not modified since", []string{"If-Modified-Since", "Thu, 01 Jan 2026 00:00:00 GMT"}, 304, storage.Span{}, ""},
		{"modified since", []string{"If-Modified-Since", "Wed, 01 Jan 2020 00:00:00 GMT"}, 200, storage.Span{End: 300_000}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			resp, body, err := get(t, s, "/a%2fB?x=1", tt.header...)
			if err != nil {
				t.Fatal(err)
			}
			if resp.StatusCode != tt.status || resp.Header.Get("Content-Range") != tt.cr {
				t.Fatalf("got %d %q, want %d %q", resp.StatusCode, resp.Header.Get("Content-Range"), tt.status, tt.cr)
			}
			if int64(len(body)) != tt.span.Len() {
				t.Fatalf("body has %d bytes, want %d", len(body), tt.span.Len())
			}
			if at := faultorigin.Check(body, "/a%2fB", "1", tt.span.Off); at >= 0 {
				t.Errorf("byte %d is wrong", at)
			}
		})
	}
	if _, _, err := get(t, s, "/A%2fB"); err != nil {
		t.Fatal(err)
	}
	if e := s.Ledger().Requests("/A%2fB"); len(e) != 1 || e[0].Status != 404 {
		t.Errorf("unknown path: %+v", e)
	}
}

func TestLedgerCountsBytes(t *testing.T) {
	s := start(t, faultorigin.Config{Objects: []faultorigin.Object{{Path: "/a", Size: 1 << 20}}})
	for _, r := range []string{"bytes=0-99", "bytes=50-149", "bytes=60-69", "bytes=1000-1999"} {
		if _, _, err := get(t, s, "/a", "Range", r); err != nil {
			t.Fatal(err)
		}
	}
	l := s.Ledger()
	if got := l.Bytes("/a"); got != 1210 {
		t.Errorf("Bytes = %d, want 1210", got)
	}
	if got := l.Union("/a"); got != 1150 {
		t.Errorf("Union = %d, want 1150", got)
	}
	if got := l.MaxTimes("/a"); got != 3 {
		t.Errorf("MaxTimes = %d, want 3", got)
	}
	want := []storage.Span{{Off: 0, End: 150}, {Off: 1000, End: 2000}}
	if got := l.Coverage("/a"); !slices.Equal(got, want) {
		t.Errorf("Coverage = %v, want %v", got, want)
	}
	if got := l.Asked("/a"); !slices.Equal(got, want) {
		t.Errorf("Asked = %v, want %v", got, want)
	}
	if got := l.Requests("/b"); len(got) != 0 {
		t.Errorf("Requests of another path: %v", got)
	}
	srv := httptest.NewServer(l.Handler())
	defer srv.Close()
	defer http.DefaultClient.CloseIdleConnections()
	resp, err := http.Get(srv.URL + "/_ledger")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var r faultorigin.Report
	if err := json.NewDecoder(resp.Body).Decode(&r); err != nil {
		t.Fatal(err)
	}
	if got, want := r.Paths["/a"], (faultorigin.Sum{Requests: 4, Bytes: 1210, Union: 1150, MaxTimes: 3}); got != want {
		t.Errorf("report %+v, want %+v", got, want)
	}
	if len(r.Entries) != 4 || r.Entries[1].Header.Get("Range") != "bytes=50-149" {
		t.Errorf("entries %+v", r.Entries)
	}
}

func TestRealFiles(t *testing.T) {
	dir := t.TempDir()
	content := strings.Repeat("real bytes ", 20_000)
	if err := os.WriteFile(filepath.Join(dir, "a b.bin"), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	s := start(t, faultorigin.Config{Dir: dir})
	_, body, err := get(t, s, "/a%20b.bin", "Range", "bytes=5-100004")
	if err != nil || string(body) != content[5:100_005] {
		t.Fatalf("%d bytes, %v", len(body), err)
	}
	if got := s.Ledger().Bytes("/a%20b.bin"); got != 100_000 {
		t.Errorf("ledger has %d bytes, want 100000", got)
	}
	if resp, _, err := get(t, s, "/..%2f..%2fetc%2fpasswd"); err != nil || resp.StatusCode != 404 {
		t.Errorf("path out of the folder: %v %v", resp, err)
	}
}

func TestTLS(t *testing.T) {
	s := start(t, faultorigin.Config{TLS: true, Objects: []faultorigin.Object{{Path: "/a", Size: 1000}}})
	_, body, err := get(t, s, "/a")
	if err != nil || faultorigin.Check(body, "/a", "1", 0) >= 0 || len(body) != 1000 {
		t.Fatalf("%d bytes, %v", len(body), err)
	}
}

func TestSetVersionChangesContentAndValidators(t *testing.T) {
	s := start(t, faultorigin.Config{Objects: []faultorigin.Object{{Path: "/a", Size: 1000}}})
	first, _, err := get(t, s, "/a")
	if err != nil {
		t.Fatal(err)
	}
	if !s.SetVersion("/a", "2") || s.SetVersion("/b", "2") {
		t.Fatal("SetVersion tells wrongly whether there is an object")
	}
	second, body, err := get(t, s, "/a")
	if err != nil || faultorigin.Check(body, "/a", "2", 0) >= 0 {
		t.Fatalf("not version 2: %v", err)
	}
	for _, h := range []string{"ETag", "Last-Modified"} {
		if first.Header.Get(h) == second.Header.Get(h) {
			t.Errorf("%s stays %q", h, first.Header.Get(h))
		}
	}
}
