package loopback_test

import (
	"net"
	"runtime"
	"testing"

	"github.com/mccd/mccd/test/loopback"
)

func TestAddresses(t *testing.T) {
	own := loopback.IP(t)
	if ip := net.ParseIP(own); !ip.IsLoopback() || own != loopback.IP(t) {
		t.Errorf("%s, then %s", own, loopback.IP(t))
	}
	closed := loopback.Closed(t)
	if c, err := net.Dial("tcp", closed); err == nil {
		t.Error("somebody listens at", c.RemoteAddr())
	}
	t.Run("another", func(t *testing.T) {
		if runtime.GOOS == "linux" && loopback.IP(t) == own {
			t.Error("two tests share", own)
		}
	})
	// Outgoing connections are of 127.0.0.1, and so no port here is theirs.
	l, err := net.Listen("tcp", closed)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if host, _, _ := net.SplitHostPort(c.LocalAddr().String()); host != "127.0.0.1" {
		t.Errorf("connections come from %s", host)
	}
}
