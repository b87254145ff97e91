package rival

import "fmt"

// nginxConf is nginx as Debian ships it, but for its places, no access log
// (mccd's is off as well) and as many requests on a connection as are sent.
const nginxConf = `USER
worker_processes auto;
pid DIR/nginx.pid;
error_log DIR/error.log;
daemon off;
events { worker_connections 768; }
http {
	sendfile on;
	tcp_nopush on;
	types_hash_max_size 2048;
	default_type application/octet-stream;
	access_log off;
	keepalive_requests 10000000;
	client_body_temp_path DIR/body; proxy_temp_path DIR/proxy; fastcgi_temp_path DIR/fastcgi;
	uwsgi_temp_path DIR/uwsgi; scgi_temp_path DIR/scgi;
	CACHE
	server {
		listen ADDR TLS;
		CERT
		LOCATION
	}
}
`

func nginxStatic(bin string, cfg Config) ([]string, error) {
	return nginx(bin, cfg, "", fmt.Sprintf("root %s;", cfg.Root))
}

// NginxTLS is nginx that sends files by TLS 1.3, with the certificate of
// Config.Cert and else as Debian ships it.
func NginxTLS() Kind { return Kind{Name: "nginx", program: "nginx", prepare: nginxStatic} }

// nginxSlice is a cache by slices of 1 MiB, as cache boxes for games ship it.
func nginxSlice(bin string, cfg Config) ([]string, error) {
	return nginx(bin, cfg,
		fmt.Sprintf("proxy_cache_path %s/cache levels=1:2 keys_zone=slices:16m max_size=%d inactive=1d use_temp_path=off;", cfg.Dir, cfg.Size),
		fmt.Sprintf(`location / {
			slice 1m;
			proxy_cache slices;
			proxy_cache_key $uri$slice_range;
			proxy_cache_lock on;
			proxy_cache_valid 200 206 1d;
			proxy_set_header Range $slice_range;
			proxy_http_version 1.1;
			proxy_set_header Connection "";
			proxy_pass http://%s;
		}`, cfg.Origin))
}

func nginx(bin string, cfg Config, cache, location string) ([]string, error) {
	listen, cert := "", ""
	if cfg.Cert != (Certificate{}) {
		listen, cert = "ssl", fmt.Sprintf("ssl_protocols TLSv1.3; ssl_certificate %s; ssl_certificate_key %s;", cfg.Cert.Chain, cfg.Cert.Key)
	}
	err := write(cfg.Dir, "nginx.conf", nginxConf, " TLS", " "+listen, "CERT", cert, "USER", userRoot(), "DIR", cfg.Dir, "ADDR", cfg.Addr, "CACHE", cache, "LOCATION", location)
	return []string{bin, "-c", cfg.Dir + "/nginx.conf", "-p", cfg.Dir, "-e", cfg.Dir + "/error.log"}, err
}
