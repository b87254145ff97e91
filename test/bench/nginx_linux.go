package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/mccd/mccd/test/process"
)

// installNginx gets nginx from Debian where it is missing and root permits,
// and says so.
func installNginx(ctx context.Context, out io.Writer) {
	if _, err := findNginx(); err == nil {
		return
	}
	apt, err := exec.LookPath("apt-get")
	if err != nil || os.Geteuid() != 0 {
		fmt.Fprintln(out, "nginx is not installed: install it (apt-get install nginx) for the comparison.")
		return
	}
	fmt.Fprintln(out, "Installing nginx for the comparison: apt-get install nginx")
	cmd := exec.CommandContext(ctx, apt, "install", "-y", "-q", "--no-install-recommends", "nginx")
	// RUNLEVEL=1 keeps the package from starting its service.
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive", "RUNLEVEL=1")
	if text, err := cmd.CombinedOutput(); err != nil {
		fmt.Fprintf(out, "It could not be installed: %v\n%s\n", err, tail(text))
	}
}

func findNginx() (string, error) {
	if path, err := exec.LookPath("nginx"); err == nil {
		return path, nil
	}
	return exec.LookPath("/usr/sbin/nginx") // not in everybody's PATH
}

// nginxConf is nginx as Debian ships it, but for its places, no access log
// (mccd's is off as well) and as many requests on a connection as are sent.
const nginxConf = `
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
	client_body_temp_path DIR; proxy_temp_path DIR; fastcgi_temp_path DIR; uwsgi_temp_path DIR; scgi_temp_path DIR;
	server {
		listen ADDR;
		root DIR/www;
	}
}
`

// startNginx serves dir/www at addr until stop.
func startNginx(ctx context.Context, dir, addr string) (*server, error) {
	bin, err := findNginx()
	if err != nil {
		return nil, err
	}
	conf := strings.NewReplacer("DIR", dir, "ADDR", addr).Replace(nginxConf)
	if os.Geteuid() == 0 {
		// Workers need not become another user to read the file.
		conf = "user root;\n" + conf
	}
	name := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(name, []byte(conf), 0o600); err != nil {
		return nil, err
	}
	cmd := exec.Command(bin, "-c", name, "-p", dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start nginx: %w", err)
	}
	exited := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(exited)
	}()
	s := &server{name: "nginx", addr: addr, target: "/object", host: addr, pid: cmd.Process.Pid, stop: func() {
		_ = cmd.Process.Signal(syscall.SIGQUIT)
		select {
		case <-exited:
		case <-time.After(10 * time.Second):
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
			<-exited
		}
	}}
	err = process.Poll(ctx, func(ctx context.Context) error {
		c, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
		if err == nil {
			_ = c.Close()
		}
		return err
	})
	if err != nil {
		s.stop()
		return nil, fmt.Errorf("wait for nginx: %w", err)
	}
	return s, nil
}

func tail(text []byte) string { return string(text[max(0, len(text)-500):]) }
