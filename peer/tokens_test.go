package peer

import (
	"fmt"
	"slices"
	"testing"
)

// snapshot returns those not refused.
func (t *tokens) snapshot() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.list)
}

func TestTokens(t *testing.T) {
	var k tokens
	k.bring("a")
	k.bring("")
	k.bring("b")
	if k.next() != "b" {
		t.Errorf("asks with %q, want the newest", k.next())
	}
	if !k.refuse("b") || k.next() != "a" {
		t.Errorf("asks with %q after b was refused", k.next())
	}
	k.worked("a")
	k.bring("c")
	k.bring("b") // refused already
	if k.next() != "a" {
		t.Errorf("asks with %q, though a has worked", k.next())
	}
	if !k.refuse("a") || k.next() != "c" {
		t.Errorf("asks with %q after a was revoked", k.next())
	}
	if !k.refuse("c") || k.next() != "" {
		t.Errorf("asks with %q, want none", k.next())
	}
	if k.refuse("") || !k.tried("") || !k.tried("a") || k.tried("d") {
		t.Error("all are refused")
	}
	for i := range 3 * maxTokens {
		k.bring(fmt.Sprint(i))
	}
	if len(k.list) != maxTokens || k.next() != fmt.Sprint(3*maxTokens-1) {
		t.Errorf("%d are kept, the next is %q", len(k.list), k.next())
	}
}
