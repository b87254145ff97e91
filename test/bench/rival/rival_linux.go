package rival

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/mccd/mccd/test/process"
)

// Config says where a rival serves, and what.
type Config struct {
	// Dir is a folder of its own, which Start makes.
	Dir string
	// Addr is where to listen.
	Addr string
	// Origin is the "host:port" that caches fetch from.
	Origin string
	// Root is the folder that the static server serves.
	Root string
	// Size bounds what a cache holds, in bytes; 0 = 1 GiB.
	Size int64
	// Cert is what https is served with, by those that do.
	Cert Certificate
	// Files is the limit of open files; 0 = as it is.
	Files int
}

// Certificate names the files of a certificate chain and its key, PEM.
type Certificate struct{ Chain, Key string }

// Kind is one rival that can be started.
type Kind struct {
	// Name is how rows call it.
	Name string
	// Cache tells that it fetches from the origin; else it serves Root.
	Cache   bool
	program string
	// prepare writes configuration files and returns the command.
	prepare func(bin string, cfg Config) (argv []string, err error)
	// ready says what is asked for until it is answered; nil = a connection
	// is enough.
	ready func(ctx context.Context, addr string) error
}

// Kinds returns all rivals: nginx sending files, and the caches.
func Kinds() []Kind {
	return []Kind{
		{Name: "nginx", program: "nginx", prepare: nginxStatic},
		{Name: "nginx-slice", Cache: true, program: "nginx", prepare: nginxSlice},
		{Name: "varnish", Cache: true, program: "varnishd", prepare: varnish},
		{Name: "trafficserver", Cache: true, program: "traffic_server", prepare: trafficServer, ready: answers},
	}
}

// Find returns the program, also where the PATH leaves sbin out.
func (k Kind) Find() (string, error) {
	if path, err := exec.LookPath(k.program); err == nil {
		return path, nil
	}
	if path, err := exec.LookPath(filepath.Join("/usr/sbin", k.program)); err == nil {
		return path, nil
	}
	return "", fmt.Errorf("%s is not installed", k.program)
}

// Server is a rival that runs.
type Server struct {
	Name, Addr string
	group      *group
}

// Group is the process group of the server.
func (s *Server) Group() int { return s.group.id }

// Stop ends the server with all its processes.
func (s *Server) Stop() { s.group.end() }

// Start starts the server and waits until it serves.
func (k Kind) Start(ctx context.Context, cfg Config) (*Server, error) {
	bin, err := k.Find()
	if err != nil {
		return nil, err
	}
	if cfg.Size == 0 {
		cfg.Size = 1 << 30
	}
	if err := os.MkdirAll(cfg.Dir, 0o755); err != nil {
		return nil, err
	}
	argv, err := k.prepare(bin, cfg)
	if err != nil {
		return nil, fmt.Errorf("prepare %s: %w", k.Name, err)
	}
	g, err := launch(filepath.Join(cfg.Dir, "output"), cfg.Files, argv)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", k.Name, err)
	}
	ready := k.ready
	if ready == nil {
		ready = connects
	}
	ctx, cancel := g.while(ctx)
	defer cancel(nil)
	if err := process.Poll(ctx, func(ctx context.Context) error { return ready(ctx, cfg.Addr) }); err != nil {
		g.end()
		text, _ := os.ReadFile(filepath.Join(cfg.Dir, "output"))
		return nil, fmt.Errorf("wait for %s: %w\n%s", k.Name, err, text[max(0, len(text)-1000):])
	}
	return &Server{Name: k.Name, Addr: cfg.Addr, group: g}, nil
}

// write makes the file dir/name out of text, in which pairs are replaced.
func write(dir, name, text string, pairs ...string) error {
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(strings.NewReplacer(pairs...).Replace(text)), 0o644)
}
