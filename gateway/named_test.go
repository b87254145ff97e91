package gateway

import (
	"crypto/tls"
	"net/http"
	"testing"
)

func TestNamed(t *testing.T) {
	g := &Gateway{cfg: Config{Catalogue: &fakeCatalogue{}}}
	for _, tt := range []struct {
		host, target string
		tls          bool
		want         string
		byParam      bool
		status       int
	}{
		{"node", "/a?x=1&cacheHostOrigin=" + doHost, false, "http://" + doHost + "/a", true, 0},
		{doHost, "/a?x=1", true, "https://" + doHost + "/a", false, 0},
		{"node", "/a", false, "http://node", false, http.StatusForbidden},
		{"node", "/a?cacheHostOrigin=none.example", false, "", true, http.StatusForbidden},
		{doHost, "/../a", false, "", false, http.StatusBadRequest},
	} {
		r := &http.Request{Method: http.MethodGet, Host: tt.host, RequestURI: tt.target}
		if tt.tls {
			r.TLS = new(tls.ConnectionState)
		}
		n := g.Named(r)
		if n.Status != tt.status || n.ByParam != tt.byParam || (n.Rule != nil) != (tt.status == 0) || (n.Text != "") != (tt.status != 0) {
			t.Errorf("%s%s: %+v", tt.host, tt.target, n)
		}
		if tt.status == 0 && n.Ref.String() != tt.want {
			t.Errorf("%s%s: %s, want %s", tt.host, tt.target, n.Ref, tt.want)
		}
	}
}
