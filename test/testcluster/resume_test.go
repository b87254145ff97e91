package testcluster_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/test/faultorigin"
	"github.com/mccd/mccd/test/testcluster"
)

// resume asks as Delivery Optimization Lite does after a break, with one more
// Range line for each.
func resume(ctx context.Context, n *testcluster.Node, path string, ranges ...string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, n.URL(path), nil)
	if err != nil {
		return nil, err
	}
	req.Host = updates
	req.Header.Set("User-Agent", "Microsoft-Delivery-Optimization-Lite/10.0.0.1")
	req.Header["Range"] = ranges
	return client().Do(req)
}

// A resume that ends where an older version ended gets that version, or no
// bytes at all: never a mixture (docs/clients.md section 8).
func TestResumeAcrossVersions(t *testing.T) {
	const path, before, after = "/a", 9<<20 + 5, 8<<20 + 77
	o, c := served(t, testcluster.Config{}, faultorigin.Object{
		Path: path, Size: before, Header: http.Header{"Cache-Control": {"max-age=0"}},
	})
	ctx := timeout(t)
	node := c.Nodes[0]
	if err := getFrom(ctx, node, updates, path, "1", storage.Span{}); err != nil {
		t.Fatal(err)
	}
	o.Add(faultorigin.Object{Path: path, Size: after, Version: "2"})
	if err := getFrom(ctx, node, updates, path, "2", storage.Span{}); err != nil {
		t.Fatal(err)
	}
	old := fmt.Sprintf("bytes=5000000-%d", before-1)
	resp, err := resume(ctx, node, path, "bytes=100-200", old)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusPartialContent || resp.ContentLength != before-5000000 {
		t.Fatalf("status %d, %d bytes", resp.StatusCode, resp.ContentLength)
	}
	if err := check(resp.Body, path, "1", 5000000, resp.ContentLength); err != nil {
		t.Errorf("the older version that is held: %v", err)
	}
	resp.Body.Close()
	for name, ranges := range map[string]string{
		"longer than any": "bytes=5000000-99999999", "shorter than any": "bytes=5000000-5999999",
	} {
		resp, err := resume(ctx, node, path, ranges)
		if err != nil {
			continue // closed without an answer: the client goes to the CDN
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("%s: status %d with %d bytes", name, resp.StatusCode, len(body))
		}
	}
}
