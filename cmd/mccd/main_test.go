package main

import (
	"bytes"
	"context"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

func update() bool { return flag.Lookup("update").Value.String() == "true" }

func TestMain(m *testing.M) {
	flag.Bool("update", false, "write golden files instead of comparing")
	os.Exit(m.Run())
}

// mccd runs one command line without the environment's own settings.
func mccd(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	return mccdWith(t, "", nil, args...)
}

// mccdWith is mccd with a standard input and more of an environment.
func mccdWith(t *testing.T, stdin string, environ []string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	environ = append([]string{"HOME=" + t.TempDir()}, environ...)
	code = run(context.Background(), environ, args, strings.NewReader(stdin), &out, &errs)
	return code, out.String(), errs.String()
}

// commands returns the path of every command that is not cobra's own, the root
// as "".
func commands() []string {
	var paths []string
	var walk func(cmd *cobra.Command)
	walk = func(cmd *cobra.Command) {
		paths = append(paths, strings.TrimSpace(strings.TrimPrefix(cmd.CommandPath(), "mccd")))
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
	}
	walk(newRoot(nil))
	return paths
}

// The help texts are the program's manual; a change of one is seen in review.
func TestGoldenHelp(t *testing.T) {
	for _, c := range commands() {
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
		if !strings.Contains(got, "Available Commands:") && c != "version" && !strings.Contains(got, "Examples:") {
			t.Errorf("%s: no example", name)
		}
		for line := range strings.Lines(strings.TrimSuffix(got, "\n")) {
			if before, _, ok := strings.Cut(got, "Flags:"); ok && strings.Contains(before, line) && len(line) > 82 {
				t.Errorf("%s: longer than a terminal is wide: %s", name, line)
			}
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
	badTLS := filepath.Join(t.TempDir(), "tls.yaml")
	if err := os.WriteFile(badTLS, []byte("tls:\n  cert_file: "+bad+"\n  key_file: "+bad+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
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
		{"", 0, []string{"The cluster, through the node that runs here:"}},
		{"serve --frobnicate", exitUsage, []string{"unknown flag", `"mccd serve --help"`}},
		{"serve extra", exitUsage, []string{"unknown command"}},
		{"join", exitUsage, []string{"accepts 1 arg"}},
		{"join :7947", exitUsage, []string{"not a peer"}},
		{"join MCCD1-abc", exitUsage, []string{"a token stands in place of a peer"}},
		{"rotate all", exitUsage, []string{"invalid argument"}},
		{"token create --ttl 5", exitUsage, []string{"--ttl"}},
		{"token create --uses 0", exitUsage, []string{"--uses"}},
		{"token revoke MCCD1-abc", exitUsage, []string{"name its id"}},
		{"node set beta", exitUsage, []string{"--name, --zone or --weight"}},
		{"node set beta --weight 5", exitUsage, []string{"use 1 to 4"}},
		{"purge ftp://a/b", exitUsage, []string{"not a URL"}},
		{"restore - --passphrase-file -", exitUsage, []string{"cannot both"}},
		{"backup " + empty + " --passphrase-file x", exitUsage, []string{"--force"}},
		{"token list --output xml", exitUsage, []string{"table or json"}},
		{"status --output xml", exitUsage, []string{"table or json"}},
		{"serve --config /does/not/exist.yaml", exitUsage, []string{"exist.yaml"}},
		{"serve --config " + bad, exitUsage, []string{"bad.yaml:1: listne", "bad.yaml:3: log.level", "bad.yaml:5: timeouts.stall"}},
		{"serve --set limits.nothing=1", exitUsage, []string{"--set: limits.nothing"}},
		{"config check " + bad, exitUsage, []string{"bad.yaml:1: listne"}},
		{"config check " + badTLS, exitUsage, []string{"tls.yaml:2: tls.cert_file", "holds no PEM block"}},
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
