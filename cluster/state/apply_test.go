package state

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

func id(n int) string { return fmt.Sprintf("%032x", n) }

// node is a record fit for admission.
func node(n int) Node {
	return Node{
		ID: id(n), Name: fmt.Sprint("n", n), Key: fmt.Sprintf("%064x", n), JoinKey: fmt.Sprint("join ", n),
		DriveBytes: 100, MinVersion: 1, MaxVersion: 2,
	}
}

func hash(n int) string { return fmt.Sprintf("%064x", 900+n) }

func token(n int, uses int64) Token {
	return Token{ID: fmt.Sprintf("%08x", n), Hash: hash(n), Uses: uses}
}

// book applies commands one after the other, one second and one index each.
type book struct {
	t     *testing.T
	s     *State
	index uint64
	now   int64
}

func (b *book) do(c Command) (Result, bool) {
	b.t.Helper()
	b.index++
	b.now++
	raw, err := Encode(c, b.now)
	if err != nil {
		b.t.Fatalf("%T: %v", c, err)
	}
	before := Marshal(b.s)
	next, r := Apply(b.s, raw, b.index)
	if string(before) != string(Marshal(b.s)) {
		b.t.Fatalf("%T modified the State that it was applied to", c)
	}
	again, ragain := Apply(b.s, raw, b.index)
	if !reflect.DeepEqual(again, next) || fmt.Sprint(ragain) != fmt.Sprint(r) {
		b.t.Fatalf("%T gives two answers", c)
	}
	if back, err := Unmarshal(Marshal(next)); err != nil || !reflect.DeepEqual(back, next) {
		b.t.Fatalf("%T leaves a State that does not survive a file: %v\n%+v\n%+v", c, err, next, back)
	}
	if r.Index != b.index || r.TimeUnix != b.now {
		b.t.Errorf("%T: result %+v", c, r)
	}
	if (next != b.s) != (r.Err == nil) || r.Err == nil && next.Index != b.index {
		b.t.Errorf("%T: index %d, %v", c, next.Index, r.Err)
	}
	former := *b.s
	former.Index = next.Index
	changed := !reflect.DeepEqual(&former, next)
	b.s = next
	return r, changed
}

// must applies what has to change something.
func (b *book) must(c Command) Result {
	b.t.Helper()
	r, changed := b.do(c)
	if r.Err != nil || !changed {
		b.t.Fatalf("%T: %v, changed %v", c, r.Err, changed)
	}
	return r
}

// same applies what has to succeed without changing anything.
func (b *book) same(c Command) Result {
	b.t.Helper()
	r, changed := b.do(c)
	if r.Err != nil || changed {
		b.t.Fatalf("%T: %v, changed %v", c, r.Err, changed)
	}
	return r
}

// refused applies what has to fail with want.
func (b *book) refused(c Command, want error) {
	b.t.Helper()
	if r, changed := b.do(c); !errors.Is(r.Err, want) || changed {
		b.t.Errorf("%T %+v: got %v, changed %v; want %v", c, c, r.Err, changed, want)
	}
}

func (b *book) state(n int) NodeState {
	got, ok := b.s.Node(id(n))
	if !ok {
		return 0
	}
	return got.State
}

func initial() Init {
	return Init{
		ClusterID: strings.Repeat("c", 32), Node: node(1), Trust: trust(key1, "first"),
		Gossip: Keyring{Version: 1, Sealed: sealed(key1)}, SealingKeyID: key1, Tokens: []Token{token(1, -1), token(2, 1)},
		RingFormat: 1, Version: Version{Number: 1}, WeightUnit: 100,
	}
}

func founded(t *testing.T) *book {
	b := &book{t: t, s: &State{}, now: 1_000_000}
	b.must(initial())
	return b
}

func TestInit(t *testing.T) {
	b := &book{t: t, s: &State{}}
	b.refused(CreateToken{Token: token(1, 1)}, ErrNoCluster)
	bad := initial()
	bad.ClusterID = "short"
	b.refused(bad, ErrInvalid)
	bad = initial()
	bad.Version.Number = 9
	b.refused(bad, ErrIncompatible)
	bad = initial()
	bad.Tokens = append(bad.Tokens, token(1, 1))
	b.refused(bad, ErrInvalid)
	r := b.must(initial())
	if r.Node.State != Active || r.Node.Weight != 1 || b.s.Generation != 1 || b.s.Placement != r.Index || len(b.s.Tokens) != 2 {
		t.Errorf("got %+v, %+v", r, b.s)
	}
	if e := b.s.Epoch(); e.Cluster != b.s.ClusterID || e.Generation != 1 || e.Index != r.Index {
		t.Errorf("epoch %v", e)
	}
	b.refused(initial(), ErrInCluster)
}

func TestWeights(t *testing.T) {
	s := &State{WeightUnit: 100}
	for bytes, want := range map[int64]int{0: 1, 49: 1, 100: 1, 149: 1, 150: 2, 249: 2, 250: 3, 399: 4, 1 << 62: 4} {
		if got := s.weightOf(bytes); got != want {
			t.Errorf("weight of %d: %d, want %d", bytes, got, want)
		}
	}
	if got := (&State{}).weightOf(1 << 50); got != 1 {
		t.Errorf("without a unit: %d", got)
	}
}

func TestAdmission(t *testing.T) {
	b := founded(t)
	placement := b.s.Placement
	b.refused(Admit{TokenHash: hash(9), Node: node(2)}, ErrTokenUnknown)
	b.refused(Admit{Node: node(2)}, ErrTokenUnknown)
	bad := node(2)
	bad.MinVersion, bad.MaxVersion = 2, 3
	b.refused(Admit{TokenHash: hash(2), Node: bad}, ErrIncompatible)
	taken := node(2)
	taken.Name = "n1"
	b.refused(Admit{TokenHash: hash(2), Node: taken}, ErrNameTaken)
	bad = node(2)
	bad.JoinKey = ""
	b.refused(Admit{TokenHash: hash(2), Node: bad}, ErrInvalid)

	r := b.must(Admit{TokenHash: hash(2), Node: node(2)})
	if r.Node.State != Joining || r.Node.Weight != 1 || b.s.Placement != placement {
		t.Errorf("got %+v, placement %d", r.Node, b.s.Placement)
	}
	// The answer was lost: the same again, though the token is used up.
	if answer := b.same(Admit{TokenHash: hash(2), Node: node(2)}); answer.Node != r.Node {
		t.Errorf("got %+v, want %+v", answer.Node, r.Node)
	}
	b.refused(Admit{TokenHash: hash(2), Node: node(3)}, ErrTokenUsedUp)
	other := node(2)
	other.Key = node(3).Key
	b.refused(Admit{TokenHash: hash(1), Node: other}, ErrNameTaken)

	b.must(Activate{ID: id(2)})
	b.same(Activate{ID: id(2)})
	again := node(2)
	again.JoinKey = "another try"
	b.refused(Admit{TokenHash: hash(1), Node: again}, ErrNameTaken)
	if b.s.Placement != b.index-2 || len(b.s.Members()) != 2 {
		t.Errorf("placement %d, members %v", b.s.Placement, b.s.Members())
	}
	b.must(CreateToken{Token: token(3, 2), TTLSeconds: 10})
	b.now += 9
	b.refused(Admit{TokenHash: hash(3), Node: node(3)}, ErrTokenExpired)
	b.must(CreateToken{Token: token(4, 2)})
	b.must(RevokeToken{ID: token(4, 0).ID})
	b.same(RevokeToken{ID: token(4, 0).ID})
	b.refused(Admit{TokenHash: hash(4), Node: node(3)}, ErrTokenRevoked)
	b.refused(RevokeToken{ID: "nowhere"}, ErrNotFound)
	if tok, ok := b.s.Token(hash(2)); !ok || tok.Uses != 0 || len(tok.Joined) != 1 {
		t.Errorf("token %+v", tok)
	}
}

func TestReplaceAndReturn(t *testing.T) {
	b := founded(t)
	admit := func(n Node, replaces string) Admit { return Admit{TokenHash: hash(1), Node: n, Replaces: replaces} }
	b.must(admit(node(2), ""))
	b.must(Activate{ID: id(2)})
	// A new disk under the same name.
	fresh := node(3)
	fresh.Name = "n2"
	b.refused(admit(fresh, ""), ErrNameTaken)
	b.refused(admit(fresh, id(1)), ErrInvalid)
	b.refused(admit(fresh, id(8)), ErrNodeUnknown)
	b.must(admit(fresh, id(2)))
	if old, _ := b.s.Node(id(2)); old.State != Left || old.Removed || b.state(3) != Joining || b.s.Placement != b.index {
		t.Errorf("old %+v, new %v", old, b.state(3))
	}
	if got, _ := b.s.ByName("n2"); got.ID != id(3) {
		t.Errorf("ByName gives %+v", got)
	}
	b.must(Activate{ID: id(3)})
	// Who left comes back with its id, under another name.
	back := node(2)
	back.Name, back.JoinKey = "n2b", "join 2 again"
	b.must(admit(back, ""))
	b.must(Activate{ID: id(2)})
	// Who was removed does so with a new key only.
	b.must(RemoveNode{ID: id(2), Removed: true})
	b.same(RemoveNode{ID: id(2)})
	b.refused(Activate{ID: id(2)}, ErrNodeRemoved)
	b.refused(Certify{ID: id(2)}, ErrNodeRemoved)
	back.JoinKey = "join 2 once more"
	b.refused(admit(back, ""), ErrNodeRemoved)
	back.Key = fmt.Sprintf("%064x", 77)
	if r := b.must(admit(back, "")); r.Node.Removed || r.Node.State != Joining {
		t.Errorf("got %+v", r.Node)
	}
	b.must(RemoveNode{ID: id(2)})
	b.must(RemoveNode{ID: id(2), Removed: true})
	b.must(RemoveNode{ID: id(3)})
	b.refused(RemoveNode{ID: id(1)}, ErrInvalid) // the last one
	b.refused(RemoveNode{ID: id(9)}, ErrNodeUnknown)
}

func TestPreCreated(t *testing.T) {
	b := founded(t)
	b.must(PreCreate{Node: Node{Name: "n3", Zone: "z", Weight: 3}})
	b.must(PreCreate{Node: Node{Name: "n2", Zone: "y"}})
	b.must(PreCreate{Node: Node{Name: "n2", Zone: "z", Weight: 2}})
	b.refused(PreCreate{Node: Node{Name: "n1"}}, ErrNameTaken)
	b.refused(PreCreate{Node: Node{ID: id(2), Name: "n2"}}, ErrInvalid)
	if names := fmt.Sprint(b.s.Nodes[0].Name, b.s.Nodes[1].Name, b.s.Nodes[2].Name); names != "n2n3n1" {
		t.Errorf("order %s", names)
	}
	zone, name := "w", "n3"
	b.must(SetNode{ID: "n3", Zone: &zone})
	b.refused(SetNode{ID: "n2", Name: &name}, ErrNameTaken)
	if r := b.must(Admit{TokenHash: hash(1), Node: node(2)}); r.Node.Zone != "z" || r.Node.Weight != 2 || r.Node.ID != id(2) {
		t.Errorf("got %+v", r.Node)
	}
	b.must(RemoveNode{ID: "n3"})
	if len(b.s.Nodes) != 2 {
		t.Errorf("nodes %+v", b.s.Nodes)
	}
}

func TestPlacementRises(t *testing.T) {
	b := founded(t)
	b.must(Admit{TokenHash: hash(1), Node: node(2)})
	rises := func(c Command, want bool) {
		t.Helper()
		before := b.s.Placement
		b.must(c)
		if got := b.s.Placement == b.index; got != want || !got && b.s.Placement != before {
			t.Errorf("%T: placement %d at %d, want a rise: %v", c, b.s.Placement, b.index, want)
		}
	}
	zone, name, weight := "z", "other", 4
	rises(SetNode{ID: id(2), Zone: &name}, false) // no member yet
	rises(Activate{ID: id(2)}, true)
	rises(SetNode{ID: id(2), Zone: &zone}, true)
	rises(SetNode{ID: id(2), Weight: &weight}, true)
	rises(SetNode{ID: id(2), Name: &name}, false)
	rises(SetNodeState{ID: id(2), State: Draining}, false)
	rises(Locate{ID: id(2), PeerAddr: "h:1", GossipAddr: "h:2"}, false)
	rises(Certify{ID: id(2), Serial: "7", NotAfterUnix: 5}, false)
	rises(SetConfig{}, false)
	rises(RemoveNode{ID: id(2)}, true)
	weight = 5
	b.refused(SetNode{ID: id(1), Weight: &weight}, ErrInvalid)
	weight = 0
	b.refused(SetNode{ID: id(1), Weight: &weight}, ErrInvalid)
	b.refused(SetNodeState{ID: id(1), State: Left}, ErrInvalid)
	b.refused(SetNode{ID: id(2)}, ErrNodeUnknown)
}

func TestSettings(t *testing.T) {
	b := founded(t)
	r := b.must(SetConfig{Config: Config{Origins: []Origin{{Name: "p", Hosts: []string{"h"}, YAML: "a: b"}}}})
	if r.Revision != b.index {
		t.Errorf("got %+v", r)
	}
	b.refused(SetConfig{}, ErrConflict)
	b.refused(SetConfig{Expect: r.Revision, Config: Config{Limits: Limits{WANBytesPerSecond: -1}}}, ErrInvalid)
	b.refused(SetVersion{Version{Number: 3}}, ErrIncompatible)
	b.must(SetVersion{Version{Number: 2, Gates: []string{"g"}}})
	b.refused(SetVersion{Version{Number: 1}}, ErrInvalid)
}

func TestPurges(t *testing.T) {
	b := founded(t)
	b.must(Admit{TokenHash: hash(1), Node: node(2)})
	b.must(Activate{ID: id(2)})
	mark := func(n int) Purge {
		return Purge{PurgeMark{ID: fmt.Sprintf("%016x", n), Host: "h", Path: fmt.Sprintf("/p%d", n)}}
	}
	first := b.must(mark(1))
	b.same(mark(1))
	second := b.must(mark(2))
	if b.s.Purge.Index != second.Index || len(b.s.Purge.Marks) != 2 || b.s.Purge.Marks[0].Index != first.Index {
		t.Errorf("got %+v", b.s.Purge)
	}
	b.refused(Purge{PurgeMark{ID: "x", Path: "/"}}, ErrInvalid)
	b.refused(Purge{PurgeMark{ID: fmt.Sprintf("%016x", 3), Path: "p"}}, ErrInvalid)
	b.must(AckPurges{ID: id(1), Index: second.Index})
	b.same(AckPurges{ID: id(1), Index: second.Index})
	b.must(AckPurges{ID: id(2), Index: first.Index})
	b.refused(AckPurges{ID: id(9), Index: 1}, ErrNodeUnknown)
	if len(b.s.Purge.Marks) != 2 || b.s.Purge.Dropped != 0 {
		t.Errorf("marks go while there is room: %+v", b.s.Purge)
	}
	again := mark(3)
	again.Mark.Path = "/p1"
	third := b.must(again)
	if m := b.s.Purge.Marks; len(m) != 2 || m[1].ID != again.Mark.ID || m[1].Index != third.Index || b.s.Purge.Dropped != 0 {
		t.Errorf("the same scope again: %+v", b.s.Purge)
	}
	for i := len(b.s.Purge.Marks); i < keptMarks; i++ {
		b.must(mark(100 + i))
	}
	b.must(mark(10))
	if len(b.s.Purge.Marks) != keptMarks+1 || b.s.Purge.Dropped != 0 {
		t.Errorf("%d marks, dropped %d: one goes that is needed", len(b.s.Purge.Marks), b.s.Purge.Dropped)
	}
	// The node that has not acknowledged leaves: nobody else has to.
	b.must(RemoveNode{ID: id(2)})
	if len(b.s.Purge.Marks) != keptMarks || b.s.Purge.Dropped != second.Index {
		t.Errorf("%d marks, dropped %d, want %d", len(b.s.Purge.Marks), b.s.Purge.Dropped, second.Index)
	}
	b.now += markSeconds + 1
	b.must(mark(11))
	if len(b.s.Purge.Marks) != keptMarks || b.s.Purge.Dropped != third.Index {
		t.Errorf("%d marks, dropped %d, want %d", len(b.s.Purge.Marks), b.s.Purge.Dropped, third.Index)
	}
	if purgeIndex(2, 1) <= purgeIndex(1, 1<<39) || purgeIndex(1, 7) != 7 {
		t.Error("marks of a later generation are not beyond those of an earlier one")
	}
}

func TestPinsAndJobs(t *testing.T) {
	b := founded(t)
	pin := Pin{Host: "h", Path: "/b", Prefix: true}
	b.must(SetPin{Pin: pin})
	b.must(SetPin{Pin: Pin{Host: "h", Path: "/a", UntilUnix: b.now + 3}})
	b.now += 5
	pin.UntilUnix = b.now + 100
	b.must(SetPin{Pin: pin})
	if len(b.s.Pins) != 1 || b.s.Pins[0] != pin {
		t.Errorf("pins %+v", b.s.Pins)
	}
	b.must(SetPin{Pin: pin, Remove: true})
	b.refused(SetPin{Pin: pin, Remove: true}, ErrNotFound)
	b.must(SetJob{Job{ID: "1", Status: "running"}})
	b.must(SetJob{Job{ID: "1", Status: "done"}})
	b.now += jobSeconds + 1
	b.must(SetJob{Job{ID: "2"}})
	if len(b.s.Jobs) != 1 || b.s.Jobs[0].ID != "2" {
		t.Errorf("jobs %+v", b.s.Jobs)
	}
	b.refused(SetJob{}, ErrInvalid)
}

func TestTokensAreBounded(t *testing.T) {
	b := founded(t)
	b.must(RevokeToken{ID: token(2, 0).ID})
	tokens := make([]Token, 0, maxTokens)
	tokens = append(tokens, b.s.Tokens...)
	for i := len(tokens); i < maxTokens; i++ {
		tokens = append(tokens, token(10+i, 1))
	}
	full := *b.s
	full.Tokens = tokens
	b.s = &full
	b.must(CreateToken{Token: token(5, 1)}) // in the place of the revoked one
	if _, ok := b.s.Token(hash(2)); ok || len(b.s.Tokens) != maxTokens {
		t.Errorf("%d tokens", len(b.s.Tokens))
	}
	b.refused(CreateToken{Token: token(6, 1)}, ErrInvalid)
	b.same(CreateToken{Token: token(5, 1)})
	b.refused(CreateToken{Token: token(7, 0)}, ErrInvalid)
	b.refused(CreateToken{Token: token(7, 1), TTLSeconds: -1}, ErrInvalid)
}
