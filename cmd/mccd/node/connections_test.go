package node

import "testing"

func TestConnectionsLeaveDescriptors(t *testing.T) {
	for _, tt := range []struct {
		n    uint64
		want int
	}{{0, 8192}, {20, 64}, {256, 128}, {1024, 512}, {4096, 3072}, {20000, 18976}, {1 << 30, 65536}} {
		if got := connectionsFor(tt.n); got != tt.want {
			t.Errorf("%d descriptors: %d clients, want %d", tt.n, got, tt.want)
		}
	}
}
