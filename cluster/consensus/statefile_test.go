package consensus

import (
	"reflect"
	"testing"

	"github.com/mccd/mccd/cluster/state"
)

// FuzzOpenState: no content of a state file makes it panic, and what opens is
// read again as the same.
func FuzzOpenState(f *testing.F) {
	f.Add(sealState(&state.State{ClusterID: "c", Index: 3}))
	f.Add([]byte(stateMagic))
	f.Fuzz(func(t *testing.T, b []byte) {
		st, err := openState(b)
		if err != nil {
			return
		}
		if again, err := openState(sealState(st)); err != nil || !reflect.DeepEqual(again, st) {
			t.Errorf("read once, not twice: %v", err)
		}
	})
}

func TestFurther(t *testing.T) {
	at := func(cluster string, generation uint32, index uint64) *state.State {
		return &state.State{ClusterID: cluster, Generation: generation, Index: index}
	}
	for _, c := range []struct {
		a, b *state.State
		want bool
	}{
		{at("a", 1, 2), at("a", 1, 1), true},
		{at("a", 1, 1), at("a", 1, 1), false},
		{at("a", 2, 1), at("a", 1, 9), true},
		{at("a", 1, 9), at("a", 2, 1), false},
		{at("a", 9, 9), at("b", 1, 1), false},
		{at("a", 1, 1), at("", 0, 0), true},
		{&state.State{ClusterID: "a", Generation: 2, RecoveryID: "x", Index: 9}, at("a", 2, 1), false},
		{&state.State{ClusterID: "a", Generation: 2, RecoveryID: "x", Index: 9}, at("a", 1, 10), true},
	} {
		if got := further(c.a, c.b); got != c.want {
			t.Errorf("further(%v, %v) = %v", c.a, c.b, got)
		}
	}
}
