package ring

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the golden files: only with a new FormatVersion")

// members returns n members named as nodes are, spread over zones.
func members(n int, zones ...string) []Member {
	ms := make([]Member, n)
	for i := range ms {
		ms[i].ID = fmt.Sprintf("%032x", uint64(i+1)*0x9e3779b97f4a7c15)
		if len(zones) > 0 {
			ms[i].Zone = zones[i%len(zones)]
		}
	}
	return ms
}

// weighted gives ms the weights, over and over.
func weighted(ms []Member, weights ...int) []Member {
	for i := range ms {
		ms[i].Weight = weights[i%len(weights)]
	}
	return ms
}

func mustNew(t testing.TB, ms []Member) *Ring {
	t.Helper()
	r, err := New(ms)
	if err != nil {
		t.Fatalf("New(%d members): %v", len(ms), err)
	}
	return r
}

func TestNewRefuses(t *testing.T) {
	for _, tc := range []struct {
		name string
		in   []Member
		want error
	}{
		{"duplicate", []Member{{ID: "a"}, {ID: "b"}, {ID: "a"}}, ErrDuplicate},
		{"empty id", []Member{{ID: "a"}, {}}, ErrMember},
		{"weight", []Member{{ID: "a", Weight: MaxWeight + 1}}, ErrMember},
		{"negative weight", []Member{{ID: "a", Weight: -1}}, ErrMember},
		{"too many", members(MaxMembers + 1), ErrTooMany},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r, err := New(tc.in)
			if r != nil || !errors.Is(err, tc.want) {
				t.Fatalf("New = %v, %v; want error %v", r, err, tc.want)
			}
		})
	}
}

func TestEmptyRing(t *testing.T) {
	for _, r := range []*Ring{mustNew(t, nil), {}, nil} {
		if got := r.Lookup(42); len(got) != 0 {
			t.Errorf("Lookup in an empty ring = %v", got)
		}
		if r.Index("a") != -1 || len(r.Members()) != 0 {
			t.Errorf("an empty ring has members")
		}
	}
	r := mustNew(t, members(3))
	for _, p := range []int{-1, Partitions, 1 << 40} {
		if got := r.At(p); got != nil {
			t.Errorf("At(%d) = %v", p, got)
		}
	}
}

// TestOrderOfMembersDoesNotMatter: all nodes compute one layout, however they
// came to know the members.
func TestOrderOfMembersDoesNotMatter(t *testing.T) {
	ms := members(9, "east", "west", "")
	a := mustNew(t, ms)
	slices.Reverse(ms)
	b := mustNew(t, ms)
	if a.Digest() != b.Digest() || !slices.Equal(a.table, b.table) {
		t.Fatal("the layout depends on the order of the members")
	}
	ms[0].Weight = 1
	if c := mustNew(t, ms); c.Digest() != a.Digest() {
		t.Fatal("weights 0 and 1 give different digests")
	}
}

func TestDigestTellsApart(t *testing.T) {
	sets := [][]Member{
		nil, {{ID: "a"}}, {{ID: "b"}}, {{ID: "a"}, {ID: "b"}}, {{ID: "ab"}},
		{{ID: "a", Weight: 2}}, {{ID: "a", Weight: 3}}, {{ID: "a", Weight: 4}},
		{{ID: "a", Weight: 2}, {ID: "b"}}, {{ID: "a"}, {ID: "b", Weight: 2}},
		{{ID: "a", Zone: "b"}}, {{ID: "a", Zone: "b"}, {ID: "b"}}, {{ID: "a"}, {ID: "b", Zone: "b"}},
	}
	seen := make(map[uint64]int)
	for i, set := range sets {
		d := mustNew(t, set).Digest()
		if j, ok := seen[d]; ok {
			t.Errorf("sets %d and %d have one digest", i, j)
		}
		seen[d] = i
	}
}

// TestEveryOrder checks, for 1 to 200 members: the order holds min(n, 8)
// different members, and zones are apart as far as there are zones.
func TestEveryOrder(t *testing.T) {
	for _, n := range []int{1, 2, 3, 8, 9, 40, 200} {
		for _, zones := range [][]string{nil, {"a", "b", "c"}} {
			if n == 200 && zones == nil {
				continue // a second large ring would show nothing new
			}
			r := mustNew(t, members(n, zones...))
			for p := range Partitions {
				order := r.At(p)
				if len(order) != min(n, Order) {
					t.Fatalf("n=%d: partition %d has %d members", n, p, len(order))
				}
				inZone := make(map[string]int)
				for k, i := range order {
					if slices.Contains(order[:k], i) || int(i) >= n {
						t.Fatalf("n=%d: partition %d has order %v", n, p, order)
					}
					inZone[r.Members()[i].Zone]++
				}
				if len(zones) > 0 && n >= Order+1 {
					for z, k := range inZone {
						if k < Order/len(zones) || k > Order/len(zones)+1 {
							t.Fatalf("n=%d: partition %d has %d members of zone %q", n, p, k, z)
						}
					}
				}
			}
		}
	}
}

func TestSecondIsInAnotherZone(t *testing.T) {
	r := mustNew(t, members(12, "a", "a", "a", "b"))
	for p := range Partitions {
		o := r.At(p)
		if r.Members()[o[0]].Zone == r.Members()[o[1]].Zone {
			t.Fatalf("partition %d: owner and first successor are both in zone %q", p, r.Members()[o[0]].Zone)
		}
	}
}

func TestLookupAllocatesNothing(t *testing.T) {
	v := NewView("x", 1, mustNew(t, members(50)), nil)
	var sum int
	n := testing.AllocsPerRun(1000, func() {
		sum += int(v.Order(0x1234567890abcdef)[0])
	})
	if n != 0 {
		t.Fatalf("%v allocations per lookup", n)
	}
}

func TestSharedOrderCannotGrowIntoTheNext(t *testing.T) {
	r := mustNew(t, members(20))
	next := r.At(1)[0]
	_ = append(r.At(0), next+1)
	if r.At(1)[0] != next {
		t.Fatal("appending to one order changed the next")
	}
}

// TestGolden pins the layout of FormatVersion 1: a change here moves chunks
// in every cluster that is upgraded. A file holds every 64th partition, for
// people, and the hash of all.
func TestGolden(t *testing.T) {
	for _, tc := range []struct {
		name string
		in   []Member
	}{
		{"one", members(1)},
		{"three", members(3)},
		{"five-zones", members(5, "east", "west")},
		{"twenty", members(20)},
		{"one-heavy", weighted(members(1), 4)},
		{"three-weights", weighted(members(3), 1, 2, 4)},
		{"twenty-weights-zones", weighted(members(20, "a", "b", "c"), 1, 2, 3, 4)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := mustNew(t, tc.in)
			var b bytes.Buffer
			fmt.Fprintf(&b, "format %d digest %016x\n", FormatVersion, r.Digest())
			sum := sha256.New()
			for p := range Partitions {
				line := fmt.Sprintln(p, r.At(p))
				sum.Write([]byte(line))
				if p%64 == 0 {
					b.WriteString(line)
				}
			}
			fmt.Fprintf(&b, "all %x\n", sum.Sum(nil))
			path := filepath.Join("testdata", tc.name+".golden")
			if *update {
				if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(b.Bytes(), want) {
				t.Fatal("the layout changed: that needs a new FormatVersion")
			}
		})
	}
}
