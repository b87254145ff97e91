package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"testing"

	"github.com/mccd/mccd/storage"
)

func TestRefusalOf(t *testing.T) {
	do := &storage.Rule{Profile: storage.ProfileDO, PassNotFound: []string{"pieceshash"}}
	inHTTP := &storage.Rule{Profile: storage.ProfileHTTP}
	origin := func(code int) error {
		return fmt.Errorf("fetch: %w", &storage.StatusError{Code: code, Header: http.Header{"Www-Authenticate": {"Basic"}}})
	}
	for _, tt := range []struct {
		err      error
		path     string
		do, http int
	}{
		{storage.ErrBusy, "/a", 503, 503},
		{storage.ErrVersionGone, "/a", 503, 503},
		{storage.ErrLength, "/a", 503, 502},
		{storage.ErrUncacheable, "/a", 503, 502},
		{storage.ErrUpstream, "/a", 503, 502},
		{fmt.Errorf("%w: %w", storage.ErrUpstream, context.DeadlineExceeded), "/a", 503, 504},
		{fmt.Errorf("%w: %w", storage.ErrUpstream, os.ErrDeadlineExceeded), "/a", 503, 504},
		{storage.ErrRange, "/a", 503, 416},
		{errNoByte, "/a", 503, 503},
		{errors.New("disk trouble"), "/a", 503, 503},
		{context.DeadlineExceeded, "/a", 503, 503},
		{origin(404), "/a", 502, 404},
		{origin(404), "/files/PiecesHash", 404, 404},
		{origin(403), "/files/pieceshash", 502, 403},
		{origin(401), "/a", 502, 401},
		{origin(410), "/a", 502, 410},
		{origin(416), "/a", 502, 416},
		{origin(429), "/a", 502, 429},
		{origin(500), "/a", 502, 500},
		{origin(503), "/a", 502, 503},
		{origin(204), "/a", 502, 502},
		{origin(302), "/a", 502, 502},
		{origin(999), "/a", 502, 502},
	} {
		if got := refusalOf(tt.err, do, tt.path).status; got != tt.do {
			t.Errorf("%v in do: %d, want %d", tt.err, got, tt.do)
		}
		if got := refusalOf(tt.err, inHTTP, tt.path).status; got != tt.http {
			t.Errorf("%v in http: %d, want %d", tt.err, got, tt.http)
		}
	}
	if got := refusalOf(origin(401), inHTTP, "/a").header.Get("Www-Authenticate"); got != "Basic" {
		t.Errorf("the origin's header is lost: %q", got)
	}
}
