package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mccd/mccd/test/process"
)

// TestSecondProcess: one data directory, one process.
func TestSecondProcess(t *testing.T) {
	for what, share := range map[string]string{"data directory": "data_dir", "drive": "drives"} {
		t.Run(what, func(t *testing.T) {
			var first any
			b := prepareBed(t, setting{nodes: 2, alone: true, amend: func(i int, settings map[string]any) {
				if i == 0 {
					first = settings[share]
				}
				settings[share] = first
			}})
			if err := b.Nodes[0].Restart(b.ctx); err != nil {
				t.Fatal(err)
			}
			if err := b.Nodes[1].Start(); err != nil {
				t.Fatal(err)
			}
			soon, cancel := context.WithTimeout(b.ctx, 20*time.Second)
			defer cancel()
			code, err := b.Nodes[1].Wait(soon)
			if err != nil {
				t.Fatalf("a second process on one %s goes on: %v", what, err)
			}
			log, err := os.ReadFile(b.Nodes[1].LogFile)
			if err != nil {
				t.Fatal(err)
			}
			if code != 1 || len(log) == 0 {
				t.Errorf("exit code %d, not 1; it said %q", code, log)
			}
			t.Logf("the second process said: %s", strings.TrimSpace(string(log)))
			// The first one is none the worse for it.
			o := b.object("/filestreamingservice/files/second", 2*mib)
			b.read(o, 0, o.Whole())
		})
	}
}

// TestBadConfiguration: every fault at once, with its line, and exit code 2.
func TestBadConfiguration(t *testing.T) {
	b := prepareBed(t, setting{})
	file := filepath.Join(t.TempDir(), "bad.yaml")
	text := "listne: \":80\"\ndata_dir: /tmp/x\ndrives:\n  - path: /tmp/x\n    size: 12parsecs\ntimeouts:\n  connect: soon\norigins:\n  - name: a\n    hosts: []\n    profile: ftp\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	out, code, err := b.Nodes[0].Command(b.ctx, "serve", "--config", file)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("exit code %d\n%s", code, out)
	if code != 2 {
		t.Errorf("exit code %d, not 2", code)
	}
	for line, word := range map[int]string{1: "listen", 5: "size", 7: "connect", 11: "profile"} {
		if at := fmt.Sprintf("bad.yaml:%d", line); !strings.Contains(out, at) || !strings.Contains(out, word) {
			t.Errorf("no fault at %s about %q", at, word)
		}
	}
}

// TestOperatorsPages: health, readiness, metrics and status of a running node,
// none of them on the clients' port.
func TestOperatorsPages(t *testing.T) {
	b := newBed(t, setting{})
	n := b.Nodes[0]
	for _, path := range []string{"/metrics", "/healthz", "/readyz"} {
		for addr, want := range map[string]bool{n.Ops: true, n.Addr: false} {
			req, err := http.NewRequestWithContext(b.ctx, http.MethodGet, "http://"+addr+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			if got := resp.StatusCode == http.StatusOK; got != want {
				t.Errorf("%s at %s: %s", path, addr, resp.Status)
			}
		}
	}
	out, code, err := n.Command(b.ctx, "version")
	if err != nil || code != 0 || !strings.Contains(out, "mccd") {
		t.Errorf("version: exit code %d, %v: %s", code, err, out)
	}
	status, err := n.Status(b.ctx)
	if err != nil {
		t.Fatal(err)
	}
	text, _ := json.Marshal(status)
	t.Logf("status: %s", text)
	if status.Name != n.Name || len(status.Drives) != 1 || status.Alive() != 1 {
		t.Errorf("status: %s", text)
	}
	if err := n.Stop(b.ctx); err != nil {
		t.Fatal(err)
	}
	if out, code, err := n.Command(b.ctx, "status", "--admin-socket", n.Socket); err != nil || code != 3 {
		t.Errorf("status without a daemon: exit code %d, %v: %s", code, err, out)
	}
}

// TestUnknownHost: a host that is not served is refused, and no secret of a
// request is found in a log.
func TestUnknownHostAndSecrets(t *testing.T) {
	b := newBed(t, setting{})
	n := b.Nodes[0]
	o := b.object("/filestreamingservice/files/signed", 2*mib)
	o.Path += "?P1=1&P4=s3cr3t%2bT0ken"
	b.origin.Ledger().Reset()
	b.read(o, 0, o.Pieces())
	if got := b.origin.Ledger().Requests("")[0].Query; got != "P1=1&P4=s3cr3t%2bT0ken" {
		t.Errorf("the origin got the query %q", got)
	}
	c := process.URL(n.Addr, "/x?P4=s3cr3t%2bT0ken", "not.served.example")
	req, err := http.NewRequestWithContext(b.ctx, http.MethodGet, c, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusForbidden {
		t.Errorf("a host that is not served: %s", resp.Status)
	}
	if err := n.Stop(b.ctx); err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir(n.Dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		if strings.Contains(string(text), "s3cr3t") {
			t.Errorf("the token is in %s", filepath.Base(path))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
