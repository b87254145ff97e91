package main

import (
	"bytes"
	"context"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func update() bool { return flag.Lookup("update").Value.String() == "true" }

func TestMain(m *testing.M) {
	flag.Bool("update", false, "write golden files instead of comparing")
	os.Exit(m.Run())
}

// mccd runs one command line without the environment's own settings.
func mccd(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(context.Background(), []string{"HOME=" + t.TempDir()}, args, &out, &errs)
	return code, out.String(), errs.String()
}

// The help texts are the program's manual; a change of one is seen in review.
func TestGoldenHelp(t *testing.T) {
	for _, c := range []string{"", "serve", "join", "status", "config", "config check", "config example", "version"} {
		name := "help-" + strings.ReplaceAll(strings.TrimSpace("mccd "+c), " ", "-") + ".golden"
		code, got, stderr := mccd(t, append(strings.Fields(c), "--help")...)
		if code != 0 || stderr != "" {
			t.Errorf("%s --help: code %d, %q", c, code, stderr)
		}
		path := filepath.Join("testdata", name)
		if update() {
			if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil || string(want) != got {
			t.Errorf("%s: the help text changed (%v); run make generate and look at the difference\n%s", name, err, got)
		}
		if c != "" && c != "config" && c != "version" && !strings.Contains(got, "Examples:") {
			t.Errorf("%s: no example", name)
		}
	}
}

func TestExitCodes(t *testing.T) {
	bad := filepath.Join(t.TempDir(), "bad.yaml")
	text := "listne: x\nlog:\n  level: loud\ntimeouts:\n  stall: 5\n"
	if err := os.WriteFile(bad, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	empty := t.TempDir()
	for _, c := range []struct {
		args string
		code int
		says []string
	}{
		{"version", 0, []string{"mccd "}},
		{"config example", 0, []string{"#listen:"}},
		{"frobnicate", exitUsage, []string{"unknown command", "--help"}},
		{"sreve", exitUsage, []string{"Did you mean", "serve"}},
		{"config frobnicate", exitUsage, []string{"unknown command"}},
		{"", 0, []string{"Available Commands"}},
		{"serve --frobnicate", exitUsage, []string{"unknown flag", `"mccd serve --help"`}},
		{"serve extra", exitUsage, []string{"unknown command"}},
		{"join", exitUsage, []string{"accepts 1 arg"}},
		{"join :7946", exitUsage, []string{"not a peer"}},
		{"status --output xml", exitUsage, []string{"table or json"}},
		{"serve --config /does/not/exist.yaml", exitUsage, []string{"exist.yaml"}},
		{"serve --config " + bad, exitUsage, []string{"bad.yaml:1: listne", "bad.yaml:3: log.level", "bad.yaml:5: timeouts.stall"}},
		{"serve --set limits.nothing=1", exitUsage, []string{"--set: limits.nothing"}},
		{"config check " + bad, exitUsage, []string{"bad.yaml:1: listne"}},
		{"status --data-dir " + empty, exitUnreachable, []string{"no mccd answers", empty}},
	} {
		code, stdout, stderr := mccd(t, strings.Fields(c.args)...)
		if code != c.code {
			t.Errorf("mccd %s: code %d, want %d (%s)", c.args, code, c.code, stderr)
		}
		for _, want := range c.says {
			if !strings.Contains(stdout+stderr, want) {
				t.Errorf("mccd %s: says %q, want %q", c.args, stdout+stderr, want)
			}
		}
	}
}

func TestConfigCheckPasses(t *testing.T) {
	good := filepath.Join(t.TempDir(), "good.yaml")
	_, text, _ := mccd(t, "config", "example")
	if err := os.WriteFile(good, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := mccd(t, "config", "check", good)
	if code != 0 || !strings.Contains(stdout, "no faults") || stderr != "" {
		t.Errorf("code %d, %q, %q", code, stdout, stderr)
	}
}
