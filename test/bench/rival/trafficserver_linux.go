package rival

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
)

// trafficRoot gives every folder a place below DIR, but for what the package
// brings (traffic_layout(8)).
const trafficRoot = `prefix: DIR
exec_prefix: DIR
bindir: /usr/bin
sbindir: /usr/sbin
sysconfdir: DIR/etc
datadir: DIR/cache
includedir: /usr/include
libdir: /usr/lib
libexecdir: /usr/lib/trafficserver/modules
localstatedir: DIR/run
runtimedir: DIR/run
logdir: DIR/log
cachedir: DIR/cache
`

// trafficRecords are Debian's, as far as they matter here, with its log off,
// room in memory for what is measured (its cutoff of 4 MiB would leave the
// object out) and no change of user.
const trafficRecords = `CONFIG proxy.config.http.server_ports STRING PORT:ip-in=HOST
CONFIG proxy.config.exec_thread.autoconfig INT 1
CONFIG proxy.config.exec_thread.autoconfig.scale FLOAT 1.0
CONFIG proxy.config.accept_threads INT 1
CONFIG proxy.config.task_threads INT 2
CONFIG proxy.config.cache.threads_per_disk INT 8
CONFIG proxy.config.exec_thread.affinity INT 1
CONFIG proxy.config.http.cache.http INT 1
CONFIG proxy.config.http.cache.required_headers INT 2
CONFIG proxy.config.cache.ram_cache.size INT SIZE
CONFIG proxy.config.cache.ram_cache_cutoff INT 1073741824
CONFIG proxy.config.log.logging_enabled INT 0
CONFIG proxy.config.url_remap.remap_required INT 1
CONFIG proxy.config.reverse_proxy.enabled INT 1
CONFIG proxy.config.diags.debug.enabled INT 0
CONFIG proxy.config.admin.user_id STRING #-1
`

func trafficServer(bin string, cfg Config) ([]string, error) {
	host, port, err := net.SplitHostPort(cfg.Addr)
	if err != nil {
		return nil, err
	}
	for _, dir := range []string{"etc", "cache", "run", "log"} {
		if err := os.MkdirAll(filepath.Join(cfg.Dir, dir), 0o755); err != nil {
			return nil, err
		}
	}
	storage := fmt.Sprintf("%s/cache %d\n", cfg.Dir, max(cfg.Size, 256<<20))
	for name, text := range map[string]string{
		"runroot.yaml":       strings.ReplaceAll(trafficRoot, "DIR", cfg.Dir),
		"etc/records.config": strings.NewReplacer("HOST", host, "PORT", port, "SIZE", fmt.Sprint(cfg.Size)).Replace(trafficRecords),
		"etc/remap.config":   fmt.Sprintf("map http://%s/ http://%s/\n", cfg.Addr, cfg.Origin),
		"etc/storage.config": storage,
		// Without a rule nobody may ask.
		"etc/ip_allow.yaml": "ip_allow:\n- {apply: in, ip_addrs: 0/0, action: allow, methods: ALL}\n",
	} {
		if err := write(cfg.Dir, name, text); err != nil {
			return nil, err
		}
	}
	return []string{bin, "--run-root=" + filepath.Join(cfg.Dir, "runroot.yaml")}, nil
}
