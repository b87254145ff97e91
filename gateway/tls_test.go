package gateway

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// underTLS begins the names of tests whose nodes and clients speak TLS.
const underTLS = "TestUnderTLS"

// underTLS makes all listeners those of https clients, and returns what clients
// use.
func (c *Config) underTLS(t testing.TB) *tls.Config {
	t.Helper()
	c.TLSListeners, c.Listeners = c.Listeners, nil
	creds := &Credentials{Certificate: selfSigned(t, "cache")}
	c.Credentials = func() *Credentials { return creds }
	return &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2", "http/1.1"}}
}

// dial connects as the node's clients do.
func (n *node) dial() (net.Conn, error) {
	if n.client == nil {
		return net.Dial("tcp", n.addr)
	}
	return tls.Dial("tcp", n.addr, n.client)
}

// tcp returns the connection below TLS.
func tcp(c net.Conn) *net.TCPConn {
	if s, ok := c.(*tls.Conn); ok {
		c = s.NetConn()
	}
	return c.(*net.TCPConn)
}

func selfSigned(t testing.TB, name string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{name}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// TestUnderTLS: https is served by the contract of http.
func TestUnderTLS(t *testing.T) {
	for name, test := range map[string]func(*testing.T){
		"keep-alive": TestKeepAlive, "head": TestHead, "header names": TestHeaderNamesOnTheWire, "followed fill": TestFollowedFill,
		"cut": TestCutInMidBody, "bad run": TestBadRunIsCut, "no byte": TestNoByteInTime, "herd": TestHerd, "early bytes": TestEarlyBytes,
		"takes nothing": TestClientThatTakesNothing, "takes enough": TestSlowClientThatTakesEnough, "leaves": TestClientThatLeaves,
		"cut after grace": TestDrainCutsAfterTheGrace, "rest": TestRest, "no allocation": TestNoAllocationPerRun,
		"whole": testWholeOverTLS, "odd": testOddOverTLS, "old": testNoEndAfterACut, "silent": testNoHandshake, "idle": testDrainClosesIdle,
	} {
		t.Run(name, test)
	}
}

// testWholeOverTLS: https names an https origin, speaks HTTP/1.1 only, and
// bytes of many records are right.
func testWholeOverTLS(t *testing.T) {
	n := startNode(t, 3<<20+17, nil)
	c := dial(t, n)
	if p := c.(*tls.Conn).ConnectionState().NegotiatedProtocol; p != "http/1.1" {
		t.Errorf("negotiated %q", p)
	}
	r := newReader(c)
	for _, span := range []string{"0-", "1-1", "16383-16384", "100-1500000"} {
		ask(t, c, "GET /a?cacheHostOrigin="+doHost+" HTTP/1.1\r\nHost: cache\r\nRange: bytes="+span+"\r\n\r\n")
		a := readAnswer(r, "GET")
		var from, to int
		if n, _ := fmt.Sscanf(span, "%d-%d", &from, &to); n < 2 {
			to = 3<<20 + 16
		}
		if a.status != 206 || !bytes.Equal(a.body, n.source.data[from:to+1]) {
			t.Errorf("%s: status %d, error %v, %d bytes", span, a.status, a.err, len(a.body))
		}
	}
	if reqs := n.source.requests(); reqs[0].Ref.Scheme != "https" {
		t.Errorf("scheme %q", reqs[0].Ref.Scheme)
	}
	if n.metric(t, "mccd_gateway_tls_handshakes_total", "full") != 1 {
		t.Error("the handshake was not counted")
	}
}

// testOddOverTLS: what net/http reads is https as well.
func testOddOverTLS(t *testing.T) {
	n := startNode(t, 300<<10, nil)
	c := dial(t, n)
	r := newReader(c)
	keep := "GET /a HTTP/1.1\r\nHost: " + doHost + "\r\n"
	for _, line := range []string{"", "Connection: keep-alive, x\r\n", "", "X: y\r\n"} {
		ask(t, c, keep+line+"\r\n")
		if a := readAnswer(r, "GET"); a.status != 200 || !bytes.Equal(a.body, n.source.data) {
			t.Errorf("%q: status %d, error %v, %d bytes", line, a.status, a.err, len(a.body))
		}
	}
	for i, req := range n.source.requests() {
		if req.Ref.Scheme != "https" {
			t.Errorf("request %d: scheme %q", i, req.Ref.Scheme)
		}
	}
}

// testNoEndAfterACut: a body that only the connection's end ends, and that is
// not whole, ends without a word of TLS.
func testNoEndAfterACut(t *testing.T) {
	n := startNode(t, 200<<10, nil)
	n.source.steps = []step{{max: 64 << 10}, {err: errors.New("lost")}}
	c := dial(t, n)
	ask(t, c, "GET /a HTTP/1.0\r\nHost: "+doHost+"\r\n\r\n")
	if got, err := io.ReadAll(c); err == nil {
		t.Errorf("%d bytes, and a proper end", len(got))
	}
}

// testNoHandshake: a client that says nothing is closed in time.
func testNoHandshake(t *testing.T) {
	n := startNode(t, 10, func(c *Config) { c.ReadHeader = 20 * time.Millisecond })
	c, err := net.Dial("tcp", n.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("somebody answered")
	}
	if err := n.stop(); err != nil || n.metric(t, "mccd_gateway_tls_handshakes_total", "failed") != 1 {
		t.Errorf("not counted as failed, %v", err)
	}
}

// testDrainClosesIdle: a connection that waits for its next request is closed
// at once, with TLS's own end.
func testDrainClosesIdle(t *testing.T) {
	n := startNode(t, 10, nil)
	c := dial(t, n)
	ask(t, c, "GET /a HTTP/1.1\r\nHost: "+doHost+"\r\n\r\n")
	r := newReader(c)
	if a := readAnswer(r, "GET"); a.status != 200 {
		t.Fatalf("%+v", a)
	}
	if err := n.stop(); err != nil {
		t.Error(err)
	}
	if _, err := r.ReadByte(); err != io.EOF {
		t.Errorf("ended with %v", err)
	}
}

// TestCredentialsChange: connections that are there go on, those that begin get
// the new certificate; without one, only handshakes fail.
func TestCredentialsChange(t *testing.T) {
	var now atomic.Pointer[Credentials]
	n := startNode(t, 1000, func(c *Config) {
		c.TLSListeners, c.Listeners = c.Listeners, nil
		c.Credentials = now.Load
	})
	n.client = &tls.Config{InsecureSkipVerify: true, ClientSessionCache: tls.NewLRUClientSessionCache(4)}
	if _, err := n.dial(); err == nil || !strings.Contains(err.Error(), "internal error") {
		t.Errorf("without a certificate: %v", err)
	}
	var conns []net.Conn
	for i, name := range []string{"one", "two"} {
		now.Store(&Credentials{Certificate: selfSigned(t, name), TicketKeys: [][32]byte{{byte(i)}, {0}}})
		c := dial(t, n)
		state := c.(*tls.Conn).ConnectionState()
		if i == 0 && state.PeerCertificates[0].DNSNames[0] != name {
			t.Errorf("%s is served for %s", state.PeerCertificates[0].DNSNames[0], name)
		}
		if state.DidResume != (i > 0) {
			t.Errorf("connection %d resumed: %v", i, state.DidResume)
		}
		conns = append(conns, c)
		for _, c := range conns {
			ask(t, c, "GET /a HTTP/1.1\r\nHost: "+doHost+"\r\n\r\n")
			if a := readAnswer(newReader(c), "GET"); a.status != 200 || len(a.body) != 1000 {
				t.Errorf("%+v", a)
			}
		}
	}
	n.client = &tls.Config{InsecureSkipVerify: true}
	if got := dial(t, n).(*tls.Conn).ConnectionState().PeerCertificates[0].DNSNames[0]; got != "two" {
		t.Errorf("%s is served", got)
	}
}

// TestHTTP2: it is offered only where that was asked for, and requests that
// share a connection do not share its state.
func TestHTTP2(t *testing.T) {
	const size = 2<<20 + 5
	n := startNode(t, size, func(c *Config) {
		c.HTTP2 = true
		c.underTLS(t)
	})
	protocols := new(http.Protocols)
	protocols.SetHTTP2(true)
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, Protocols: protocols}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			req, _ := http.NewRequestWithContext(context.Background(), http.MethodGet, "https://"+n.addr+"/a?cacheHostOrigin="+doHost, nil)
			req.Header.Set("Range", fmt.Sprintf("bytes=%d-", i*1000))
			resp, err := client.Do(req)
			if err != nil {
				t.Error(err)
				return
			}
			defer resp.Body.Close()
			got, err := io.ReadAll(resp.Body)
			if err != nil || resp.ProtoMajor != 2 || resp.StatusCode != 206 || !bytes.Equal(got, n.source.data[i*1000:]) {
				t.Errorf("%s %s, %d bytes, %v", resp.Proto, resp.Status, len(got), err)
			}
		})
	}
	wg.Wait()
	n.client = &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}}
	if a := n.get(t, doHost, "/a"); a.status != 200 || len(a.body) != size {
		t.Errorf("HTTP/1.1: %d, %v", a.status, a.err)
	}
}

// TestHTTP2StreamThatTakesNothing is reset, and its content released, while its
// connection goes on. A machine on which even the head comes too late gets more
// time for it.
func TestHTTP2StreamThatTakesNothing(t *testing.T) {
	window := 100 * time.Millisecond
	for ; window < 10*time.Second; window *= 10 {
		if err := takeNothing(t, window); err == nil {
			return
		}
	}
	t.Fatalf("no head within %s", window)
}

// takeNothing has a stream take nothing, with a window. The error is that of a
// head that does not come.
func takeNothing(t *testing.T, window time.Duration) error {
	n := startNode(t, 8<<20, func(c *Config) {
		c.HTTP2, c.SlowWindow = true, window
		c.underTLS(t)
	})
	protocols := new(http.Protocols)
	protocols.SetHTTP2(true)
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, Protocols: protocols}
	defer transport.CloseIdleConnections()
	url := "https://" + n.addr + "/a?cacheHostOrigin=" + doHost
	resp, err := (&http.Client{Transport: transport}).Get(url)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	n.log.await(t, `"cut":"client"`)
	if got, err := io.ReadAll(resp.Body); err == nil {
		t.Errorf("%d bytes, and a proper end", len(got))
	}
	again, err := (&http.Client{Transport: transport}).Head(url)
	if err != nil {
		t.Fatal(err)
	}
	_ = again.Body.Close()
	if again.StatusCode != 200 || n.metric(t, "mccd_gateway_tls_handshakes_total", "full") != 1 {
		t.Errorf("%s, on another connection", again.Status)
	}
	return nil
}

// TestIntroductionUnderTLS: a balancer's header stands before TLS, and counts
// for each protocol within.
func TestIntroductionUnderTLS(t *testing.T) {
	n := startNode(t, 100, func(c *Config) {
		c.HTTP2 = true
		c.underTLS(t)
		c.ProxyProtocol = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
		c.AllowClients = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	})
	for _, protocol := range []string{"http/1.1", "h2"} {
		for from, want := range map[string]int{"192.0.2.9": 200, "203.0.113.9": 503} {
			protocols := new(http.Protocols)
			protocols.SetHTTP1(protocol != "h2")
			protocols.SetHTTP2(protocol == "h2")
			transport := &http.Transport{
				Protocols: protocols, DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
				DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
					c, err := new(net.Dialer).DialContext(ctx, network, n.addr)
					if err == nil {
						_, err = io.WriteString(c, "PROXY TCP4 "+from+" 192.0.2.1 1000 443\r\n")
					}
					return c, err
				},
			}
			resp, err := (&http.Client{Transport: transport}).Get("https://cache/a?cacheHostOrigin=" + doHost)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			transport.CloseIdleConnections()
			if resp.StatusCode != want || (resp.ProtoMajor == 2) != (protocol == "h2") {
				t.Errorf("%s from %s: %s %s, want %d", protocol, from, resp.Proto, resp.Status, want)
			}
		}
	}
	if c, err := n.dialTLS(); err == nil {
		c.Close()
		t.Error("a connection without a header was served")
	}
}

func (n *node) dialTLS() (net.Conn, error) {
	return tls.Dial("tcp", n.addr, &tls.Config{InsecureSkipVerify: true})
}
