package origin

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/test/faultorigin"
)

func TestBoundWaitsThenIsBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBound(8)
		first, err := b.acquire(t.Context(), "a", 2, time.Second, nil)
		if err != nil {
			t.Fatal(err)
		}
		second, err := b.acquire(t.Context(), "a", 2, time.Second, nil)
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if _, err := b.acquire(t.Context(), "a", 2, time.Second, nil); !errors.Is(err, storage.ErrBusy) || time.Since(began) != time.Second {
			t.Errorf("error %v after %v", err, time.Since(began))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if _, err := b.acquire(ctx, "a", 2, time.Second, nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v", err)
		}
		other, err := b.acquire(t.Context(), "b", 1, time.Second, nil)
		if err != nil {
			t.Errorf("another host: %v", err)
		}
		time.AfterFunc(time.Second/2, first)
		third, err := b.acquire(t.Context(), "a", 2, time.Second, nil)
		if err != nil {
			t.Errorf("a place that came free: %v", err)
		}
		second()
		third()
		other()
		if len(b.hosts) != 0 {
			t.Errorf("%d hosts kept", len(b.hosts))
		}
	})
}

// Where the queue cannot drain within the wait, who comes is told at once.
func TestBoundIsBusyAtOnceWhereItsQueueCannotDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBound(8)
		for range 2 {
			if _, err := b.acquire(t.Context(), "hangs", 2, 8*time.Second, nil); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Second) //nolint:forbidigo // the bubble's clock
		results := make(chan error, 100)
		for range 100 {
			go func() {
				_, err := b.acquire(t.Context(), "hangs", 2, 8*time.Second, nil)
				results <- err
			}()
		}
		synctest.Wait()
		// Two places, each held for a second at least: 8 s are good for 16.
		if n := len(results); n != 84 {
			t.Errorf("%d of 100 told at once, want 84", n)
		}
		if b.waiting() != 16 {
			t.Errorf("%d wait, want 16", b.waiting())
		}
		for range 100 {
			if err := <-results; !errors.Is(err, storage.ErrBusy) {
				t.Error(err)
			}
		}
	})
}

// Who is not wanted any more leaves the queue.
func TestBoundUnwanted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBound(1)
		first, err := b.acquire(t.Context(), "a", 1, time.Second, nil)
		if err != nil {
			t.Fatal(err)
		}
		unwanted := make(chan struct{})
		time.AfterFunc(time.Millisecond, func() { close(unwanted) })
		if _, err := b.acquire(t.Context(), "a", 1, time.Second, unwanted); !errors.Is(err, ErrUnwanted) {
			t.Error(err)
		}
		first()
		if len(b.hosts) != 0 || b.turns.Len() != 0 {
			t.Errorf("%d hosts, %d turns kept", len(b.hosts), b.turns.Len())
		}
	})
}

// Places that come free go round the hosts that want them, whoever asked most.
func TestBoundServesHostsInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBound(2)
		var free []func()
		for range 2 {
			release, err := b.acquire(t.Context(), "busy", 2, time.Hour, nil)
			if err != nil {
				t.Fatal(err)
			}
			free = append(free, release)
		}
		var mu sync.Mutex
		var order []string
		for _, host := range []string{"busy", "busy", "busy", "busy", "b", "c", "b"} {
			go func() {
				release, err := b.acquire(t.Context(), host, 2, time.Hour, nil)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				order = append(order, host)
				mu.Unlock()
				time.Sleep(time.Second) //nolint:forbidigo // the bubble's clock
				release()
			}()
			synctest.Wait()
		}
		free[0]()               // one place goes round, the other stays taken
		time.Sleep(time.Minute) //nolint:forbidigo // the bubble's clock
		synctest.Wait()
		if want := []string{"busy", "b", "c", "busy", "b", "busy", "busy"}; !slices.Equal(order, want) {
			t.Errorf("served %v, want %v", order, want)
		}
		free[1]()
	})
}

func TestFetchHoldsItsPlaceUntilTheBodyEnds(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	b := newBed(t, Config{MaxRequests: 1, Wait: time.Millisecond, Registerer: reg})
	flying := b.client.metrics.inFlight.WithLabelValues("test")
	first, err := b.fetch(t, Request{Span: span(0, 1000)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.fetch(t, Request{Span: span(0, 1000)}); !errors.Is(err, storage.ErrBusy) {
		t.Errorf("error %v, want %v", err, storage.ErrBusy)
	}
	if n := testutil.ToFloat64(flying); n != 1 {
		t.Errorf("%v in flight, want 1", n)
	}
	right(t, first, "1", span(0, 1000))
	for _, end := range []func(*Response){
		func(r *Response) { _ = r.Body.Close() },
		func(r *Response) { _, _ = io.Copy(io.Discard, r.Body) },
	} {
		resp, err := b.fetch(t, Request{Whole: true})
		if err != nil {
			t.Fatal(err)
		}
		end(resp)
	}
	for _, s := range []faultorigin.Behaviour{{Status: 404}, {Status: 206}, {Drop: true}, {Location: "http://no.example.com/"}, {Gzip: true}} {
		b.origin.Script(path, s)
		if _, err := b.fetch(t, Request{Whole: true}); err == nil || errors.Is(err, storage.ErrBusy) {
			t.Errorf("%+v: error %v", s, err)
		}
	}
	if n := testutil.ToFloat64(flying); n != 0 || len(b.client.bound.hosts) != 0 {
		t.Errorf("%v in flight, %d hosts, want none", n, len(b.client.bound.hosts))
	}
	want := map[string]float64{"ok": 3, "busy": 1, "canceled": 1, "status": 1, "lie": 2, "broken": 1}
	for name, n := range want {
		if got := testutil.ToFloat64(b.client.metrics.requests.WithLabelValues("test", name)); got != n {
			t.Errorf("requests with result %s: %v, want %v", name, got, n)
		}
	}
	if n, err := testutil.GatherAndCount(reg); err != nil || n == 0 {
		t.Errorf("%d metrics, %v", n, err)
	}
}

func TestRuleBoundsItsOwnRequests(t *testing.T) {
	b := newBed(t, Config{MaxRequests: 1, Wait: time.Millisecond})
	b.rule.MaxRequests = 2
	for range 2 {
		if _, err := b.fetch(t, Request{Whole: true}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := b.fetch(t, Request{Whole: true}); !errors.Is(err, storage.ErrBusy) {
		t.Errorf("error %v", err)
	}
}

func TestContextEndsHeadAndBody(t *testing.T) {
	g := faultorigin.NewGate()
	defer g.Open()
	b := newBed(t, Config{}, faultorigin.Behaviour{Requests: []int{1}, Gate: g}, faultorigin.Behaviour{Break: faultorigin.Stall, After: 10})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := b.client.Fetch(ctx, Request{Ref: ref(), Rule: b.rule, Whole: true})
		done <- err
	}()
	if err := b.origin.Ledger().WaitRequests(within(t), path, 1); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) || errors.Is(err, storage.ErrUpstream) {
		t.Errorf("error %v", err)
	}
	cause := errors.New("flight abandoned")
	ctx2, cancel2 := context.WithCancelCause(t.Context())
	resp, err := b.client.Fetch(ctx2, Request{Ref: ref(), Rule: b.rule, Whole: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(resp.Body, make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	cancel2(cause)
	if _, err := resp.Body.Read(make([]byte, 1)); !errors.Is(err, cause) {
		t.Errorf("error %v, want %v", err, cause)
	}
	if _, err := resp.Body.Read(make([]byte, 1)); !errors.Is(err, cause) {
		t.Errorf("second read: error %v, want %v", err, cause)
	}
	resp.Body.Close()
}

func TestCloseEndsBodies(t *testing.T) {
	for name, end := range map[string]func(*bed, *Response){
		"client": func(b *bed, _ *Response) { _ = b.client.Close() },
		"body":   func(_ *bed, r *Response) { _ = r.Body.Close() },
	} {
		b := newBed(t, Config{}, faultorigin.Behaviour{Break: faultorigin.Stall, After: 10})
		resp, err := b.fetch(t, Request{Whole: true})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(resp.Body, make([]byte, 10)); err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() {
			_, err := resp.Body.Read(make([]byte, 1))
			done <- err
		}()
		end(b, resp)
		if err := <-done; err == nil || errors.Is(err, io.EOF) {
			t.Errorf("closed %s: Read ended with %v", name, err)
		}
	}
}

func TestNewReportsEveryFault(t *testing.T) {
	_, err := New(Config{Connect: -1, Stall: -1, MaxRequests: -1, MaxTotal: -1, Node: "a b", Version: "x\n"})
	if err == nil {
		t.Fatal("no error")
	}
	var joined interface{ Unwrap() []error }
	if !errors.As(err, &joined) || len(joined.Unwrap()) != 6 {
		t.Errorf("want six faults: %v", err)
	}
}

func TestEmptySpanIsAnError(t *testing.T) {
	b := newBed(t, Config{})
	if _, err := b.fetch(t, Request{Span: span(5, 5)}); !errors.Is(err, storage.ErrRange) {
		t.Errorf("error %v", err)
	}
}

// Clients that take their time with what is passed on keep nobody from a fill.
func TestPassesHavePlacesOfTheirOwn(t *testing.T) {
	b := newBed(t, Config{MaxRequests: 1, Wait: 50 * time.Millisecond})
	passed, err := b.client.Pass(within(t), http.MethodGet, ref(), b.rule, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer passed.Body.Close()
	resp, err := b.fetch(t, Request{Whole: true})
	if err != nil {
		t.Fatalf("a fill beside a slow client: %v", err)
	}
	right(t, resp, "1", span(0, size))
	if _, err := b.client.Pass(within(t), http.MethodGet, ref(), b.rule, nil, nil); !errors.Is(err, storage.ErrBusy) {
		t.Errorf("one more than is allowed: %v", err)
	}
}
