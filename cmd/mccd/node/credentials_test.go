package node

import (
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestCredentials: a secret that is not there yet must not count as none.
func TestCredentials(t *testing.T) {
	for name, c := range map[string]struct {
		content string
		mode    os.FileMode
		says    string // of the error; empty = none
	}{
		"good":           {"MCCD1-secret\n", 0o600, ""},
		"padded":         {" \n MCCD1-secret \r\n\n", 0o600, ""},
		"empty":          {"", 0o600, "holds no secret"},
		"white space":    {" \n\t\r\n", 0o600, "holds no secret"},
		"too long":       {strings.Repeat("x", maxCredential+1), 0o600, "more than"},
		"open to others": {"MCCD1-secret", 0o644, "chmod 600"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "secret")
			if err := os.WriteFile(path, []byte(c.content), c.mode); err != nil {
				t.Fatal(err)
			}
			for _, cfg := range []Config{{JoinSecretFile: path}, {TokenFile: path}} {
				n := &Node{cfg: cfg, log: slog.New(slog.DiscardHandler)}
				token, secret, err := n.credentials()
				if c.says != "" {
					if err == nil || !strings.Contains(err.Error(), c.says) {
						t.Errorf("error %v does not say %q", err, c.says)
					}
					continue
				}
				if err != nil || token+string(secret) != "MCCD1-secret" {
					t.Errorf("got %q, %q, %v", token, secret, err)
				}
			}
		})
	}
	n := &Node{cfg: Config{TokenFile: filepath.Join(t.TempDir(), "none")}, log: slog.New(slog.DiscardHandler)}
	if token, _, err := n.credentials(); token != "" || err != nil {
		t.Errorf("no file: %q, %v", token, err)
	}
}

// TestCredentialOfPipe: a pipe has no size, and a secret none the less.
func TestCredentialOfPipe(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	path := pipePath(r)
	if path == "" {
		t.Skip("pipes have no path here")
	}
	if _, err := w.WriteString("MCCD1-secret\n"); err != nil {
		t.Fatal(err)
	}
	_ = w.Close()
	got, err := readCredential(path)
	if err != nil || string(got) != "MCCD1-secret" {
		t.Errorf("got %q, %v", got, err)
	}
}

// pipePath is where an open file can be opened again, empty = nowhere.
func pipePath(f *os.File) string {
	path := filepath.Join("/proc/self/fd", strconv.FormatUint(uint64(f.Fd()), 10))
	if _, err := os.Stat(path); err != nil {
		return ""
	}
	return path
}
