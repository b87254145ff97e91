package faultorigin

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestPaceSpreadsBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, began := newPace(1000), time.Now()
		if got := p.slice(1 << 20); got != 20 {
			t.Errorf("slice = %d, want 20", got)
		}
		for range 51 {
			if err := p.wait(t.Context(), 20); err != nil {
				t.Fatal(err)
			}
		}
		if got := time.Since(began); got != time.Second {
			t.Errorf("1000 bytes and the first slice took %v, want 1s", got)
		}
	})
}

func TestPaceEndsWithContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		p := newPace(1)
		_ = p.wait(ctx, 1000)
		if err := p.wait(ctx, 1); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v", err)
		}
	})
}

func TestNilPaceSetsNoBound(t *testing.T) {
	p := newPace(0)
	if got := p.slice(77); got != 77 || p.wait(t.Context(), 1<<40) != nil {
		t.Errorf("slice %d", got)
	}
}
