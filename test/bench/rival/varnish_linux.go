package rival

import (
	"fmt"
	"net"
	"path/filepath"
)

// varnishVCL caches all that the origin lets it, and no answer of an error.
const varnishVCL = `vcl 4.1;
backend origin { .host = "HOST"; .port = "PORT"; }
sub vcl_backend_response {
	if (beresp.status != 200) {
		set beresp.uncacheable = true;
		set beresp.ttl = 0s;
	}
}
`

// varnish keeps objects in memory. It fetches an object whole, once, and
// serves ranges of it, also while it is being fetched.
func varnish(bin string, cfg Config) ([]string, error) {
	host, port, err := net.SplitHostPort(cfg.Origin)
	if err != nil {
		return nil, err
	}
	err = write(cfg.Dir, "bench.vcl", varnishVCL, "HOST", host, "PORT", port)
	argv := []string{
		bin, "-F", "-a", cfg.Addr, "-T", "none", "-n", filepath.Join(cfg.Dir, "varnish"), "-f", filepath.Join(cfg.Dir, "bench.vcl"),
		"-s", fmt.Sprintf("malloc,%d", cfg.Size),
	}
	return append(argv, varnishJail()...), err
}
