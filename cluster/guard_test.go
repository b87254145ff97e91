package cluster

import (
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/mccd/mccd/cluster/gossip"
	"github.com/mccd/mccd/cluster/identity"
	"github.com/mccd/mccd/cluster/state"
)

// TestRenewalCalm: a certificate with most of its life before it is not
// renewed, also where that life is much shorter than the day by which its
// beginning is dated back.
func TestRenewalCalm(t *testing.T) {
	w := newWorld(t)
	for _, life := range []time.Duration{time.Hour, 12 * time.Hour, 90 * 24 * time.Hour} {
		cfg := w.config(life.String())
		cfg.CertLife = life
		n := w.open(cfg)
		m := n.current.Load()
		first := serialOf(m.id.Load().Cert)
		m.renewOwn(m.state())
		if serialOf(m.id.Load().Cert) != first {
			t.Errorf("life of %v: renewed", life)
		}
	}
	// One that ends so soon that each renewal is due again at once.
	cfg := w.config("late")
	late := false
	cfg.CertLife = 3 * time.Hour
	cfg.Now = func() time.Time {
		if late {
			return time.Now().Add(150 * time.Minute)
		}
		return time.Now()
	}
	n := w.open(cfg)
	m := n.current.Load()
	first := serialOf(m.id.Load().Cert)
	late = true
	m.renewOwn(m.state())
	second := serialOf(m.id.Load().Cert)
	late = false
	m.c.cfg.CertLife = 12 * time.Hour // of which the new one has less than a third
	m.renewOwn(m.state())
	if third := serialOf(m.id.Load().Cert); second == first || third != second {
		t.Errorf("certificates %s, %s, %s", first, second, third)
	}
}

// TestBook: hearsay neither outbids the future nor speaks for a node that has
// spoken itself, and unknown nodes are few and stay not long.
func TestBook(t *testing.T) {
	id := func(i int) string { return fmt.Sprintf("%032x", i+1) }
	now := uint64(time.Now().UnixMilli())
	at := func(port int, incarnation uint64) place {
		addr := fmt.Sprint("127.0.0.1:", port)
		return place{Peer: addr, Gossip: addr, Incarnation: incarnation}
	}
	known := map[string]bool{id(1): true, id(2): true}
	b := openBook(t.TempDir(), id(0), slog.New(slog.DiscardHandler), func(id string) bool { return known[id] })
	if !b.put(id(1), at(1, now)) || b.put(id(1), at(2, now)) || b.put(id(1), at(3, now-1)) {
		t.Error("the newest does not count")
	}
	for _, far := range []uint64{gossip.MaxIncarnation, now + uint64((25 * time.Hour).Milliseconds())} {
		if b.put(id(1), at(4, far)) {
			t.Errorf("start %d is taken from others", far)
		}
	}
	if b.put(id(0), at(5, now)) || !b.say(id(0), at(5, 7)) {
		t.Error("others speak for this node")
	}
	if !b.put(id(1), at(6, now+1000)) || !b.say(id(1), at(1, now)) {
		t.Error("a node does not speak for itself")
	}
	if p, _ := b.of(id(1)); p != at(1, now) {
		t.Errorf("it is at %+v", p)
	}
	taken := 0
	for i := range 3 * unknownAtMost {
		if b.put(id(100+i), at(7, now)) {
			taken++
		}
	}
	if taken != unknownAtMost {
		t.Errorf("%d unknown nodes are kept", taken)
	}
	if !b.put(id(2), at(8, now)) {
		t.Error("no room for a known node")
	}
	for id := range b.unknown {
		b.unknown[id] = time.Now().Add(-unknownFor)
	}
	b.retain(func(string) bool { return true })
	if len(b.places) != 3 || len(b.unknown) != 0 {
		t.Errorf("%d places, %d unknown", len(b.places), len(b.unknown))
	}
	b.retain(func(other string) bool { return other != id(2) })
	if _, ok := b.of(id(2)); ok {
		t.Error("who left is in it still")
	}
	// What a former run has kept is held to the same.
	b.save()
	b.places[id(1)] = at(9, gossip.MaxIncarnation)
	b.save()
	if again := openBook(filepath.Dir(b.path), id(0), b.log, b.known); len(again.places) != 1 {
		t.Errorf("kept: %+v", again.places)
	}
}

// TestEmptyLog: a node that has given up its log takes none of a former
// generation, nor one of another recovery.
func TestEmptyLog(t *testing.T) {
	w := newWorld(t)
	n := w.start(w.config("a"))
	n.writes()
	n.halt()
	if err := n.forgetLog(); err != nil {
		t.Fatal(err)
	}
	n.open()
	m := n.current.Load()
	if !m.empty() {
		t.Fatal("the log is not empty")
	}
	own := m.state().Generation
	for _, c := range []struct {
		relearned, generation uint32
		recovery              string
		want                  byte
	}{
		{0, own, "", prefaceOK},
		{0, own + 1, "0123456789abcdef", prefaceOK},
		{0, own, "0123456789abcdef", prefaceGeneration},
		{own + 1, own, "", prefaceGeneration},
		{own + 1, own + 1, "0123456789abcdef", prefaceOK},
	} {
		n.relearned.Store(c.relearned)
		caller, callee := net.Pipe()
		done := make(chan error, 1)
		go func() { done <- m.stream.answer(callee, "nobody") }()
		sent := m.stream.preface()
		sent = append(sent[:prefaceLen-generationLen], byte(c.generation>>24), byte(c.generation>>16), byte(c.generation>>8), byte(c.generation))
		recovery, _ := hex.DecodeString(c.recovery)
		sent = append(sent, append(recovery, make([]byte, recoveryLen-len(recovery))...)...)
		if _, err := caller.Write(sent); err != nil {
			t.Fatal(err)
		}
		verdict := make([]byte, verdictLen)
		if _, err := caller.Read(verdict); err != nil {
			t.Fatal(err)
		}
		if err := <-done; verdict[0] != c.want || (err == nil) != (c.want == prefaceOK) {
			t.Errorf("%+v: verdict %d, %v", c, verdict[0], err)
		}
		_, _ = caller.Close(), callee.Close()
	}
}

// TestRefusalOfOne: only that it was removed tells a node that it was.
func TestRefusalOfOne(t *testing.T) {
	w := newWorld(t)
	m := w.open(w.config("a")).current.Load()
	for _, err := range []error{
		status.Error(codes.PermissionDenied, "the certificate of this node has expired; it is renewed by itself"),
		status.Error(codes.PermissionDenied, "the other node does not know this one (yet)"),
		status.Error(codes.Unavailable, state.ErrNodeRemoved.Error()),
	} {
		if m.noteRefusal(err); m.removed() {
			t.Fatalf("removed by %v", err)
		}
	}
	if m.noteRefusal(status.Error(codes.PermissionDenied, state.ErrNodeRemoved.Error())); !m.removed() {
		t.Error("not removed")
	}
}

// TestOutside: a node whose departure was written and whose answer was lost
// learns it from the others.
func TestOutside(t *testing.T) {
	w := newWorld(t)
	all := w.form(2)
	w.voters(1, all...)
	a, rest := w.leader(all...)
	b := rest[0]
	b.halt()
	w.must(func() error { _, err := a.submit(w.ctx(), state.RemoveNode{ID: b.ID()}); return err })
	b.open() // with the state of before
	m := b.current.Load()
	if m.removed() {
		t.Fatal("it knows already")
	}
	w.await("it learns it", func() error {
		if !m.outside(w.ctx()) {
			return errors.New("not yet")
		}
		return nil
	})
	if a.current.Load().outside(w.ctx()) {
		t.Error("who stayed is out")
	}
}

// TestFoundingFails: what cannot be applied never stands in a folder that a
// start opens.
func TestFoundingFails(t *testing.T) {
	w := newWorld(t)
	n := w.open(w.config("a"))
	tokens := []state.Token{{ID: "secret00", Hash: "x"}}
	w.wants(n.found(identity.CA{}, "", tokens), "found cluster", "token id")
	if n.file(freshFolder, readyFile) {
		t.Error("it is ready all the same")
	}
}

// TestTemporaryFiles: what a crash left of a file with a token in it goes at
// the next start.
func TestTemporaryFiles(t *testing.T) {
	w := newWorld(t)
	n := w.open(w.config("a"))
	n.halt()
	left := filepath.Join(n.cfg.DataDir, memberFolder, intentFile+".123.tmp")
	if err := os.WriteFile(left, []byte("token"), 0o600); err != nil {
		t.Fatal(err)
	}
	n.open()
	if n.file(memberFolder, filepath.Base(left)) {
		t.Error("it is there still")
	}
}
