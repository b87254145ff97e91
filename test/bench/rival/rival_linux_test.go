package rival_test

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/mccd/mccd/test/bench/load"
	"github.com/mccd/mccd/test/bench/rival"
	"github.com/mccd/mccd/test/faultorigin"
)

// TestRivals: each one serves the right bytes of ranges and of the whole, a
// cache takes them from its origin once, and nothing of it stays.
func TestRivals(t *testing.T) {
	const path, size = "/files/object", 3<<20 + 4097
	for _, kind := range rival.Kinds() {
		t.Run(kind.Name, func(t *testing.T) {
			if _, err := kind.Find(); err != nil {
				t.Skip(err)
			}
			origin := faultorigin.New(faultorigin.Config{Objects: []faultorigin.Object{{
				Path: path, Size: size, Header: map[string][]string{"Cache-Control": {"public, max-age=86400"}},
			}}})
			defer origin.Close()
			dir := t.TempDir()
			content := make([]byte, size)
			faultorigin.Fill(content, path, faultorigin.DefaultVersion, 0)
			root := filepath.Join(dir, "www")
			if err := os.MkdirAll(filepath.Join(root, "files"), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(root, path), content, 0o644); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			s, err := kind.Start(ctx, rival.Config{Dir: filepath.Join(dir, "own"), Addr: freeAddr(t), Origin: origin.Addr(), Root: root, Size: 300 << 20, Files: 1024})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Stop()
			c, err := load.Dial(ctx, s.Addr)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			check := func(off, n int64, status string) {
				t.Helper()
				at, length := off, n
				if n == 0 {
					length = size
				}
				_, err := c.Read(load.Request(path, s.Addr, off, n), status, length, func(p []byte) error {
					if bad := faultorigin.Check(p, path, faultorigin.DefaultVersion, at); bad >= 0 {
						t.Fatalf("byte %d is wrong", bad)
					}
					at += int64(len(p))
					return nil
				})
				if err != nil {
					t.Fatal(err)
				}
			}
			check(0, 0, "200")
			if err := origin.Ledger().WaitBytes(ctx, path, min(size, origin.Ledger().Bytes(path))); err != nil {
				t.Fatal(err)
			}
			origin.Ledger().Reset()
			for _, off := range []int64{0, 1<<20 - 10, 3 << 20} {
				check(off, 4097, "206")
			}
			check(0, 0, "200")
			if n := origin.Ledger().Bytes(""); n > 0 {
				t.Errorf("%d bytes of the origin for what was fetched already", n)
			}
			if used, err := load.CPU(s.Group()); err != nil || used == 0 {
				t.Errorf("CPU time %v, %v", used, err)
			}
			s.Stop()
			if members, err := load.Members(s.Group()); err == nil {
				t.Errorf("processes %v are left", members)
			}
		})
	}
}

func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(l.Addr().(*net.TCPAddr).Port))
}
