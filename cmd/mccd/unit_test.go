package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/mccd/mccd/cmd/mccd/config"
)

func unit(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "deploy", "systemd", "mccd.service"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// systemd must not kill a node that still lets other nodes and downloads end:
// 10 s, the grace, and what the parts of node.Run may take after it.
func TestUnitWaitsForTheGrace(t *testing.T) {
	m := regexp.MustCompile(`(?m)^TimeoutStopSec=(.*)$`).FindStringSubmatch(unit(t))
	if m == nil {
		t.Fatal("no TimeoutStopSec")
	}
	wait, err := time.ParseDuration(m[1])
	if grace := time.Duration(config.Default().Timeouts.ShutdownGrace); err != nil || wait < grace+42*time.Second {
		t.Errorf("TimeoutStopSec=%s (%v) leaves no room after shutdown_grace %s", m[1], err, grace)
	}
}

func TestUnitIsValid(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("no systemd-analyze here")
	}
	// The program is not installed where the unit looks for it.
	text := strings.ReplaceAll(unit(t), "/usr/local/bin/mccd", "/bin/true")
	path := filepath.Join(t.TempDir(), "mccd.service")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(analyze, "verify", "--man=no", path).CombinedOutput()
	if err != nil || strings.Contains(string(out), "Unknown key") {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
}
