package peer

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mccd/mccd/storage"
)

// A call whose data does not leave ends in time with what lets its caller ask
// again, keeps the word of an earlier end, and gives its place back once.
func TestStalledCallEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPacer(1, 1)
		if err := p.take(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		d := &departure{pacer: p, peer: "a", left: make(chan struct{})}
		c := &fillCall{leaving: d}
		if err := c.beat(); err != nil { // on a stream that is not there
			t.Errorf("it beats behind its data: %v", err)
		}
		began := time.Now()
		if err := c.settle(t.Context(), nil); !errors.Is(err, errStalled) || time.Since(began) != stallTime {
			t.Errorf("ended after %s: %v", time.Since(began), err)
		}
		if err := (&exchange{}).ended(t.Context(), nil, errStalled); !errors.Is(err, storage.ErrBusy) {
			t.Errorf("to the caller it is %v, want busy", err)
		}
		c.forsake()
		d.Put(d.Get(10)) // the connection lets go of it later
		if !p.idle() {
			t.Error("the place is still taken")
		}
		if err := c.settle(t.Context(), storage.ErrVersionGone); !errors.Is(err, storage.ErrVersionGone) {
			t.Errorf("the end of the call became %v", err)
		}
	})
}
