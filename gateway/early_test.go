package gateway

import (
	"bytes"
	"io"
	"net/http"
	"testing"

	"github.com/mccd/mccd/storage"
)

// TestEarlyBytes: bytes that are in no file yet reach the client at once, be
// they few or many, and files follow them in the same response.
func TestEarlyBytes(t *testing.T) {
	const size = 200_000
	n := startNode(t, size, nil)
	n.source.mu.Lock()
	ends := []int{10, 3000, 60_000, 130_000, 130_001, size}
	gates := make([]chan struct{}, len(ends))
	begin := 0
	for i, end := range ends {
		gates[i] = make(chan struct{})
		n.source.steps = append(n.source.steps, step{max: int64(end - begin), gate: gates[i], from: storage.SourceOrigin, early: i != 3 && i != 5})
		begin = end
	}
	n.source.mu.Unlock()
	c, err := n.dial()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, request("GET", doHost, "/f")); err != nil {
		t.Fatal(err)
	}
	close(gates[0])
	resp, err := http.ReadResponse(newReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	begin = 0
	for i, end := range ends {
		if i > 0 {
			close(gates[i])
		}
		// The next step waits for its gate: what was held back would never come.
		got := make([]byte, end-begin)
		if _, err := io.ReadFull(resp.Body, got); err != nil || !bytes.Equal(got, n.source.data[begin:end]) {
			t.Fatalf("bytes %d to %d: %v", begin, end, err)
		}
		begin = end
	}
	if err := n.stop(); err != nil {
		t.Fatal(err)
	}
	if got := n.metric(t, "mccd_gateway_bytes_total", "windows-update", "miss"); got != size {
		t.Errorf("%v bytes counted as misses", got)
	}
}
