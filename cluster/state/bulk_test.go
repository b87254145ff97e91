package state

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// A cluster whose State could not be sent any more takes nothing in, and lets
// things go.
func TestBulkIsBounded(t *testing.T) {
	full := *founded(t).s
	const most = recordBytes + maxPath + ackBytes
	for i := 0; full.bulk()+2*most <= maxBulk; i++ {
		path := fmt.Sprintf("/%d", i)
		full.Pins = append(full.Pins, Pin{Host: "h", Path: path + strings.Repeat("x", maxPath-len(path))})
	}
	s := &full
	apply := func(c Command, want error) {
		t.Helper()
		raw, err := Encode(c, 2_000_000)
		if err != nil {
			t.Fatal(err)
		}
		next, r := Apply(s, raw, s.Index+1)
		if !errors.Is(r.Err, want) {
			t.Errorf("%T: %v, want %v", c, r.Err, want)
		}
		s = next
	}
	long := "/" + strings.Repeat("y", maxPath-1)
	apply(Purge{PurgeMark{ID: fmt.Sprintf("%016x", 1), Path: long}}, nil)
	if size := len(Marshal(s)); size > 64<<20 {
		t.Errorf("it takes %d bytes", size)
	}
	other := "/" + strings.Repeat("z", maxPath-1)
	apply(Purge{PurgeMark{ID: fmt.Sprintf("%016x", 2), Path: other}}, ErrInvalid)
	apply(SetPin{Pin: Pin{Path: other}}, ErrInvalid)
	apply(SetJob{Job{ID: "1", Detail: other}}, ErrInvalid)
	apply(SetTLSKey{TLSKey{Name: "a", CertPEM: []byte(other), SealedKey: sealed(key1)}}, ErrInvalid)
	// Life goes on.
	apply(Admit{TokenHash: hash(1), Node: node(2)}, nil)
	apply(SetPin{Pin: full.Pins[0], Remove: true}, nil)
	apply(SetPin{Pin: full.Pins[0]}, nil)
}
