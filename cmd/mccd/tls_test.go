package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mccd/mccd/cluster/admin"
	"github.com/mccd/mccd/cluster/state"
)

func (f *fakeNode) CreateTLSKey(_ context.Context, s state.TLSKeySpec) ([]byte, error) {
	return []byte("-----BEGIN CERTIFICATE REQUEST-----\n"), f.ask("csr %s %s", strings.Join(s.Names, ","), s.Kind)
}

func (f *fakeNode) ImportTLS(_ context.Context, chain, key []byte) (state.TLSStatus, error) {
	return sampleTLS(), f.ask("import %s %s", chain, key)
}

func (f *fakeNode) TLSStatus(context.Context) (state.TLSStatus, error) {
	return sampleTLS(), f.ask("tls")
}

func sampleTLS() state.TLSStatus {
	fingerprint := strings.Repeat("ab", 32)
	end := time.Now().Add(20*24*time.Hour + time.Hour)
	return state.TLSStatus{
		Certificate: &state.TLSCertificate{
			Names: []string{"cache.example.com"}, Issuer: "Example CA", Key: "RSA 2048", Fingerprint: fingerprint,
			NotBefore: end.Add(-90 * 24 * time.Hour), NotAfter: end,
		},
		Requested: &state.TLSRequested{Names: []string{"next.example.com"}, Key: "Ed25519", CSR: []byte("csr")},
		Nodes: []state.TLSNode{
			{ID: "aa", Name: "alpha", Served: state.ServedTLS{Addr: "0.0.0.0:443", Source: "cluster", Fingerprint: fingerprint, NotAfter: end}},
			{ID: "bb", Name: "beta", Silent: true},
			{ID: "cc", Name: "gamma", Served: state.ServedTLS{Error: "listen for https clients: address already in use"}},
		},
	}
}

func TestTLSCommands(t *testing.T) {
	f := &fakeNode{}
	socket := daemonSocket(t, f)
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for name, text := range map[string]string{cert: "CHAIN", key: "SECRET"} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, o := range []operation{
		{"csr --name cache.example.com --name *.example.com --key ec", "csr cache.example.com,*.example.com ec", []string{"BEGIN CERTIFICATE REQUEST"}},
		{"csr --name cache", "csr cache rsa", nil},
		{"import " + cert, "import CHAIN ", []string{"Certificate for cache.example.com", "issued by Example CA", "in 20 days", "cluster  abababababababab"}},
		{"import " + cert + " --key " + key, "import CHAIN SECRET", nil},
		{"import -", "import STDIN ", nil},
		{"status", "tls", []string{"alpha", "0.0.0.0:443", "no answer", "nowhere", "Warning: gamma: listen", "Requested for next.example.com, key Ed25519"}},
		{"status -o json", "tls", []string{`"names"`, `"silent": true`}},
	} {
		t.Run(o.args, func(t *testing.T) {
			code, stdout, stderr := mccdWith(t, "STDIN", nil, append([]string{"tls"}, append(strings.Fields(o.args), "--admin-socket", socket)...)...)
			if got := f.take(); code != 0 || stderr != "" || got != o.asked {
				t.Fatalf("code %d, asked %q, want %q; %s", code, got, o.asked, stderr)
			}
			for _, want := range o.says {
				if !strings.Contains(stdout, want) {
					t.Errorf("does not say %q:\n%s", want, stdout)
				}
			}
			if strings.Contains(stdout, "SECRET") {
				t.Errorf("tells the key: %s", stdout)
			}
		})
	}
	for _, args := range []string{"csr", "csr --name a --key dsa", "import", "import " + cert + " -o xml"} {
		if code, _, stderr := mccd(t, append([]string{"tls"}, append(strings.Fields(args), "--admin-socket", socket)...)...); code != exitUsage || f.take() != "" {
			t.Errorf("%s: code %d, %s", args, code, stderr)
		}
	}
	if code, _, stderr := mccd(t, "tls", "import", filepath.Join(dir, "none"), "--admin-socket", socket); code != exitFailure || !strings.Contains(stderr, "none") {
		t.Errorf("code %d, %s", code, stderr)
	}
}

func TestTLSJSON(t *testing.T) {
	socket := daemonSocket(t, &fakeNode{})
	_, stdout, _ := mccd(t, "tls", "status", "-o", "json", "--admin-socket", socket)
	var s admin.TLSStatus
	if err := json.Unmarshal([]byte(stdout), &s); err != nil || s.Certificate == nil || len(s.Nodes) != 3 || s.Nodes[2].Error == "" {
		t.Errorf("%v: %s", err, stdout)
	}
}

// TestTLSTableEnds: what is over stands out.
func TestTLSTableEnds(t *testing.T) {
	now := time.Unix(1e9, 0)
	text := tlsTable(admin.TLSStatus{
		Certificate: &admin.TLSCertificate{Names: []string{"a"}, NotAfter: now.Add(-time.Hour)},
		Nodes:       []admin.TLSNode{{Name: "n", Address: ":443", NotAfter: now.Add(47 * time.Hour)}},
	}, now, 100)
	for _, want := range []string{"EXPIRED on", "47 hours"} {
		if !strings.Contains(text, want) {
			t.Errorf("does not say %q:\n%s", want, text)
		}
	}
}
