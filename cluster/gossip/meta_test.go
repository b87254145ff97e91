package gossip

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/memberlist"
	"google.golang.org/protobuf/proto"

	clusterv1 "github.com/mccd/mccd/proto/mccd/cluster/v1"
)

const testID = "0123456789abcdef0123456789abcdef"

func testMember() Member {
	return Member{
		ID: testID, Name: "a", Zone: "z", PeerAddr: "127.0.0.1:7947", Draining: true, Told: Told{Keyring: 3, ViewDigest: 1 << 63, Applied: 5},
		Incarnation: 5, FormatVersion: 1, Started: time.UnixMilli(1700000000000),
	}
}

func TestMetaRoundTrip(t *testing.T) {
	m := testMember()
	b, err := encodeMeta(m)
	if err != nil {
		t.Fatal(err)
	}
	got, err := decodeMeta(b)
	if err != nil || got != m {
		t.Fatalf("got %+v, %v; want %+v", got, err, m)
	}
}

// TestLargestMetaFits: everything that Config accepts fits into memberlist's
// limit.
func TestLargestMetaFits(t *testing.T) {
	m := testMember()
	m.Name, m.Zone = strings.Repeat("n", maxName), strings.Repeat("z", maxName)
	m.PeerAddr = strings.Repeat("h", 249) + ":65535"
	m.Incarnation, m.FormatVersion = MaxIncarnation, 1<<32-1
	b, err := encodeMeta(m)
	if err != nil {
		t.Fatal(err)
	}
	if len(b) > memberlist.MetaMaxSize {
		t.Fatalf("%d bytes", len(b))
	}
}

func TestMetaRefused(t *testing.T) {
	for name, edit := range map[string]func(*clusterv1.NodeMeta){
		"no id":              func(p *clusterv1.NodeMeta) { p.Id = "" },
		"upper case id":      func(p *clusterv1.NodeMeta) { p.Id = strings.ToUpper(testID) },
		"long id":            func(p *clusterv1.NodeMeta) { p.Id = testID + "0" },
		"long name":          func(p *clusterv1.NodeMeta) { p.Name = strings.Repeat("x", maxName+1) },
		"name with newline":  func(p *clusterv1.NodeMeta) { p.Name = "a\nlevel=ERROR" },
		"zone with escape":   func(p *clusterv1.NodeMeta) { p.Zone = "\x1b[31m" },
		"no peer address":    func(p *clusterv1.NodeMeta) { p.PeerAddr = "" },
		"peer without port":  func(p *clusterv1.NodeMeta) { p.PeerAddr = "127.0.0.1" },
		"peer port 0":        func(p *clusterv1.NodeMeta) { p.PeerAddr = "127.0.0.1:0" },
		"peer port too high": func(p *clusterv1.NodeMeta) { p.PeerAddr = "127.0.0.1:65536" },
		"no incarnation":     func(p *clusterv1.NodeMeta) { p.Incarnation = 0 },
		"incarnation":        func(p *clusterv1.NodeMeta) { p.Incarnation = MaxIncarnation + 1 },
	} {
		t.Run(name, func(t *testing.T) {
			p := &clusterv1.NodeMeta{Id: testID, Name: "a", PeerAddr: "127.0.0.1:1", Incarnation: 1}
			edit(p)
			b, err := proto.Marshal(p)
			if err != nil {
				t.Fatal(err)
			}
			if m, err := decodeMeta(b); !errors.Is(err, ErrMeta) {
				t.Fatalf("decodeMeta = %+v, %v", m, err)
			}
		})
	}
}

func FuzzNodeMeta(f *testing.F) {
	b, err := encodeMeta(testMember())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte{})
	f.Add([]byte{0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := decodeMeta(b)
		if err != nil {
			if !errors.Is(err, ErrMeta) {
				t.Fatalf("error without ErrMeta: %v", err)
			}
			return
		}
		again, err := encodeMeta(m)
		if err != nil {
			t.Fatalf("accepted, but cannot be said again: %v", err)
		}
		if back, err := decodeMeta(again); err != nil || back != m {
			t.Fatalf("%+v became %+v, %v", m, back, err)
		}
	})
}

func TestWithPort(t *testing.T) {
	for _, tc := range []struct{ in, want string }{
		{"127.0.0.2", "127.0.0.2:7946"},
		{" 127.0.0.2 ", "127.0.0.2:7946"},
		{"127.0.0.2:80", "127.0.0.2:80"},
		{"localhost", "localhost:7946"},
		{"node-1.example:7946", "node-1.example:7946"},
		{"::1", "[::1]:7946"},
		{"[::1]", "[::1]:7946"},
		{"[::1]:80", "[::1]:80"},
		{"", ""}, {":7946", ""}, {"a:", ""}, {"a:0", ""}, {"a:65536", ""}, {"a:b", ""}, {"a b", ""}, {"http://a", ""}, {"u@h:1", ""}, {"a:1:2", ""},
	} {
		got, err := WithPort(tc.in)
		if got != tc.want || (err == nil) != (tc.want != "") {
			t.Errorf("WithPort(%q) = %q, %v; want %q", tc.in, got, err, tc.want)
		}
	}
}
