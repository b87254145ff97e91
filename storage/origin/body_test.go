package origin

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// slow gives one byte per read, each after a wait, and ends with its context,
// as a body of net/http does.
type slow struct {
	ctx  context.Context
	wait time.Duration
}

func (s *slow) Read(p []byte) (int, error) {
	t := time.NewTimer(s.wait)
	defer t.Stop()
	select {
	case <-t.C:
		p[0] = 'x'
		return 1, nil
	case <-s.ctx.Done():
		return 0, s.ctx.Err()
	}
}

func (s *slow) Close() error { return nil }

func newBody(ctx context.Context, cancel context.CancelCauseFunc, from io.ReadCloser, left int64) (b *body, ends *[]error) {
	ends = new([]error)
	return &body{
		ctx: ctx, cancel: cancel, from: from, left: left, stall: time.Second,
		received: prometheus.NewCounter(prometheus.CounterOpts{Name: "x"}),
		release:  func(err error) { *ends = append(*ends, err) },
	}, ends
}

func TestStallClockRunsOnlyWhileSomebodyReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		from := &slow{ctx: ctx, wait: 900 * time.Millisecond}
		b, ends := newBody(ctx, cancel, from, 100)
		for range 10 {
			if _, err := b.Read(make([]byte, 10)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute) //nolint:forbidigo // fake time: the reader is busy elsewhere
		}
		from.wait = time.Hour
		began := time.Now()
		if _, err := b.Read(make([]byte, 10)); !errors.Is(err, ErrStall) || time.Since(began) != time.Second {
			t.Errorf("error %v after %v", err, time.Since(began))
		}
		b.Close()
		if len(*ends) != 1 || !errors.Is((*ends)[0], ErrStall) {
			t.Errorf("ends %v, want one stall", *ends)
		}
	})
}

func TestBodyGivesWhatWasPromised(t *testing.T) {
	tests := []struct {
		name  string
		bytes int
		left  int64
		want  error
		reads int
	}{
		{"exact", 100, 100, nil, 100},
		{"none", 0, 0, nil, 0},
		{"unknown", 100, -1, nil, 100},
		{"short", 99, 100, ErrBroken, 99},
		{"long", 101, 100, ErrLie, 100},
		{"some for none", 1, 0, ErrLie, 0},
	}
	for _, tt := range tests {
		for name, wrap := range map[string]func(io.Reader) io.Reader{
			"plain": func(r io.Reader) io.Reader { return r }, "one byte": iotest.OneByteReader,
			"data with EOF": iotest.DataErrReader, "half": iotest.HalfReader,
		} {
			ctx, cancel := context.WithCancelCause(t.Context())
			b, ends := newBody(ctx, cancel, io.NopCloser(wrap(bytes.NewReader(make([]byte, tt.bytes)))), tt.left)
			p, err := io.ReadAll(b)
			if !errors.Is(err, tt.want) || len(p) != tt.reads {
				t.Errorf("%s, %s: %d bytes, error %v; want %d, %v", tt.name, name, len(p), err, tt.reads, tt.want)
			}
			if _, again := b.Read(make([]byte, 1)); tt.want != nil && !errors.Is(again, tt.want) || tt.want == nil && !errors.Is(again, io.EOF) {
				t.Errorf("%s, %s: later %v", tt.name, name, again)
			}
			b.Close()
			if len(*ends) != 1 || !errors.Is((*ends)[0], tt.want) {
				t.Errorf("%s, %s: ends %v", tt.name, name, *ends)
			}
			cancel(nil)
		}
	}
}
