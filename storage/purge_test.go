package storage

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

func marks() []PurgeMark {
	return []PurgeMark{
		{Index: 3, ID: "0000000000000003", Host: "a.test", Path: "/f"},
		{Index: 5, ID: "0000000000000005", Host: "a.test", Path: "/dir/", Prefix: true},
		{Index: 7, ID: "0000000000000007", Path: "/everywhere"},
		{Index: 8, ID: "0000000000000008", Host: "Upper.Test.", Path: "/f"},
		{Index: 9, ID: "0000000000000009", Host: "b.test:8080", Path: "/f"},
		{Index: 11, ID: "000000000000000b", Host: "a.test", Path: "/dir/deep", Prefix: true},
		{Index: 4, ID: "0000000000000004", Host: "a.test", Path: "/dir/deep", Prefix: true},
		{Index: 13, ID: "000000000000000d", Host: "gone.test", Prefix: true},
	}
}

func TestPurgesLatest(t *testing.T) {
	rules := map[string]*Rule{
		"a.test": {KeyHost: "alias.test"},
	}
	p := NewPurges("c", 1, 13, 0, marks()).Keyed(func(host string) (*Rule, bool) {
		r, ok := rules[host]
		return r, ok
	})
	for _, tt := range []struct {
		name string
		ref  Ref
		want uint64 // 0 = none
	}{
		{"exact", Ref{Scheme: "http", Host: "a.test", Path: "/f"}, 3},
		{"the other scheme", Ref{Scheme: "https", Host: "a.test", Path: "/f"}, 3},
		{"a query", Ref{Host: "a.test", Path: "/f", Query: "x=1", QueryInKey: true}, 3},
		{"another host", Ref{Host: "b.test", Path: "/f"}, 0},
		{"a port", Ref{Host: "b.test:8080", Path: "/f"}, 9},
		{"beyond an exact path", Ref{Host: "a.test", Path: "/f/g"}, 0},
		{"other bytes", Ref{Host: "a.test", Path: "/%66"}, 0},
		{"prefix", Ref{Host: "a.test", Path: "/dir/x"}, 5},
		{"the prefix itself", Ref{Host: "a.test", Path: "/dir/"}, 5},
		{"shorter than the prefix", Ref{Host: "a.test", Path: "/dir"}, 0},
		{"the newest of two", Ref{Host: "a.test", Path: "/dir/deeper"}, 11},
		{"as a host may be written", Ref{Host: "upper.test", Path: "/f"}, 8},
		{"every host", Ref{Host: "c.test", Path: "/everywhere"}, 7},
		{"a whole host", Ref{Host: "gone.test", Path: "/x"}, 13},
		{"a mirror's alias", Ref{Host: "mirror.test", KeyHost: "alias.test", Path: "/f"}, 3},
		{"another alias", Ref{Host: "mirror.test", KeyHost: "alias2.test", Path: "/f"}, 0},
	} {
		m, ok := p.Latest(tt.ref)
		if ok != (tt.want != 0) || m.Index != tt.want {
			t.Errorf("%s: %+v, %v, want %d", tt.name, m, ok, tt.want)
		}
	}
}

// A mark of a product hits the hosts whose rule has it now, with any port and
// alias, and nothing where no catalogue says of which product a host is.
func TestPurgesOfAProduct(t *testing.T) {
	all := NewPurges("c", 1, 13, 0, []PurgeMark{
		{Index: 6, ID: "0000000000000006", Product: "Games", Path: "/", Prefix: true},
		{Index: 9, ID: "0000000000000009", Host: "a.test", Path: "/dir/", Prefix: true},
		{Index: 12, ID: "000000000000000c", Product: "Games", Path: "/shop"},
	})
	rules := map[string]*Rule{
		"a.test": {Product: "Games", KeyHost: "alias.test"}, "b.test": {Product: "Games"}, "c.test": {Product: "Films"}, "d.test": {},
	}
	lookup := func(host string) (*Rule, bool) {
		r, ok := rules[host]
		return r, ok
	}
	p := all.Keyed(lookup)
	for _, tt := range []struct {
		ref  Ref
		want uint64
	}{
		{Ref{Host: "a.test", Path: "/f"}, 6}, {Ref{Host: "b.test:8080", Path: "/f"}, 6},
		{Ref{Host: "a.test", KeyHost: "alias.test", Path: "/dir/x"}, 9}, {Ref{Host: "b.test", Path: "/shop"}, 12},
		{Ref{Host: "c.test", Path: "/shop"}, 0}, {Ref{Host: "d.test", Path: "/"}, 0}, {Ref{Host: "x.test", Path: "/"}, 0},
	} {
		if m, ok := p.Latest(tt.ref); ok != (tt.want != 0) || m.Index != tt.want {
			t.Errorf("%v: %+v, want %d", tt.ref, m, tt.want)
		}
	}
	rules["x.test"] = &Rule{Product: "Games"}
	if !p.Dead(Ref{Host: "x.test", Path: "/"}, Stamp{"c", 1, 5}) || p.Dead(Ref{Host: "x.test", Path: "/"}, Stamp{"c", 1, 6}) {
		t.Error("a host that came to the product is not of it")
	}
	if m, ok := all.Latest(Ref{Host: "b.test", Path: "/"}); ok {
		t.Errorf("without a catalogue %+v hits", m)
	}
	ref, old := Ref{Host: "b.test", Path: "/f"}, Stamp{"c", 1, 1}
	if n := testing.AllocsPerRun(100, func() { p.Dead(ref, old) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestHostName(t *testing.T) {
	for host, want := range map[string]string{
		"a.test": "a.test", "a.test:80": "a.test", "": "", "[::1]": "::1", "[::1]:80": "::1", "192.0.2.1:80": "192.0.2.1",
	} {
		if got := HostName(host); got != want {
			t.Errorf("%q: %q", host, got)
		}
	}
}

// Latest gives what looking at every mark gives.
func TestPurgesLatestAsTold(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	text := func(n int) string {
		b := []byte{'/'}
		for range r.IntN(n) {
			b = append(b, "ab/"[r.IntN(3)])
		}
		return string(b)
	}
	for range 200 {
		var all []PurgeMark
		for i := range r.IntN(12) {
			all = append(all, PurgeMark{Index: uint64(i + 1), ID: fmt.Sprintf("%016x", i+1),
				Host: []string{"", "h", "k"}[r.IntN(3)], Path: text(4), Prefix: r.IntN(2) == 0})
		}
		r.Shuffle(len(all), func(i, k int) { all[i], all[k] = all[k], all[i] })
		p := NewPurges("c", 1, 0, 0, all)
		for range 20 {
			ref := Ref{Host: []string{"h", "k", "x"}[r.IntN(3)], Path: text(6)}
			want := PurgeMark{}
			for _, m := range all {
				hit := m.Path == ref.Path || m.Prefix && strings.HasPrefix(ref.Path, m.Path)
				if (m.Host == "" || m.Host == ref.Host) && hit && m.Index > want.Index {
					want = m
				}
			}
			if got, ok := p.Latest(ref); got != want || ok != (want.Index > 0) {
				t.Fatalf("%v of %+v: got %+v, want %+v", ref, all, got, want)
			}
		}
	}
}

func TestPurgesDead(t *testing.T) {
	f := Ref{Host: "a.test", Path: "/f"} // mark 3
	free := Ref{Host: "free.test", Path: "/f"}
	whole := NewPurges("c", 2, 13, 0, marks())
	lacking := NewPurges("c", 2, 13, 10, marks())
	var nothing *Purges
	for _, tt := range []struct {
		name string
		p    *Purges
		ref  Ref
		s    Stamp
		want bool
	}{
		{"before the mark", whole, f, Stamp{"c", 2, 2}, true},
		{"at the mark", whole, f, Stamp{"c", 2, 3}, false},
		{"after all", whole, f, Stamp{"c", 2, 13}, false},
		{"no mark hits", whole, free, Stamp{"c", 2, 0}, false},
		{"another cluster, and a mark", whole, f, Stamp{"d", 2, 99}, true},
		{"another cluster, and no mark", whole, free, Stamp{"d", 2, 99}, false},
		{"none, and a mark", whole, f, Stamp{}, true},
		{"an earlier generation, before", whole, f, Stamp{"c", 1, 2}, true},
		{"an earlier generation, after", whole, f, Stamp{"c", 1, 4}, false},
		{"before what is lacking", lacking, free, Stamp{"c", 2, 9}, true},
		{"after what is lacking", lacking, free, Stamp{"c", 2, 10}, false},
		{"another cluster, and something lacks", lacking, free, Stamp{"d", 2, 99}, true},
		{"no purges", nothing, f, Stamp{}, false},
	} {
		if got := tt.p.Dead(tt.ref, tt.s); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}

func TestPurgesMark(t *testing.T) {
	hit, free := Ref{Host: "a.test", Path: "/f"}, Ref{Host: "free.test", Path: "/f"}
	was := &Object{Version: Version{Mark: "00000000000000aa"}}
	whole, lacking := NewPurges("c", 1, 13, 0, marks()), NewPurges("c", 1, 13, 10, marks())
	own := lacking.Mark(free, nil)
	for _, tt := range []struct {
		name string
		got  string
		want string
	}{
		{"no purges", (*Purges)(nil).Mark(hit, nil), ""},
		{"no purges, a record", (*Purges)(nil).Mark(hit, was), was.Version.Mark},
		{"a mark", whole.Mark(hit, was), "0000000000000003"},
		{"no mark", whole.Mark(free, nil), ""},
		{"no mark, a record", whole.Mark(free, was), was.Version.Mark},
		{"marks lack, a record", lacking.Mark(free, was), was.Version.Mark},
		{"an old mark, and newer ones lack", lacking.Mark(hit, nil), own},
		{"a mark newer than what lacks", lacking.Mark(Ref{Host: "gone.test", Path: "/"}, nil), "000000000000000d"},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, tt.got, tt.want)
		}
	}
	later := NewPurges("c", 1, 13, 11, nil).Mark(free, nil)
	if len(own) != 16 || own == later || own != lacking.Mark(hit, nil) {
		t.Errorf("own marks %q and %q", own, later)
	}
}

func TestStampNewer(t *testing.T) {
	s := Stamp{"c", 2, 5}
	for _, tt := range []struct {
		o    Stamp
		want bool
	}{
		{Stamp{"c", 2, 4}, true}, {s, false}, {Stamp{"c", 2, 6}, false}, {Stamp{"c", 1, 9}, true},
		{Stamp{"c", 3, 1}, false}, {Stamp{"d", 1, 1}, false}, {Stamp{}, false},
	} {
		if got := s.Newer(tt.o); got != tt.want {
			t.Errorf("newer than %+v: %v", tt.o, got)
		}
	}
	if at := NewPurges("c", 1, 2, 20, marks()).Stamp(); at.Index != 20 {
		t.Errorf("the index is behind what it tells of: %+v", at)
	}
}

// Ids of versions from before there were marks stay: they are names of files.
func TestVersionMark(t *testing.T) {
	v := Version{Kind: ValidatorETag, ETag: `"e"`, Size: 7}
	if got := v.ID().String(); got != "7730fa32b9715fc3" {
		t.Errorf("id %s", got)
	}
	marked := v
	marked.Mark = "00000000000000a1"
	other := v
	other.Mark = "00000000000000a2"
	if marked.ID() == v.ID() || marked.ID() == other.ID() {
		t.Error("a mark does not make another version")
	}
}

func TestPurgesAllocateNothing(t *testing.T) {
	ref := Ref{Scheme: "http", Host: "a.test", Path: "/dir/deep/file"}
	for name, p := range map[string]*Purges{"none": nil, "some": NewPurges("c", 1, 13, 0, marks())} {
		if n := testing.AllocsPerRun(100, func() { p.Dead(ref, Stamp{"c", 1, 1}) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func BenchmarkPurgesDead(b *testing.B) {
	all := make([]PurgeMark, 256)
	for i := range all {
		all[i] = PurgeMark{Index: uint64(i + 1), Host: "a.test", Path: fmt.Sprintf("/dir%d/", i), Prefix: i%2 == 0}
	}
	p := NewPurges("c", 1, 0, 0, all)
	ref := Ref{Host: "a.test", Path: "/filestreamingservice/files/7bc846e0-af9c-49be-a03d-bb04428c9bb5"}
	for b.Loop() {
		p.Dead(ref, Stamp{"c", 1, 1})
	}
}
