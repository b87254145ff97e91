package admin

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// maxSocketPath is the longest path that a Unix socket can have on Linux, with
// room for the name under which it is made.
const maxSocketPath = 107 - len(".mccd-0123456789/s")

// ErrInUse tells that somebody answers on the socket already.
var ErrInUse = errors.New("another process answers on the admin socket")

// Listen makes the Unix socket at path, which only its owner may use (0600) at
// any time: it is bound inside a directory of mode 0700 and renamed into
// place, since the umask belongs to the whole process. A socket that was left
// behind is replaced; one on which somebody answers gives ErrInUse, and a file
// that is no socket an error. Closing the listener removes the file.
func Listen(path string) (net.Listener, error) {
	dir, name := filepath.Split(path)
	if room := max(0, len(name)-len(".mccd-0123456789/s")); len(dir)+room > maxSocketPath || name == "" {
		return nil, fmt.Errorf("admin socket %q: the path must name a file and have at most %d bytes up to its last slash: set admin_socket", path, maxSocketPath)
	}
	if err := vacant(path); err != nil {
		return nil, err
	}
	private, err := os.MkdirTemp(filepath.Clean(dir), ".mccd-")
	if err != nil {
		return nil, fmt.Errorf("make admin socket: %w", err)
	}
	defer func() { _ = os.RemoveAll(private) }()
	made := filepath.Join(private, "s")
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: made, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("make admin socket: %w", err)
	}
	ln.SetUnlinkOnClose(false)
	info, err := os.Lstat(made)
	if err == nil {
		err = os.Chmod(made, 0o600)
	}
	if err == nil {
		err = os.Rename(made, path)
	}
	if err != nil {
		_ = ln.Close()
		return nil, fmt.Errorf("make admin socket: %w", err)
	}
	return &socket{UnixListener: ln, path: path, info: info}, nil
}

// vacant reports why path cannot be taken, nil if it can.
func vacant(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("make admin socket: %w", err)
	}
	if info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("make admin socket: %s exists and is no socket", path)
	}
	conn, err := net.DialTimeout("unix", path, time.Second)
	switch {
	case err == nil:
		_ = conn.Close()
		return fmt.Errorf("%w: %s", ErrInUse, path)
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, fs.ErrNotExist):
		return nil
	default:
		// Not permitted, or too busy to answer: not ours to take away.
		return fmt.Errorf("%w, or may: %w", ErrInUse, err)
	}
}

// socket is a listener that removes its own file, and no other's.
type socket struct {
	*net.UnixListener
	path string
	info fs.FileInfo
	once sync.Once
}

// Close removes the file and closes the listener. The order matters: while
// the socket is bound its inode cannot be another's.
func (s *socket) Close() error {
	s.once.Do(func() {
		if now, err := os.Lstat(s.path); err == nil && os.SameFile(now, s.info) {
			_ = os.Remove(s.path)
		}
	})
	return s.UnixListener.Close()
}

// Addr returns the path at which the socket stands, not that at which it was
// made.
func (s *socket) Addr() net.Addr { return &net.UnixAddr{Name: s.path, Net: "unix"} }
