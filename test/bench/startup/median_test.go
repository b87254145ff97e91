package startup

import (
	"testing"
	"time"
)

func TestMedian(t *testing.T) {
	all := []times{{hit: 3 * time.Second}, {hit: time.Second}, {hit: 2 * time.Second}}
	if got := median(all, func(f times) time.Duration { return f.hit }); got != 2*time.Second {
		t.Errorf("median %v", got)
	}
	if got := each(all); got != "3000, 1000, 2000" {
		t.Errorf("each %q", got)
	}
}
