package testcluster_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"testing"
	"time"

	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/storage/catalogue"
	"github.com/mccd/mccd/test/faultorigin"
	"github.com/mccd/mccd/test/testcluster"
)

// The hosts that the clusters serve: by profile http, and by profile do.
const (
	host    = "files.test"
	updates = "updates.test"
)

// served starts an origin with objects and a cluster that serves it.
func served(t *testing.T, cfg testcluster.Config, objects ...faultorigin.Object) (*faultorigin.Server, *testcluster.Cluster) {
	t.Helper()
	o := faultorigin.New(faultorigin.Config{Objects: objects})
	t.Cleanup(o.Close)
	for profile, name := range map[storage.Profile]string{storage.ProfileHTTP: host, storage.ProfileDO: updates} {
		rule := catalogue.Defaults(profile)
		rule.Name, rule.Hosts, rule.Connect, rule.AllowPrivate = name, []string{name}, o.Addr(), true
		cfg.Origins = append(cfg.Origins, rule)
	}
	return o, testcluster.New(t, cfg)
}

func ref(path string) storage.Ref {
	return storage.Ref{Scheme: "http", Host: host, Path: path, QueryInKey: true}
}

// client asks without keep-alive, so that no goroutine outlives a test.
func client() *http.Client {
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DisableCompression: true}}
}

func ask(ctx context.Context, c *http.Client, n *testcluster.Node, hostName, path, ranges string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, n.URL(path), nil)
	if err != nil {
		return nil, err
	}
	req.Host = hostName
	if ranges != "" {
		req.Header.Set("Range", ranges)
	}
	return c.Do(req)
}

// get reads span of path (all of it when span is empty) by profile http and
// checks every byte.
func get(ctx context.Context, n *testcluster.Node, path, version string, span storage.Span) error {
	return getFrom(ctx, n, host, path, version, span)
}

func getFrom(ctx context.Context, n *testcluster.Node, host, path, version string, span storage.Span) error {
	ranges := ""
	if !span.Empty() {
		ranges = fmt.Sprintf("bytes=%d-%d", span.Off, span.End-1)
	}
	resp, err := ask(ctx, client(), n, host, path, ranges)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	want := http.StatusOK
	if ranges != "" {
		want = http.StatusPartialContent
	}
	if resp.StatusCode != want {
		return fmt.Errorf("status %d for %q", resp.StatusCode, ranges)
	}
	return check(resp.Body, path, version, span.Off, resp.ContentLength)
}

func check(r io.Reader, path, version string, off, length int64) error {
	got, want := make([]byte, 64<<10), make([]byte, 64<<10)
	for done := int64(0); done < length; {
		n, err := r.Read(got[:min(int64(len(got)), length-done)])
		faultorigin.Fill(want[:n], path, version, off+done)
		if !bytes.Equal(got[:n], want[:n]) {
			return fmt.Errorf("wrong bytes at %d of %s", off+done, path)
		}
		done += int64(n)
		if err == io.EOF && done < length {
			return io.ErrUnexpectedEOF
		}
		if err != nil && err != io.EOF {
			return err
		}
	}
	return nil
}

func timeout(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// together runs n calls at once and reports each error.
func together(t *testing.T, n int, call func(i int) error) {
	t.Helper()
	errs := make(chan error, n)
	for i := range n {
		go func() { errs <- call(i) }()
	}
	for range n {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}

// pieces returns the pieces of size bytes in an order by seed.
func pieces(size int64, seed uint64) []storage.Span {
	var out []storage.Span
	for off := int64(0); off < size; off += storage.PieceSize {
		out = append(out, storage.Span{Off: off, End: min(off+storage.PieceSize, size)})
	}
	r := rand.New(rand.NewPCG(seed, 1))
	r.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

// onceEach checks that the origin sent each byte of [0, size) of path exactly
// once.
func onceEach(t *testing.T, o *faultorigin.Server, path string, size int64) {
	t.Helper()
	s := o.Ledger().Report(false).Paths[path]
	if s.Bytes != size || s.Union != size || s.MaxTimes != 1 {
		t.Errorf("origin sent %d bytes of %s, %d different ones, some %d times; want each of %d once",
			s.Bytes, path, s.Union, s.MaxTimes, size)
	}
}
