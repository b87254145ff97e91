package origin

import (
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/mccd/mccd/storage"
)

func TestPublicAddresses(t *testing.T) {
	tests := map[string]bool{
		"8.8.8.8": true, "13.107.4.50": true, "2600:1409::1": true, "::ffff:8.8.8.8": true, "64:ff9b::808:808": true,
		"100.63.255.255": true, "100.128.0.0": true, "172.32.0.1": true, "2002:808:808::1": true,
		"127.0.0.1": false, "127.255.0.1": false, "10.0.0.1": false, "172.16.0.1": false, "172.31.255.255": false,
		"192.168.1.1": false, "169.254.169.254": false, "100.64.0.1": false, "100.127.255.255": false, "0.0.0.0": false,
		"0.1.2.3": false, "224.0.0.1": false, "239.255.255.255": false, "240.0.0.1": false, "255.255.255.255": false,
		"192.0.0.8": false, "192.0.2.1": false, "198.18.0.1": false, "198.51.100.1": false, "203.0.113.1": false,
		"::": false, "::1": false, "fe80::1": false, "fe80::1%eth0": false, "fc00::1": false, "fd12::1": false, "ff02::1": false,
		"fec0::1": false, "2001:db8::1": false, "2001::1": false, "100::1": false, "::ffff:127.0.0.1": false, "::ffff:10.0.0.1": false,
		"::ffff:100.64.0.1": false, "::127.0.0.1": false, "64:ff9b::7f00:1": false, "64:ff9b::a00:1": false,
		"64:ff9b:1::1": false, "2002:7f00:1::1": false, "2002:a00:1::1": false,
	}
	for addr, want := range tests {
		if got := public(netip.MustParseAddr(addr), special()); got != want {
			t.Errorf("public(%s) = %v", addr, got)
		}
	}
}

func TestDialRules(t *testing.T) {
	tests := []struct {
		name   string
		change func(*storage.Rule, *storage.Ref)
		says   string
	}{
		{"private without allow_private", func(r *storage.Rule, _ *storage.Ref) { r.AllowPrivate = false }, "allow_private: true"},
		{"name that resolves to loopback", func(r *storage.Rule, f *storage.Ref) {
			r.AllowPrivate, r.Connect, f.Host = false, "", "localhost"
		}, "allow_private: true"},
		{"address in the URL", func(r *storage.Rule, f *storage.Ref) {
			r.AllowPrivate, r.Connect, f.Host = false, "", "127.0.0.1"
		}, "allow_private: true"},
		{"mapped address in the URL", func(r *storage.Rule, f *storage.Ref) {
			r.AllowPrivate, r.Connect, f.Host = false, "", "[::ffff:127.0.0.1]"
		}, "allow_private: true"},
		{"port not listed", func(_ *storage.Rule, f *storage.Ref) { f.Host += ":8080" }, "ports:"},
		{"default port not listed", func(r *storage.Rule, _ *storage.Ref) { r.Ports = []int{8080} }, "ports:"},
	}
	for _, tt := range tests {
		b := newBed(t, Config{})
		rule, f := *b.rule, ref()
		tt.change(&rule, &f)
		_, err := b.fetch(t, Request{Ref: f, Rule: &rule, Whole: true})
		if !errors.Is(err, ErrRefused) || !errors.Is(err, storage.ErrUpstream) || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: error %v, want one that says %q", tt.name, err, tt.says)
		}
		if n := len(b.origin.Ledger().Entries()); n != 0 {
			t.Errorf("%s: the origin was reached", tt.name)
		}
	}
}

func TestListedPortAndConnect(t *testing.T) {
	b := newBed(t, Config{})
	b.rule.Ports = []int{8080}
	f := ref()
	f.Host += ":8080"
	resp, err := b.fetch(t, Request{Ref: f, Whole: true})
	if err != nil {
		t.Fatal(err)
	}
	right(t, resp, "1", span(0, size))
	if e := b.origin.Ledger().Requests(path); e[0].Host != host+":8080" {
		t.Errorf("Host %q", e[0].Host)
	}
}

func TestOwnAddressesAreNotDialled(t *testing.T) {
	for _, listen := range []string{"127.0.0.1", "0.0.0.0", "::", "::ffff:127.0.0.1"} {
		b := newBed(t, Config{})
		b.client.cfg.OwnAddrs = []netip.AddrPort{netip.AddrPortFrom(netip.MustParseAddr(listen), b.origin.AddrPort().Port())}
		if _, err := b.fetch(t, Request{Whole: true}); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "own") {
			t.Errorf("listening on %s: error %v", listen, err)
		}
	}
	b := newBed(t, Config{OwnAddrs: []netip.AddrPort{netip.MustParseAddrPort("0.0.0.0:1"), netip.MustParseAddrPort("192.0.2.1:80")}})
	resp, err := b.fetch(t, Request{Whole: true})
	if err != nil {
		t.Fatal(err)
	}
	right(t, resp, "1", span(0, size))
}

func TestOwnLooksAtTheMachinesAddresses(t *testing.T) {
	mine := func() ([]net.Addr, error) {
		return []net.Addr{&net.IPNet{IP: net.IPv4(192, 0, 2, 7), Mask: net.CIDRMask(24, 32)}}, nil
	}
	fails := func() ([]net.Addr, error) { return nil, errors.New("no") }
	all := []netip.AddrPort{netip.MustParseAddrPort("[::]:80")}
	for target, want := range map[string]bool{"192.0.2.7:80": true, "192.0.2.7:81": false, "192.0.2.8:80": false, "[::1]:80": true} {
		if got := own(all, netip.MustParseAddrPort(target), mine); got != want {
			t.Errorf("own(%s) = %v", target, got)
		}
	}
	if own(all, netip.MustParseAddrPort("192.0.2.7:80"), fails) {
		t.Error("an unknown address counts as own")
	}
}

func TestNobodyListensIsAConnectError(t *testing.T) {
	b := newBed(t, Config{})
	b.rule.Connect = "127.0.0.1:1" // of no service, and given to nobody as a free one
	wrong(t, b, Request{Whole: true}, ErrConnect)
}

func TestHostInNoRule(t *testing.T) {
	b := newBed(t, Config{})
	_, err := b.client.Fetch(within(t), Request{Ref: storage.Ref{Scheme: "http", Host: "x.example.com", Path: "/"}, Whole: true})
	if !errors.Is(err, ErrRefused) {
		t.Errorf("error %v", err)
	}
	resp, err := b.client.Fetch(within(t), Request{Ref: ref(), Whole: true}) // rule by Lookup
	if err != nil {
		t.Fatal(err)
	}
	right(t, resp, "1", span(0, size))
}
