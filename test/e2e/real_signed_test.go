package e2e_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/mccd/mccd/test/faultorigin"
	"github.com/mccd/mccd/test/process"
)

// signedHost is an origin that answers signed URLs only, signedEdge where it
// sends some of them on to.
const signedHost, signedEdge = "signed.example", "edge.example"

// signer is an origin that looks at tokens before it answers.
type signer struct {
	*faultorigin.Server
	mu      sync.Mutex // guards what follows
	good    map[string]bool
	refused int
	// revoke is the token that is refused once revokeAt bytes were sent.
	revoke   string
	revokeAt int64
}

// ServeHTTP answers where the whole query is a good token; what is below
// /moved/ it sends on to the edge, with a token of the edge's.
func (s *signer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	if s.revoke != "" && s.Ledger().Bytes("") >= s.revokeAt {
		delete(s.good, s.revoke)
	}
	good := s.good[r.URL.RawQuery]
	if !good {
		s.refused++
	}
	s.mu.Unlock()
	switch {
	case !good:
		http.Error(w, "no such token: "+r.URL.RawQuery, http.StatusForbidden)
	case r.Host == signedHost && strings.HasPrefix(r.URL.Path, "/moved/"):
		http.Redirect(w, r, "http://"+signedEdge+r.URL.Path+"?"+token("edge"), http.StatusFound)
	default:
		w.Header().Set("Content-Location", r.URL.RequestURI()) // must not be kept
		w.Header().Set("X-Signed-Url", "http://"+r.Host+r.URL.RequestURI())
		s.Server.ServeHTTP(w, r)
	}
}

// token is a signed query as CDNs have them; its core is nowhere else.
func token(who string) string {
	return "P1=1764000000&P2=404&P3=2&P4=" + core(who) + "%2bq%2fZ%3d%3d"
}

func core(who string) string { return digest([]byte("core of " + who))[:40] }

// TestRealSignedURLs: clients with tokens of their own ask for the same bytes at
// all nodes, while others come again and again with tokens that have expired or
// are revoked on the way. Nobody with a good token notices, and no token is in
// any file, log, metric or answer of an admin command.
func TestRealSignedURLs(t *testing.T) {
	const path, moved, size = "/filestreamingservice/files/signed", "/moved/to/edge", 24*mib + 17
	cdnOrigin, err := faultorigin.NewHandler(faultorigin.Config{Rate: 16 * mib})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cdnOrigin.Close)
	cdnOrigin.Add(faultorigin.Object{Path: path, Size: size}, faultorigin.Object{Path: moved, Size: mib})
	want := make([]byte, size)
	faultorigin.Fill(want, path, faultorigin.DefaultVersion, 0)
	s := &signer{Server: cdnOrigin, good: map[string]bool{token("edge"): true}, revokeAt: 4 * mib}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	const clients = 9
	for i := range clients {
		s.good[token(fmt.Sprint(i))] = true
	}
	s.revoke = token("revoked")
	s.good[s.revoke] = true
	b := newBed(t, setting{nodes: 3,
		vhosts: []map[string]any{{
			"name": "signed", "profile": "do", "hosts": []string{signedHost, signedEdge}, "connect": strings.TrimPrefix(server.URL, "http://"),
			"immutable_prefixes": []string{},
		}},
		amend: func(_ int, settings map[string]any) {
			settings["log"] = map[string]any{"level": "debug", "format": "text"}
		},
	})
	get := func(ctx context.Context, node int, path, query, span string) (int, []byte, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, process.URL(b.Nodes[node].Addr, path+"?"+query, signedHost), nil)
		if err != nil {
			return 0, nil, err
		}
		if span != "" {
			req.Header.Set("Range", span)
		}
		resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
		if err != nil {
			return 0, nil, err
		}
		defer func() { _ = resp.Body.Close() }()
		for name, values := range resp.Header {
			if strings.Contains(strings.Join(values, " "), "P4=") {
				t.Errorf("answer with a token in %s", name)
			}
		}
		body, err := io.ReadAll(resp.Body)
		return resp.StatusCode, body, err
	}

	// Somebody whose token has expired is the first of all.
	if status, _, err := get(b.ctx, 0, path, token("expired"), ""); err == nil && status == http.StatusOK {
		t.Error("the expired token opened a cold object")
	}
	if _, body, err := get(b.ctx, 1, moved, token("0"), ""); err != nil || len(body) != mib {
		t.Errorf("behind a redirect: %d bytes, %v", len(body), err)
	}
	over, end := context.WithCancel(b.ctx)
	var bad, good sync.WaitGroup
	for i := range 6 {
		who := []string{"expired", "revoked"}[i%2]
		bad.Go(func() {
			for n := 0; over.Err() == nil; n++ {
				off := int64(23-(n+5*i)%24) * mib // before the others come there
				status, body, err := get(over, i%3, path, token(who), fmt.Sprintf("bytes=%d-%d", off, off+mib-1))
				if err == nil && status == http.StatusPartialContent && !bytes.Equal(body, want[off:off+mib]) {
					t.Errorf("%s: wrong bytes at %d", who, off)
				}
			}
		})
	}
	for i := range clients {
		good.Go(func() {
			query := token(fmt.Sprint(i))
			if i%2 == 0 {
				if status, body, err := get(b.ctx, i%3, path, query, ""); err != nil || status != http.StatusOK || !bytes.Equal(body, want) {
					t.Errorf("client %d: %d, %d bytes, %v", i, status, len(body), err)
				}
				return
			}
			for off := int64(0); off < size; off += mib {
				last := min(off+mib, size) - 1
				status, body, err := get(b.ctx, i%3, path, query, fmt.Sprintf("bytes=%d-%d", off, last))
				if err != nil || status != http.StatusPartialContent || !bytes.Equal(body, want[off:last+1]) {
					t.Errorf("client %d at %d: %d, %d bytes, %v", i, off, status, len(body), err)
					return
				}
			}
		})
	}
	good.Wait()
	end()
	bad.Wait()
	s.mu.Lock()
	t.Logf("%d requests refused for their tokens, the origin sent %d bytes of %d, %d different", s.refused, s.Ledger().Bytes(path), size, s.Ledger().Union(path))
	if s.refused < 5 || s.good[s.revoke] {
		t.Error("hardly a bad token came to the origin, or none was revoked")
	}
	s.mu.Unlock()
	if m := s.Ledger().MaxTimes(path); m != 1 {
		t.Errorf("a byte was fetched %d times", m)
	}
	b.noTokens(append([]string{"expired", "revoked", "edge"}, strings.Split("0 1 2 3 4 5 6 7 8", " ")...))
}

// noTokens fails the test where a part of a token is in a file of a node, its
// log at level debug, its metrics or what it tells operators.
func (b *bed) noTokens(who []string) {
	b.Helper()
	seen := 0
	search := func(where string, text []byte) {
		if bytes.Contains(text, []byte("/moved/to/edge")) {
			seen++ // what is no secret is found
		}
		for _, name := range who {
			if bytes.Contains(text, []byte(core(name))) {
				at := bytes.Index(text, []byte(core(name)))
				b.Errorf("the token of %s is in %s: %q", name, where, text[max(0, at-200):at+10])
			}
		}
	}
	for i, n := range b.Nodes {
		metrics, err := n.Metrics(b.ctx)
		if err != nil {
			b.Fatal(err)
		}
		search("the metrics of "+n.Name, fmt.Append(nil, metrics))
		search("the status of "+n.Name, []byte(b.command(0, n, "status", "-o", "json")))
		// What is only written at the end is to be there.
		if err := n.Stop(b.ctx); err != nil {
			b.Errorf("stop node %d: %v", i+1, err)
		}
		if err := filepath.WalkDir(n.Dir, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || !entry.Type().IsRegular() {
				return err
			}
			text, err := os.ReadFile(path)
			search(path, text)
			return err
		}); err != nil {
			b.Fatal(err)
		}
	}
	if seen < 2 {
		b.Errorf("the search finds what is there only in %d files", seen)
	}
}
