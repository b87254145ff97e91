package e2e_test

import (
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

// step is one call on the register: the cluster's configuration, of which one
// limit holds a number that no two writes share. A write names the revision
// that it replaces and, for the model alone, the number read with it.
type step struct {
	write    bool
	expect   uint64
	expected int64
	value    int64
}

// outcome is how a call ended.
type outcome struct {
	kind outcomeKind
	// value and revision are what a read gave; a write gives its revision.
	value    int64
	revision uint64
}

type outcomeKind uint8

const (
	// done: a read was answered, or a write acknowledged.
	done outcomeKind = iota
	// conflict: a write was refused, as its revision was replaced already.
	conflict
	// unknown: a write may have taken effect, at any time from its call on.
	unknown
)

// register is the model's state: the number and its revision. After a write
// that nobody was told of it is open: its revision is some one above that of
// the write before, until a read tells it.
type register struct {
	value    int64
	revision uint64
	open     bool
}

// at returns r if it may be what was read with this revision.
func (r register) at(value int64, revision uint64) (register, bool) {
	ok := r.value == value && (revision == r.revision || r.open) && (revision > r.revision || !r.open)
	return register{value: value, revision: revision}, ok
}

// registerFrom models a register of compare-and-set writes that begins as
// start.
func registerFrom(start register) porcupine.Model {
	return porcupine.Model{
		Init: func() any { return start },
		Step: func(s, in, out any) (bool, any) {
			now, call, end := s.(register), in.(step), out.(outcome)
			if !call.write {
				next, ok := now.at(end.value, end.revision)
				return ok, next
			}
			read, ok := now.at(call.expected, call.expect)
			switch end.kind {
			case conflict:
				return now.value != call.expected, now
			case unknown:
				return ok, register{value: call.value, revision: read.revision, open: true}
			default:
				return ok && end.revision > read.revision, register{value: call.value, revision: end.revision}
			}
		},
	}
}

// history notes calls on the register. It is safe for concurrent use.
type history struct {
	begun time.Time
	mu    sync.Mutex // guards calls
	calls []porcupine.Operation
}

func (h *history) now() int64 { return int64(time.Since(h.begun)) }

// note adds a call that began at from and has ended now.
func (h *history) note(client int, from int64, in step, out outcome) {
	to := h.now()
	if out.kind == unknown {
		to = math.MaxInt64
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.calls = append(h.calls, porcupine.Operation{ClientId: client, Input: in, Call: from, Output: out, Return: to})
}

// tally counts a history's calls.
type tally struct{ reads, writes, conflicts, unknown, unseen int }

// settled returns the calls that took effect, given that the last call was a
// read after all others: a write of unknown outcome whose number nobody read
// then took none, since whoever replaces a number must have read it.
func (h *history) settled() ([]porcupine.Operation, tally) {
	h.mu.Lock()
	defer h.mu.Unlock()
	seen := map[int64]bool{}
	for _, c := range h.calls {
		if in := c.Input.(step); !in.write {
			seen[c.Output.(outcome).value] = true
		}
	}
	var kept []porcupine.Operation
	var n tally
	for _, c := range h.calls {
		in, out := c.Input.(step), c.Output.(outcome)
		switch {
		case !in.write:
			n.reads++
		case out.kind == done:
			n.writes++
		case out.kind == conflict:
			n.conflicts++
		default:
			n.unknown++
			if !seen[in.value] {
				n.unseen++
				continue
			}
		}
		kept = append(kept, c)
	}
	return kept, n
}

// TestRegisterModel: the judge of the chaos tests accepts what may be, and
// nothing that may not.
func TestRegisterModel(t *testing.T) {
	read := func(from, to int64, value int64, revision uint64) porcupine.Operation {
		return porcupine.Operation{Input: step{}, Call: from, Output: outcome{value: value, revision: revision}, Return: to}
	}
	write := func(from, to int64, kind outcomeKind, expect uint64, expected, value int64, revision uint64) porcupine.Operation {
		return porcupine.Operation{
			Input: step{true, expect, expected, value}, Call: from, Output: outcome{kind: kind, revision: revision}, Return: to,
		}
	}
	for name, test := range map[string]struct {
		legal bool
		calls []porcupine.Operation
	}{
		"one after the other": {true, []porcupine.Operation{
			read(0, 1, 0, 3), write(2, 3, done, 3, 0, 7, 5), read(4, 5, 7, 5), write(6, 7, done, 5, 7, 8, 6), read(8, 9, 8, 6)}},
		"a stale read": {false, []porcupine.Operation{
			write(0, 1, done, 3, 0, 7, 5), read(2, 3, 0, 3)}},
		"a read during a write": {true, []porcupine.Operation{
			write(0, 9, done, 3, 0, 7, 5), read(1, 2, 0, 3), read(3, 4, 7, 5)}},
		"back again during a write": {false, []porcupine.Operation{
			write(0, 9, done, 3, 0, 7, 5), read(1, 2, 7, 5), read(3, 4, 0, 3)}},
		"a lost write": {false, []porcupine.Operation{
			write(0, 1, done, 3, 0, 7, 5), write(2, 3, done, 3, 0, 8, 6)}},
		"two writes of one revision": {false, []porcupine.Operation{
			write(0, 9, done, 3, 0, 7, 5), write(0, 9, done, 3, 0, 8, 6)}},
		"a conflict": {true, []porcupine.Operation{
			write(0, 9, done, 3, 0, 7, 5), write(0, 9, conflict, 3, 0, 8, 0)}},
		"a conflict with nobody": {false, []porcupine.Operation{
			write(0, 1, conflict, 3, 0, 8, 0), read(2, 3, 0, 3)}},
		"unknown, and took effect late": {true, []porcupine.Operation{
			write(0, math.MaxInt64, unknown, 3, 0, 7, 0), read(1, 2, 0, 3), read(3, 4, 7, 5), write(5, 6, done, 5, 7, 8, 6)}},
		"unknown, and read with two revisions": {false, []porcupine.Operation{
			write(0, math.MaxInt64, unknown, 3, 0, 7, 0), read(3, 4, 7, 5), read(5, 6, 7, 6)}},
		"unknown, and taken back": {false, []porcupine.Operation{
			write(0, math.MaxInt64, unknown, 3, 0, 7, 0), read(3, 4, 7, 5), read(5, 6, 0, 3)}},
		"a revision that falls": {false, []porcupine.Operation{
			write(0, 1, done, 3, 0, 7, 2), read(3, 4, 7, 2)}},
		"a number that nobody wrote": {false, []porcupine.Operation{read(0, 1, 9, 3)}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := porcupine.CheckOperations(registerFrom(register{revision: 3}), test.calls); got != test.legal {
				t.Errorf("judged %v", got)
			}
		})
	}
}

// TestFirstWrite: the configuration's first revision is 0.
func TestFirstWrite(t *testing.T) {
	for _, kind := range []outcomeKind{done, unknown} {
		calls := []porcupine.Operation{
			{Input: step{}, Call: 0, Output: outcome{}, Return: 1},
			{Input: step{write: true, value: 7}, Call: 2, Output: outcome{kind: kind, revision: 4}, Return: 9},
			{Input: step{}, Call: 3, Output: outcome{value: 7, revision: 4}, Return: 4},
		}
		if !porcupine.CheckOperations(registerFrom(register{}), calls) {
			t.Errorf("a first write of outcome %d was refused", kind)
		}
	}
}

// TestUnseenWrites: only a write of unknown outcome that nobody read is left
// out.
func TestUnseenWrites(t *testing.T) {
	h := &history{begun: time.Now()}
	h.note(0, h.now(), step{write: true, expect: 1, expected: 0, value: 5}, outcome{kind: unknown})
	h.note(0, h.now(), step{write: true, expect: 1, expected: 0, value: 6}, outcome{kind: unknown})
	h.note(0, h.now(), step{write: true, expect: 1, expected: 0, value: 7}, outcome{kind: conflict})
	h.note(1, h.now(), step{}, outcome{value: 5, revision: 2})
	kept, n := h.settled()
	want := tally{reads: 1, conflicts: 1, unknown: 2, unseen: 1}
	if n != want || len(kept) != 3 || kept[0].Return != math.MaxInt64 {
		t.Errorf("%+v, %d kept", n, len(kept))
	}
	if out := describe(kept); strings.Count(out, "\n") != 3 {
		t.Errorf("described as %q", out)
	}
}
