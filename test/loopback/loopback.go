package loopback

import (
	"hash/fnv"
	"net"
	"os"
	"runtime"
	"strconv"
	"testing"
)

// IP returns the address of t, the same at each call: one of 127.64.0.0/10 and
// above, by the process and the test's name; 127.0.0.1 where the system has no
// more than that.
func IP(t testing.TB) string {
	if runtime.GOOS != "linux" {
		return "127.0.0.1"
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(strconv.Itoa(os.Getpid()) + " " + t.Name()))
	sum := h.Sum32()
	return net.IPv4(127, byte(64+sum>>24%192), byte(sum>>8), byte(1+sum%254)).String()
}

// Any returns an address to listen at any port of t's IP.
func Any(t testing.TB) string { return net.JoinHostPort(IP(t), "0") }

// Closed returns an address at t's IP where nobody listened a moment ago.
func Closed(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", Any(t))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}
