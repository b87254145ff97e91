package e2e_test

import (
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mccd/mccd/test/faultorigin"
	"github.com/mccd/mccd/test/process"
)

// secured is a bed whose nodes serve https at one port, for origins that speak
// https too.
type secured struct {
	*bed
	*process.Authority
	// content and packages are the origins behind TLS.
	content  *faultorigin.Server
	packages *registry
	root     string
	port     string
	dir      string
}

func newSecured(t *testing.T, dir string) *secured {
	t.Helper()
	authority, err := process.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	s := &secured{Authority: authority, dir: t.TempDir()}
	if s.root, err = authority.WriteRoot(s.dir); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SSL_CERT_FILE", s.root) // the nodes trust it, and nothing else
	if s.content, err = faultorigin.NewHandler(faultorigin.Config{Dir: dir}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.content.Close)
	chain, key, err := authority.Issue(time.Now().Add(time.Hour), filesHost, debHost, npmHost)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := tls.X509KeyPair(chain, key)
	if err != nil {
		t.Fatal(err)
	}
	s.port = samePort(t)
	s.packages = newRegistry(t, "https://"+npmHost+":"+s.port)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.Host, npmHost) {
			s.packages.ServeHTTP(w, r)
			return
		}
		s.content.ServeHTTP(w, r)
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	server.StartTLS()
	t.Cleanup(server.Close)
	port := 0
	if _, err := fmt.Sscan(s.port, &port); err != nil {
		t.Fatal(err)
	}
	s.bed = newBed(t, setting{nodes: 3,
		vhosts: []map[string]any{{
			"name": "files", "hosts": []string{filesHost, debHost, npmHost}, "connect": server.Listener.Addr().String(), "ports": []int{443, port},
		}},
		amend: func(_ int, settings map[string]any) {
			ip, _, _ := net.SplitHostPort(settings["listen"].(string))
			settings["https_listen"] = net.JoinHostPort(ip, s.port)
		},
	})
	return s
}

// samePort returns a port that is free at the addresses of three nodes.
func samePort(t *testing.T) string {
	t.Helper()
	for port := 21043; port < 31000; port += 97 {
		free := true
		for i := range 3 {
			l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.%d:%d", i+1, port))
			if free = err == nil; !free {
				break
			}
			_ = l.Close()
		}
		if free {
			return fmt.Sprint(port)
		}
	}
	t.Fatal("no port is free at three addresses")
	return ""
}

// renew has a new key made at one node and its certificate imported at another.
func (s *secured) renew(kind string, from, to int) {
	s.Helper()
	csr := s.command(0, s.Nodes[from], "tls", "csr", "--name", filesHost, "--name", debHost, "--name", npmHost, "--key", kind)
	if block, _ := pem.Decode([]byte(csr)); block == nil {
		s.Fatalf("mccd tls csr printed %q", csr)
	}
	chain, err := s.Sign([]byte(csr), time.Now().Add(90*24*time.Hour))
	if err != nil {
		s.Fatal(err)
	}
	file := filepath.Join(s.dir, "chain.pem")
	if err := os.WriteFile(file, chain, 0o600); err != nil {
		s.Fatal(err)
	}
	s.command(0, s.Nodes[to], "tls", "import", file)
}

// TestRealHTTPS: apt-get, npm, curl, wget and aria2c use virtual hosts by https,
// by their names, at each node; only the first run costs the origin bytes.
func TestRealHTTPS(t *testing.T) {
	program(t, "unshare")
	const path, size = "/pool/big.iso", 9*mib + 5
	d := newDebian(t, true)
	if _, err := exec.LookPath("dpkg-deb"); err == nil {
		d.begin(time.Now().Add(-10 * 24 * time.Hour))
	}
	s := newSecured(t, d.dir)
	s.content.Add(faultorigin.Object{Path: path, Size: size, Header: http.Header{"Cache-Control": {"max-age=3600"}}})
	want := make([]byte, size)
	faultorigin.Fill(want, path, faultorigin.DefaultVersion, 0)
	s.renew("ec", 0, 1)
	for i := range s.Nodes {
		before, packages := s.content.Ledger().Bytes(""), s.packages.total()
		at := func(what string, use func(c *client)) {
			t.Run(fmt.Sprintf("%s at node %d", what, i+1), func(t *testing.T) {
				program(t, what)
				c := s.at(t, i)
				if !c.named(debHost, npmHost, filesHost) {
					t.Skip("programs cannot be given a hosts file here (needs root, or user namespaces)")
				}
				use(c)
			})
		}
		at("apt-get", func(c *client) {
			program(c.T, "dpkg-deb")
			c.aptFor(d, "https://"+debHost+":"+s.port, fmt.Sprintf("Acquire::https::CaInfo %q;", s.root))
			c.fetches(d)
		})
		at("npm", func(c *client) { c.installs("1.0.0", "--registry", s.packages.base, "--cafile", s.root) })
		url := "https://" + filesHost + ":" + s.port + path
		for what, argv := range map[string][]string{
			"curl":   {"-sS", "-f", "--cacert", s.root, "-o", "got"},
			"wget":   {"-q", "--ca-certificate=" + s.root, "-O", "got"},
			"aria2c": {"-q", "--no-conf", "-x4", "-s4", "-k1M", "--file-allocation=none", "--ca-certificate=" + s.root, "-o", "got"},
		} {
			at(what, func(c *client) {
				c.do(append(append([]string{what}, argv...), url)...)
				same(c.T, c.file("got"), want)
			})
		}
		if i == 0 {
			continue
		}
		if sent := s.content.Ledger().Bytes("") - before; sent != 0 {
			t.Errorf("node %d: the origin sent %d bytes again", i+1, sent)
		}
		s.packages.nothingSince(t, fmt.Sprintf("node %d", i+1), packages)
	}
}
