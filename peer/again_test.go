package peer

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"testing"
	"time"

	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/storage/origin"
	"github.com/mccd/mccd/test/faultorigin"
)

// A trouble of the origin's that another request does not meet reaches no
// client: not before the head, not within the first block, not on the way.
func TestPassingTroublesAreCovered(t *testing.T) {
	const size = 5*storage.PieceSize + 12345
	troubles := map[string]faultorigin.Behaviour{
		"no answer":                {Drop: true},
		"500":                      {Status: http.StatusInternalServerError},
		"502":                      {Status: http.StatusBadGateway},
		"503":                      {Status: http.StatusServiceUnavailable},
		"504":                      {Status: http.StatusGatewayTimeout},
		"reset after the head":     {Break: faultorigin.Reset},
		"reset in the first block": {Break: faultorigin.Reset, After: 1000},
		"short, nothing":           {Break: faultorigin.Short},
		"short in the first block": {Break: faultorigin.Short, After: 60_000},
		"short on the way":         {Break: faultorigin.Short, After: 700_000},
	}
	for name, trouble := range troubles {
		for _, numbers := range [][]int{{1}, {1, 2}, {2}, {3, 4}} {
			t.Run(fmt.Sprint(name, numbers), func(t *testing.T) {
				t.Parallel()
				c := newCluster(t, 2)
				path := c.path(0)
				trouble := trouble
				trouble.Requests = numbers
				c.origin.Add(faultorigin.Object{Path: path, Size: size})
				c.origin.Script(path, trouble)
				for i, n := range c.nodes {
					got, err := n.read(within(t, 30*time.Second), c.request(path, storage.Span{End: math.MaxInt64}), "1")
					if err != nil || got != size {
						t.Errorf("node %d: %d bytes, %v", i, got, err)
					}
				}
				if most := c.origin.Ledger().MaxTimes(path); most > 1+len(numbers) {
					t.Errorf("a byte was sent %d times", most)
				}
			})
		}
	}
}

// What another request would meet as well is not asked again.
func TestLastingAnswersAreFinal(t *testing.T) {
	for name, b := range map[string]faultorigin.Behaviour{
		"404": {Status: http.StatusNotFound}, "403": {Status: http.StatusForbidden}, "501": {Status: http.StatusNotImplemented},
		"lie": {ContentRange: "bytes 7-8/9"},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, 1)
			path := c.path(0)
			c.origin.Add(faultorigin.Object{Path: path, Size: 1000})
			c.origin.Script(path, b)
			if _, err := c.nodes[0].read(within(t, 30*time.Second), c.request(path, storage.Span{End: math.MaxInt64}), "1"); err == nil {
				t.Error("read all the same")
			}
			if n := len(c.origin.Ledger().Requests(path)); n != 1 {
				t.Errorf("asked %d times", n)
			}
		})
	}
}

// A host that fails always is down: its requests are not doubled.
func TestTroublesInARow(t *testing.T) {
	troubles, broken := newTroubles(), fmt.Errorf("fetch: %w", origin.ErrBroken)
	for i := range downAfter {
		if !troubles.met("a", broken) {
			t.Fatalf("down after %d", i+1)
		}
	}
	for _, err := range []error{broken, fmt.Errorf("fetch: %w", origin.ErrUnwanted), broken} {
		if troubles.met("a", err) {
			t.Errorf("not down after %v", err)
		}
	}
	if !troubles.met("b", broken) {
		t.Error("another host is down with it")
	}
	if troubles.met("a", nil) || troubles.met("a", errors.New("of the node")) {
		t.Error("what is no trouble is asked again")
	}
	if !troubles.met("a", &storage.StatusError{Code: http.StatusBadGateway}) {
		t.Error("down although it has answered")
	}
}
