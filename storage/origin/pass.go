package origin

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/storage/httpcache"
)

// Pass sends a request on for an answer that is never stored: method, the
// client's end-to-end fields in header (Range and conditions included), and
// body, which may be nil. Redirects of a request without body are followed by
// the rules of Fetch; credentials do not go to another host. The answer has
// end-to-end fields only, whatever its status; the caller closes its Body,
// which gives the declared length or an error. Errors are those of Fetch, but
// for *storage.StatusError. Its place is apart from those of Fetch, since a slow client
// holds it for as long as it likes. It may be called concurrently.
func (c *Client) Pass(ctx context.Context, method string, ref storage.Ref, rule *storage.Rule, header http.Header, body io.Reader) (*http.Response, error) {
	var err error
	if rule == nil {
		rule, err = c.rule(ref)
	}
	var x *exchange
	if err == nil {
		if body == http.NoBody {
			body = nil
		}
		x, err = c.exchange(context.WithValue(ctx, passKey{}, true), method, ref, rule, c.passHeader(ref, header), body, nil)
	}
	if err != nil {
		return nil, fmt.Errorf("pass %s to %s: %w", method, ref, err)
	}
	resp := x.resp
	resp.Header = httpcache.EndToEnd(resp.Header)
	x.body.left = resp.ContentLength
	if method == http.MethodHead || resp.StatusCode == http.StatusNoContent || resp.StatusCode == http.StatusNotModified {
		x.body.left = 0
	}
	resp.Body = x.body
	return resp, nil
}

// passKey marks the context of a request that is passed on.
type passKey struct{}

// passHeader returns the fields to send to a host.
func (c *Client) passHeader(first storage.Ref, header http.Header) func(storage.Ref) http.Header {
	h := httpcache.EndToEnd(header)
	for name := range h {
		if strings.HasPrefix(name, "X-Forwarded-") || name == "Forwarded" || name == "X-Real-Ip" || name == "Cdn-Loop" || name == "Host" || name == "Expect" {
			delete(h, name)
		}
	}
	h["Via"] = append(h["Via"], c.via())
	if _, ok := h["User-Agent"]; !ok {
		h["User-Agent"] = []string{"mccd/" + c.cfg.Version}
	}
	return func(ref storage.Ref) http.Header {
		if ref.Host == first.Host && ref.Scheme == first.Scheme {
			return h
		}
		other := h.Clone()
		other.Del("Authorization")
		other.Del("Cookie")
		other.Del("Referer")
		return other
	}
}
