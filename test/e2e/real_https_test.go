package e2e_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mccd/mccd/test/faultorigin"
	"github.com/mccd/mccd/test/process"
)

// nodesName is what clients call all nodes.
const nodesName = "cache.example"

// secured is a bed whose nodes serve https at one port, for origins that speak
// https too.
type secured struct {
	*bed
	*process.Authority
	// content is the origin behind TLS.
	content *faultorigin.Server
	root    string
	port    string
	dir     string
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
	chain, key, err := authority.Issue(time.Now().Add(time.Hour), filesHost, debHost)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := tls.X509KeyPair(chain, key)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(s.content)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	server.StartTLS()
	t.Cleanup(server.Close)
	s.port = samePort(t)
	port := 0
	if _, err := fmt.Sscan(s.port, &port); err != nil {
		t.Fatal(err)
	}
	s.bed = newBed(t, setting{nodes: 3,
		vhosts: []map[string]any{{
			"name": "files", "hosts": []string{filesHost, debHost}, "connect": server.Listener.Addr().String(), "ports": []int{443, port},
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
	csr := s.command(0, s.Nodes[from], "tls", "csr", "--name", nodesName, "--name", filesHost, "--name", debHost, "--key", kind)
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

// TestRealHTTPS: openssl and curl verify the chain for the one name on each
// node, apt-get works by https, and renewals under load fail no request.
func TestRealHTTPS(t *testing.T) {
	for _, name := range []string{"openssl", "curl"} {
		program(t, name)
	}
	s := newSecured(t, "")
	const path, size = "/pool/big.iso", 9*mib + 5
	s.content.Add(faultorigin.Object{Path: path, Size: size, Header: http.Header{"Cache-Control": {"max-age=3600"}}})
	want := make([]byte, size)
	faultorigin.Fill(want, path, faultorigin.DefaultVersion, 0)
	url := "https://" + nodesName + ":" + s.port + path + "?cacheHostOrigin=" + filesHost

	s.renew("rsa", 0, 1)
	for _, n := range s.Nodes {
		c := s.at(t, n.Index)
		out := c.do("sh", "-c", `openssl s_client -connect "$0" -servername `+nodesName+` -verify_hostname `+nodesName+
			` -verify_return_error -CAfile "$1" -alpn h2,http/1.1 </dev/null`, n.IP+":"+s.port, s.root)
		for _, says := range []string{"Verify return code: 0 (ok)", "ALPN protocol: http/1.1"} {
			if !strings.Contains(out, says) {
				t.Errorf("openssl at %s does not say %q:\n%s", n.Name, says, out)
			}
		}
		argv := []string{"curl", "-sS", "-f", "--cacert", s.root, "--resolve", nodesName + ":" + s.port + ":" + n.IP, "-o", "got", url}
		c.do(argv...)
		same(t, c.file("got"), want)
		c.do(append(argv, "-r", "8388600-")...)
		same(t, c.file("got"), want[8388600:])
		if out, err := c.try("curl", "-sS", "--cacert", s.root, "--resolve", "other.example:"+s.port+":"+n.IP, strings.Replace(url, nodesName, "other.example", 1)); err == nil {
			t.Errorf("curl takes %s for another host: %s", n.Name, out)
		}
	}
	if l := s.content.Ledger(); l.MaxTimes(path) != 1 || l.Bytes(path) != size {
		t.Errorf("the origin sent %d bytes of %d", l.Bytes(path), size)
	}
	s.renewsUnderLoad(t, path, want)
}

// renewsUnderLoad imports certificates of all kinds while clients read, some
// with a connection for each request and some with one for all.
func (s *secured) renewsUnderLoad(t *testing.T, path string, want []byte) {
	t.Helper()
	var done atomic.Int64
	over, end := context.WithCancel(s.ctx)
	defer end()
	var readers sync.WaitGroup
	for i := range 6 {
		transport := &http.Transport{
			TLSClientConfig:   &tls.Config{RootCAs: s.Pool(), ServerName: nodesName, ClientSessionCache: tls.NewLRUClientSessionCache(4)},
			DisableKeepAlives: i < 3,
		}
		defer transport.CloseIdleConnections()
		readers.Go(func() {
			for n := 0; over.Err() == nil; n++ {
				off := (n % 9) * mib
				req, _ := http.NewRequestWithContext(s.ctx, http.MethodGet, "https://"+s.Nodes[i%3].IP+":"+s.port+path+"?cacheHostOrigin="+filesHost, nil)
				req.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", off, off+mib-1))
				resp, err := transport.RoundTrip(req)
				if err != nil {
					t.Errorf("request %d of client %d: %v", n, i, err)
					return
				}
				body, err := io.ReadAll(resp.Body)
				_ = resp.Body.Close()
				if err != nil || resp.StatusCode != http.StatusPartialContent || !bytes.Equal(body, want[off:off+mib]) {
					t.Errorf("request %d of client %d: %d, %d bytes, %v", n, i, resp.StatusCode, len(body), err)
					return
				}
				done.Add(1)
			}
		})
	}
	more := func() {
		t.Helper()
		from := done.Load()
		if err := process.Poll(s.ctx, func(context.Context) error {
			if t.Failed() || done.Load() >= from+12 {
				return nil
			}
			return fmt.Errorf("%d requests", done.Load()-from)
		}); err != nil {
			t.Fatal(err)
		}
	}
	more()
	for i, kind := range []string{"ec", "ed25519", "rsa"} {
		s.renew(kind, i, (i+1)%3)
		more()
	}
	end()
	readers.Wait()
	t.Logf("%d requests while the certificate changed three times", done.Load())
}

// TestRealAptHTTPS: apt-get uses a virtual host by https, by its name.
func TestRealAptHTTPS(t *testing.T) {
	for _, name := range []string{"apt-get", "dpkg-deb", "unshare"} {
		program(t, name)
	}
	d := newDebian(t, true)
	d.begin(time.Now().Add(-10 * 24 * time.Hour))
	s := newSecured(t, d.dir)
	s.renew("ec", 0, 0)
	sent := int64(0)
	for i := range s.Nodes {
		c := s.at(t, i)
		if !c.named(debHost) {
			t.Skip("programs cannot be given a hosts file here (user namespaces, or root)")
		}
		c.aptFor(d, "https://"+debHost+":"+s.port, fmt.Sprintf("Acquire::https::CaInfo %q;", s.root))
		c.fetches(d)
		now := s.content.Ledger().Bytes("")
		if i > 0 && now != sent {
			t.Errorf("at %s: the origin sent %d bytes again", c.node.Name, now-sent)
		}
		sent = now
	}
}
