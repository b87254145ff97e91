package config

import (
	"os"
	"path/filepath"
	"testing"
)

func env(pairs map[string]string) func(string) string {
	return func(name string) string { return pairs[name] }
}

func TestLocateFollowsTheServiceManager(t *testing.T) {
	c := Default()
	if err := c.Locate(env(map[string]string{"STATE_DIRECTORY": "/srv/state:/srv/other", "RUNTIME_DIRECTORY": "/run/x"})); err != nil {
		t.Fatal(err)
	}
	if c.DataDir != "/srv/state" || c.AdminSocket != "/run/x/mccd.sock" {
		t.Errorf("data %q, socket %q", c.DataDir, c.AdminSocket)
	}
}

func TestLocateKeepsWhatIsGiven(t *testing.T) {
	c := Default()
	c.DataDir, c.AdminSocket = "/srv/a", "/srv/b.sock"
	if err := c.Locate(env(map[string]string{"STATE_DIRECTORY": "/srv/state"})); err != nil {
		t.Fatal(err)
	}
	if c.DataDir != "/srv/a" || c.AdminSocket != "/srv/b.sock" {
		t.Errorf("data %q, socket %q", c.DataDir, c.AdminSocket)
	}
	if got := c.Sockets(true); len(got) != 1 || got[0] != "/srv/b.sock" {
		t.Errorf("sockets %q", got)
	}
}

func TestSocketsAreTriedOnce(t *testing.T) {
	c := Default()
	c.AdminSocket = systemSocket
	if got := c.Sockets(false); len(got) != 2 || got[0] != systemSocket || got[1] == systemSocket {
		t.Errorf("sockets %q", got)
	}
}

func TestSocketIsBesideTheData(t *testing.T) {
	c := Default()
	c.DataDir = t.TempDir()
	if err := c.Locate(env(nil)); err != nil {
		t.Fatal(err)
	}
	if c.AdminSocket != filepath.Join(c.DataDir, "mccd.sock") {
		t.Errorf("socket %q", c.AdminSocket)
	}
}

func TestDataDirOfAUser(t *testing.T) {
	if os.Geteuid() == 0 || writable(systemData) {
		t.Skip("this user may write " + systemData)
	}
	for want, pairs := range map[string]map[string]string{
		"/home/a/.local/state/mccd": {"HOME": "/home/a"},
		"/xdg/mccd":                 {"HOME": "/home/a", "XDG_STATE_HOME": "/xdg"},
		"":                          {},
	} {
		if got := defaultDataDir(env(pairs)); got != want {
			t.Errorf("%v: got %q, want %q", pairs, got, want)
		}
	}
}

// The cache takes from the free space itself, so the default must not shrink
// from start to start.
func TestDefaultDriveIsRemembered(t *testing.T) {
	c := Default()
	c.DataDir = t.TempDir()
	first, err := c.DefaultDrive()
	if err != nil || first.Size < minDrive || first.Size > maxDefaultDrive {
		t.Fatalf("got %+v, %v", first, err)
	}
	kept := filepath.Join(c.DataDir, defaultDriveFile)
	if err := os.WriteFile(kept, []byte("64MiB\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	again, err := c.DefaultDrive()
	if err != nil || again != (Drive{first.Path, 64 << 20}) {
		t.Errorf("got %+v, %v", again, err)
	}
	if err := os.WriteFile(kept, []byte("scribble"), 0o600); err != nil {
		t.Fatal(err)
	}
	if again, err = c.DefaultDrive(); err != nil || again.Size < minDrive {
		t.Errorf("after a broken file: got %+v, %v", again, err)
	}
}
