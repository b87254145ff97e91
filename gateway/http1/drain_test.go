package http1

import (
	"bufio"
	"context"
	"errors"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// TestDrain: idle connections close at once, new ones after a second, and
// answers under way say that they are the last.
func TestDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		g := newRig(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/gate" {
				<-gate
			}
			behave(w, r)
		}, nil)
		fresh, late, idle, busy := g.dial(t), g.dial(t), g.dial(t), g.dial(t)
		say(t, idle, get("/length"))
		answerOn(t, bufio.NewReader(idle))
		say(t, busy, get("/gate"))
		synctest.Wait()
		shut := make(chan error, 1)
		go func() { shut <- g.Shutdown(context.Background()) }()
		synctest.Wait()
		if took, _ := until(t, idle); took != 0 {
			t.Errorf("idle closed after %s", took)
		}
		say(t, late, get("/length"))
		if resp := answerOn(t, bufio.NewReader(late)); !resp.Close || resp.StatusCode != http.StatusOK {
			t.Errorf("late: %+v", resp)
		}
		if took, _ := until(t, fresh); took != newGrace {
			t.Errorf("new closed after %s", took)
		}
		select {
		case err := <-shut:
			t.Fatalf("shut down with a response under way: %v", err)
		default:
		}
		close(gate)
		if resp := answerOn(t, bufio.NewReader(busy)); !resp.Close || resp.StatusCode != http.StatusOK {
			t.Errorf("busy: %+v", resp)
		}
		if err := <-shut; err != nil {
			t.Error(err)
		}
		g.ServeConn(g.ctx, &closable{closed: gateOf(t)})
	})
}

// TestDrainMeetsRequest: a drain that has seen a connection without a request
// does not end the wait of the one that comes meanwhile.
func TestDrainMeetsRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, func(w http.ResponseWriter, r *http.Request) {
			select {
			case <-time.After(3 * newGrace):
				behave(w, r)
			case <-r.Context().Done():
				t.Error("the wait ended")
			}
		}, nil)
		client, server := net.Pipe()
		g.ServeConn(g.ctx, server)
		say(t, client, get("/length"))
		synctest.Wait()
		g.Drain()
		if err := server.SetReadDeadline(time.Now().Add(newGrace)); err != nil { // as drain does
			t.Fatal(err)
		}
		if resp := answerOn(t, bufio.NewReader(client)); resp.StatusCode != http.StatusOK || !resp.Close {
			t.Errorf("%+v", resp)
		}
	})
}

// gateOf fails t unless it is called.
func gateOf(t *testing.T) func() {
	called := false
	t.Cleanup(func() {
		if !called {
			t.Error("a connection after the end was not closed")
		}
	})
	return func() { called = true }
}

type closable struct {
	net.Conn
	closed func()
}

func (c *closable) Close() error         { c.closed(); return nil }
func (c *closable) RemoteAddr() net.Addr { return &net.TCPAddr{} }

// TestShutdownEnds at its context, and Close cuts what is left.
func TestShutdownEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, nil)
		c := g.dial(t)
		say(t, c, get("/a"))
		synctest.Wait()
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		defer cancel()
		if err := g.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		g.Close()
		if took, got := until(t, c); took != 0 || got != "" {
			t.Errorf("closed after %s with %q", took, got)
		}
	})
}

// failing is a listener whose first Accepts fail for want of descriptors.
type failing struct {
	*pipeListener
	faults int
}

type wantError struct{ error }

func (wantError) Timeout() bool   { return false }
func (wantError) Temporary() bool { return true }

func (l *failing) Accept() (net.Conn, error) {
	if l.faults > 0 {
		l.faults--
		return nil, wantError{errors.New("too many open files")}
	}
	return l.pipeListener.Accept()
}

// TestServe outlasts what passes, and ends with its listener or the server.
func TestServe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, behave, nil)
		l, lost := &failing{newPipeListener(), 4}, newPipeListener()
		served, ended := make(chan error, 1), make(chan error, 1)
		go func() { served <- g.Serve(g.ctx, l) }()
		go func() { ended <- g.Serve(g.ctx, lost) }()
		client, server := net.Pipe()
		l.conns <- server
		say(t, client, get("/close"))
		until(t, client)
		_ = lost.Close()
		if err := <-ended; err == nil || errors.Is(err, ErrClosed) {
			t.Errorf("a lost listener: %v", err)
		}
		if err := g.Shutdown(g.ctx); err != nil {
			t.Error(err)
		}
		if err := <-served; !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
		if err := g.Serve(g.ctx, newPipeListener()); !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
	})
}

func TestNewValidates(t *testing.T) {
	if _, err := New(Config{}); err == nil {
		t.Error("a server without a handler")
	}
}
