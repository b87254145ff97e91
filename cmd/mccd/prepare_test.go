package main

import (
	"bytes"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/mccd/mccd/cmd/mccd/config"
	"github.com/mccd/mccd/cmd/mccd/node"
)

func TestCacheHost(t *testing.T) {
	host, err := os.Hostname()
	if err != nil {
		t.Skip("no host name:", err)
	}
	for listen, want := range map[string][2]string{
		":80": {host, "80"}, "0.0.0.0:80": {host, "80"}, "[::]:8080": {host, "8080"},
		"192.0.2.1:80": {"192.0.2.1", "80"}, "[2001:db8::1]:80": {"2001:db8::1", "80"}, "cache.example:80": {"cache.example", "80"},
	} {
		if name, port := cacheHost(listen); name != want[0] || port != want[1] {
			t.Errorf("%s: got %s %s, want %s", listen, name, port, want)
		}
	}
}

func TestListenFallsBackOnlyFromTheDefault(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	var logged bytes.Buffer
	log := slog.New(slog.NewTextHandler(&logged, nil))

	untold, err := config.Load(config.Sources{})
	if err != nil {
		t.Fatal(err)
	}
	untold.Listen = taken.Addr().String() // in place of port 80
	chooseListen(untold, log)
	if untold.Listen != fallbackListen || !strings.Contains(logged.String(), "8080") {
		t.Errorf("listens on %s, logged %q", untold.Listen, logged.String())
	}

	told, err := config.Load(config.Sources{Environ: []string{"MCCD_LISTEN=" + taken.Addr().String()}})
	if err != nil {
		t.Fatal(err)
	}
	chooseListen(told, log)
	if told.Listen != taken.Addr().String() {
		t.Errorf("a given address was replaced by %s", told.Listen)
	}
}

func TestAccessLogIsAppendedTo(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.log")
	for range 2 {
		w, _, closeLog, err := openAccessLog(path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte("line\n")); err != nil {
			t.Fatal(err)
		}
		closeLog()
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != "line\nline\n" {
		t.Errorf("got %q, %v", text, err)
	}
	if _, _, _, err := openAccessLog(filepath.Join(path, "below-a-file"), nil); err == nil {
		t.Error("an impossible path was accepted")
	}
}

// TestAccessLogRotates: after a rename and SIGHUP lines go to a new file, and
// none is lost.
func TestAccessLogRotates(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.log")
	w, reopen, closeLog, err := openAccessLog(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer closeLog()
	write := func(line string) {
		if _, err := w.Write([]byte(line)); err != nil {
			t.Fatal(err)
		}
	}
	write("1\n")
	if err := os.Rename(path, path+".1"); err != nil {
		t.Skip("an open file cannot be renamed here")
	}
	write("2\n")
	if err := reopen(); err != nil {
		t.Fatal(err)
	}
	write("3\n")
	for name, want := range map[string]string{path + ".1": "1\n2\n", path: "3\n"} {
		if text, err := os.ReadFile(name); err != nil || string(text) != want {
			t.Errorf("%s: %q, %v", name, text, err)
		}
	}
}

// Every field of node.Config that has a key gets its value: none is forgotten
// when one is added.
func TestEveryFieldReachesTheNode(t *testing.T) {
	c := &config.Loaded{Config: config.Default(), Token: "t"}
	c.TokenFile, c.JoinSecret, c.Weight = "/t", "/s", 2
	c.Name, c.Zone, c.DataDir, c.PeerAdvertise, c.GossipAdvertise, c.AdminSocket = "n", "z", "/d", "p:1", "g:1", "/s"
	c.TLS, c.HTTP2 = config.TLS{CertFile: "/c", KeyFile: "/k"}, true
	c.Join, c.Drives = []string{"j"}, []config.Drive{{Path: "/a", Size: 1 << 30}}
	c.Origins = []config.Origin{{Name: "o", Profile: "http", Hosts: []string{"o.example"}}}
	c.Limits.MaxConnections, c.Limits.FreeSpace, c.Limits.Egress = 7, 1<<30, 1<<30
	c.IPOrigins, c.ProxyProtocol = []string{"192.0.2.1"}, []string{"192.0.2.2"}
	c.TrustedForwarders, c.AllowClients = []string{"192.0.2.3"}, []string{"192.0.2.4"}
	c.Upstream, c.UpstreamBypass, c.UpstreamFallback, c.UpstreamCredentials = "http://proxy:3128", []string{"b.example"}, false, "/c"
	got := reflect.ValueOf(nodeConfig(c, slog.New(slog.DiscardHandler), &bytes.Buffer{}))
	var zero func(v reflect.Value, path string)
	zero = func(v reflect.Value, path string) {
		for i := range v.NumField() {
			field, name := v.Field(i), path+v.Type().Field(i).Name
			switch {
			case name == "Allow" || name == "Registry": // for tests
			case field.IsZero():
				t.Errorf("%s stays zero", name)
			case field.Kind() == reflect.Struct:
				zero(field, name+".")
			}
		}
	}
	zero(got, "")
	if got.Interface().(node.Config).Drives[0] != (node.Drive{Path: "/a", Size: 1 << 30}) {
		t.Error("the drive changed")
	}
	if join := got.Interface().(node.Config).Join; len(join) != 1 || join[0] != "j:7947" {
		t.Errorf("join gives %q", join)
	}
}
