package ring

import (
	"fmt"
	"slices"
	"testing"
)

func TestView(t *testing.T) {
	r := mustNew(t, []Member{{ID: "b", Zone: "z"}, {ID: "a"}, {ID: "c"}})
	v := NewView("b", 7, r, []Node{
		{ID: "b", Name: "bee", Zone: "old", PeerAddr: "127.0.0.1:1", State: Alive},
		{ID: "b", Name: "second"},
		{ID: "a", State: Draining},
		{ID: "stranger", State: Alive},
	})
	if len(v.Nodes()) != 3 || v.SelfIndex() != 1 || v.Serial != 7 || v.Digest() != r.Digest() {
		t.Fatalf("view: %d nodes, self %d, serial %d", len(v.Nodes()), v.SelfIndex(), v.Serial)
	}
	for _, tc := range []struct {
		id    string
		state State
		name  string
		zone  string
	}{{"a", Draining, "", ""}, {"b", Alive, "bee", "z"}, {"c", Failed, "", ""}} {
		n, ok := v.ByID(tc.id)
		if !ok || n.State != tc.state || n.Name != tc.name || n.Zone != tc.zone || n.ID != tc.id {
			t.Errorf("ByID(%q) = %+v, %v", tc.id, n, ok)
		}
	}
	if _, ok := v.ByID("stranger"); ok {
		t.Error("a node that is no member is in the view")
	}
	if v.Node(3) != nil || v.Node(1).ID != "b" {
		t.Error("Node by index is wrong")
	}
	for h := range uint64(100) {
		if i, ok := v.Acting(h); !ok || v.Node(i).ID != "b" {
			t.Fatalf("acting owner = %d, %v; only b is alive", i, ok)
		}
		if !slices.Equal(v.Order(h), r.Lookup(h)) {
			t.Fatal("Order is not the ring's")
		}
	}
	empty := NewView("x", 0, nil, nil)
	if _, ok := empty.Acting(1); ok || empty.SelfIndex() != -1 || len(empty.Order(1)) != 0 {
		t.Error("an empty view answers")
	}
}

// TestViewAtAnEpoch: the epoch is of the copy; members, states and incarnations
// are those of the view.
func TestViewAtAnEpoch(t *testing.T) {
	r := mustNew(t, []Member{{ID: "a"}, {ID: "b"}})
	v := NewView("a", 3, r, []Node{{ID: "b", Incarnation: 9}})
	e := Epoch{Cluster: "c", Generation: 1, Index: 12}
	w := v.At(e)
	if v.Epoch != (Epoch{}) || w.Epoch != e {
		t.Fatalf("epochs %v and %v", v.Epoch, w.Epoch)
	}
	b, ok := w.ByID("b")
	if !ok || b.Incarnation != 9 || w.Serial != 3 || w.SelfIndex() != v.SelfIndex() || w.Digest() != v.Digest() {
		t.Errorf("At changed more than the epoch: %+v", w)
	}
	if a, _ := w.ByID("a"); a.Incarnation != 0 || a.State != Failed {
		t.Errorf("a node of whom nothing is known: %+v", a)
	}
}

func TestEpochNewer(t *testing.T) {
	for _, tc := range []struct {
		name string
		e, o Epoch
		want bool
	}{
		{"same", Epoch{"c", 1, 5}, Epoch{"c", 1, 5}, false},
		{"higher index", Epoch{"c", 1, 6}, Epoch{"c", 1, 5}, true},
		{"lower index", Epoch{"c", 1, 4}, Epoch{"c", 1, 5}, false},
		{"generation before index", Epoch{"c", 2, 1}, Epoch{"c", 1, 900}, true},
		{"older generation, higher index", Epoch{"c", 1, 900}, Epoch{"c", 2, 1}, false},
		{"other cluster, newer", Epoch{"d", 9, 9}, Epoch{"c", 1, 1}, false},
		{"other cluster, older", Epoch{"c", 1, 1}, Epoch{"d", 9, 9}, false},
		{"none", Epoch{}, Epoch{}, false},
		{"first after none is of another cluster", Epoch{"c", 0, 1}, Epoch{}, false},
	} {
		if got := tc.e.Newer(tc.o); got != tc.want {
			t.Errorf("%s: %v.Newer(%v) = %v", tc.name, tc.e, tc.o, got)
		}
	}
	if s := (Epoch{"c", 2, 17}).String(); s != "2.17" {
		t.Errorf("String = %q", s)
	}
}

func ExampleView_Order() {
	r, err := New([]Member{{ID: "a"}, {ID: "b"}, {ID: "c"}})
	if err != nil {
		panic(err)
	}
	v := NewView("a", 1, r, []Node{{ID: "a"}, {ID: "b"}})
	for _, i := range v.Order(1234567) {
		n := v.Node(i)
		fmt.Println(n.ID, n.State)
	}
	// Output:
	// b alive
	// a alive
	// c failed
}
