package gateway

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/mccd/mccd/storage"
)

// TestOneRecordPerResponse: access log and metrics tell the same.
func TestOneRecordPerResponse(t *testing.T) {
	n := startNode(t, 1000, nil)
	n.source.steps = []step{{max: 300}, {max: 500, from: storage.SourcePeer}, {from: storage.SourceOrigin}}
	n.get(t, "cache", "/a/b?P1=1&cacheHostOrigin="+doHost, "Range: bytes=9-", "Range: bytes=0-", "User-Agent: "+liteAgent)
	n.log.await(t, `"status":206`)
	n.get(t, "other.example", "/x")
	n.log.await(t, `"status":403`)
	n.get(t, doHost, "/a", "If-None-Match: *")
	if err := n.stop(); err != nil {
		t.Fatal(err)
	}
	var lines []map[string]any
	for line := range strings.SplitSeq(strings.TrimSpace(n.log.String()), "\n") {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, m)
	}
	if len(lines) != 3 {
		t.Fatalf("%d lines:\n%s", len(lines), n.log)
	}
	for name, want := range map[string]any{
		"method": "GET", "scheme": "http", "origin": "windows-update", "client": "127.0.0.1", "subnet": "127.0.0.0/24", "host": doHost, "path": "/a/b", "status": 206.0, "range": "bytes=0-",
		"bytes": 1000.0, "source": "hit", "hit_bytes": 300.0, "peer_bytes": 500.0, "miss_bytes": 200.0, "user_agent": liteAgent,
	} {
		if lines[0][name] != want {
			t.Errorf("%s = %v, want %v", name, lines[0][name], want)
		}
	}
	if lines[1]["status"] != 403.0 || lines[1]["source"] != "none" || lines[1]["origin"] != "" || lines[1]["host"] != "other.example" {
		t.Errorf("refusal: %v", lines[1])
	}
	if lines[2]["status"] != 304.0 || lines[2]["source"] != "hit" {
		t.Errorf("304: %v", lines[2])
	}
	for _, tt := range []struct {
		name   string
		labels []string
		want   float64
	}{
		{"mccd_gateway_bytes_total", []string{"windows-update", "hit"}, 300},
		{"mccd_gateway_bytes_total", []string{"windows-update", "peer"}, 500},
		{"mccd_gateway_bytes_total", []string{"windows-update", "miss"}, 200},
		{"mccd_gateway_requests_total", []string{"2xx", "hit"}, 1},
		{"mccd_gateway_requests_total", []string{"3xx"}, 1},
		{"mccd_gateway_requests_total", []string{"4xx", "none"}, 1},
		{"mccd_gateway_in_flight", nil, 0},
		{"mccd_gateway_connections", nil, 0},
	} {
		if got := n.metric(t, tt.name, tt.labels...); got != tt.want {
			t.Errorf("%s%v = %v, want %v", tt.name, tt.labels, got, tt.want)
		}
	}
	if got, want := n.Totals(), (Totals{Requests: 3, Hit: 300, Peer: 500, Origin: 200}); got != want {
		t.Errorf("Totals = %+v, want %+v", got, want)
	}
}

// TestSharedHeadersStayAsTheyAre: an object's headers are shared by responses.
func TestSharedHeadersStayAsTheyAre(t *testing.T) {
	n := startNode(t, 10, nil)
	h := n.source.object.Header
	h["Via"], h["Cache-Status"], h["Connection"], h["Content-Length"] = []string{"1.1 cdn"}, []string{"cdn; hit"}, []string{"close"}, []string{"99"}
	delete(h, "Content-Type")
	for range 2 {
		a := n.get(t, doHost, "/a")
		if a.header.Get("Via") != "1.1 cdn, 1.1 n1" || a.header.Get("Cache-Status") != "cdn; hit, n1; hit" ||
			a.header.Get("Content-Length") != "10" || a.header.Get("Content-Type") != "application/octet-stream" {
			t.Errorf("%v", a.header)
		}
	}
	if len(h["Via"]) != 1 || h.Get("Via") != "1.1 cdn" || h.Get("Content-Length") != "99" || len(h["Content-Type"]) != 0 {
		t.Errorf("the object's headers became %v", h)
	}
}

func TestNewRefuses(t *testing.T) {
	_, err := New(Config{NodeName: "a b", MaxConns: -1, TLSListeners: nil})
	if err == nil {
		t.Fatal("New succeeded")
	}
	for _, part := range []string{"no catalogue", "no source", "node name", "no listener", "limit is negative"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q misses %q", err, part)
		}
	}
}

func TestCacheStatusName(t *testing.T) {
	for name, want := range map[string]string{"n1": "n1", "N-1.x_y": "N-1.x_y", "1n": `"1n"`, "-a": `"-a"`} {
		if got := cacheStatusName(name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}
