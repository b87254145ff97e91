package gossip

import (
	"errors"
	"fmt"
	"testing"

	"github.com/hashicorp/memberlist"
)

// Whoever has a key of gossip cannot fill a node's memory with members.
func TestMembersAreBounded(t *testing.T) {
	meta := func(id byte) (*memberlist.Node, Member) {
		cfg := config(id)
		m := Member{ID: cfg.NodeID, Name: cfg.Name, PeerAddr: cfg.PeerAddr, Incarnation: 1, FormatVersion: 1}
		b, err := encodeMeta(m)
		if err != nil {
			t.Fatal(err)
		}
		return &memberlist.Node{Name: m.ID + "-1", Meta: b}, m
	}
	d := &delegate{members: make(map[string]Member)}
	known, m := meta(1)
	d.members[known.Name] = m
	other, _ := meta(2)
	if err := d.NotifyAlive(other); err != nil {
		t.Errorf("while there is room: %v", err)
	}
	for i := len(d.members); i < maxMembers; i++ {
		d.members[fmt.Sprint(i)] = Member{}
	}
	if err := d.NotifyAlive(other); !errors.Is(err, errFull) {
		t.Errorf("one too many: %v", err)
	}
	if err := d.NotifyAlive(known); err != nil {
		t.Errorf("one that is in: %v", err)
	}
}
