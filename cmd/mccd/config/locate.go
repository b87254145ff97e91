package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

const (
	systemData   = "/var/lib/mccd"
	systemSocket = "/run/mccd/mccd.sock"
	socketName   = "mccd.sock"
	// maxDefaultDrive bounds the cache of a node that was told nothing.
	maxDefaultDrive = Size(100 << 30)
	// blindDefaultDrive is its size where the free space cannot be learned.
	blindDefaultDrive = Size(10 << 30)
	defaultDriveFile  = "default-drive-size"
)

// Locate fills in the paths that depend on the machine: the data directory and
// the admin socket. getenv is os.Getenv, for STATE_DIRECTORY and
// RUNTIME_DIRECTORY (systemd.exec(5)), XDG_STATE_HOME and HOME. It creates
// nothing.
func (c *Config) Locate(getenv func(string) string) error {
	if c.DataDir == "" {
		c.DataDir = defaultDataDir(getenv)
	}
	if c.DataDir == "" {
		return Faults{{Key: "data_dir", Text: "has no default here, as neither " + systemData + " is writable nor HOME is set; name a directory"}}
	}
	abs, err := filepath.Abs(c.DataDir)
	if err != nil {
		return err
	}
	c.DataDir = abs
	if c.AdminSocket == "" {
		dir := c.DataDir
		if run := first(getenv("RUNTIME_DIRECTORY")); run != "" {
			dir = run
		}
		c.AdminSocket = filepath.Join(dir, socketName)
	}
	if err := checkSocket(c.AdminSocket); err != nil {
		return Faults{{Key: "admin_socket", Text: c.AdminSocket + " " + err.Error() + "; name a shorter path"}}
	}
	return nil
}

// Sockets returns where a running daemon may be reached, the likeliest first.
// It is called after Locate; given says that admin_socket was given.
func (c *Config) Sockets(given bool) []string {
	if given {
		return []string{c.AdminSocket}
	}
	sockets := []string{c.AdminSocket}
	for _, path := range []string{systemSocket, filepath.Join(systemData, socketName)} {
		if path != c.AdminSocket {
			sockets = append(sockets, path)
		}
	}
	return sockets
}

// first returns the first of the colon-separated directories that the service
// manager passes.
func first(list string) string {
	dir, _, _ := strings.Cut(list, ":")
	return dir
}

func defaultDataDir(getenv func(string) string) string {
	if dir := first(getenv("STATE_DIRECTORY")); dir != "" {
		return dir
	}
	if os.Geteuid() == 0 || writable(systemData) {
		return systemData
	}
	if dir := getenv("XDG_STATE_HOME"); dir != "" {
		return filepath.Join(dir, "mccd")
	}
	if home := getenv("HOME"); home != "" {
		return filepath.Join(home, ".local", "state", "mccd")
	}
	return ""
}

// DefaultDrive returns the drive of a node that was told none: cache in the
// data directory, half of the space that is free there at the first start, at
// most 100 GiB. The size is kept in a file of the data directory, which must
// exist, since the cache itself takes from the free space later.
func (c *Config) DefaultDrive() (Drive, error) {
	drive := Drive{Path: filepath.Join(c.DataDir, "cache")}
	kept := filepath.Join(c.DataDir, defaultDriveFile)
	text, err := os.ReadFile(kept)
	if err == nil {
		if size, parseErr := ParseSize(string(text)); parseErr == nil && size >= minDrive {
			drive.Size = size
			return drive, nil
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return drive, err
	}
	drive.Size = blindDefaultDrive
	if free, ok := freeSpace(c.DataDir); ok {
		// A multiple of 1 MiB, so that the number reads well.
		drive.Size = max(minDrive, min(Size(free)/2, maxDefaultDrive)>>20<<20)
	}
	return drive, os.WriteFile(kept, []byte(drive.Size.String()+"\n"), 0o600)
}
