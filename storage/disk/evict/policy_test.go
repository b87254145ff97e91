package evict

import (
	"math/rand/v2"
	"sync"
	"testing"
)

// item is a copy of the tests.
type item struct {
	key   uint64
	links Links[*item]
}

func (i *item) Links() *Links[*item] { return &i.links }
func (i *item) Hash() uint64         { return i.key * 0x9e3779b97f4a7c15 }

// held makes n copies of size bytes each, of one class, and adds them.
func held(p *Policy[*item], n int, size int64, class Class, known bool) []*item {
	out := make([]*item, n)
	for i := range out {
		out[i] = &item{key: uint64(class)<<32 + uint64(i)}
		p.Grew(out[i], size)
		p.Add(out[i], class, known)
	}
	return out
}

// use counts n uses of i, far apart.
func (i *item) use(n int) {
	for range n {
		i.links.Use(i.links.uses.Load()>>usesBits + 2)
	}
}

func take(t *testing.T, p *Policy[*item]) *item {
	t.Helper()
	e, _, ok := p.Take()
	if !ok {
		t.Fatal("nothing to take")
	}
	return e
}

// What was not asked for again leaves in the order of its coming, and what comes
// back soon is not new.
func TestOrder(t *testing.T) {
	p := New[*item](Config{})
	items := held(p, 30, 1, Owned, false)
	items[0].use(1)
	items[2].use(5)
	p.Remove(items[3])
	for want := range 10 {
		if want == 0 || want == 2 || want == 3 {
			continue
		}
		if got := take(t, p); got != items[want] {
			t.Fatalf("%d leaves, want %d", got.key, want)
		}
	}
	p.Add(items[1], Owned, false)
	if items[1].links.queue != large {
		t.Error("a copy that comes back soon is taken for new")
	}
	p.PutBack(items[4])
	n := p.Len()
	if n != 30-1-7+2 {
		t.Errorf("%d copies", n)
	}
	seen := map[*item]bool{}
	for range n {
		e := take(t, p)
		if seen[e] {
			t.Fatalf("%d leaves twice", e.key)
		}
		seen[e] = true
	}
	if _, _, ok := p.Take(); ok || p.Len() != 0 || len(p.ghosts.known) > 31 {
		t.Errorf("an empty policy has %d copies, %d ghosts", p.Len(), len(p.ghosts.known))
	}
}

// A copy that was asked for stays for as many rounds.
func TestUses(t *testing.T) {
	p := New[*item](Config{})
	items := held(p, 3, 1, Owned, true)
	items[0].use(9)
	items[1].use(1)
	for i, want := range []int{2, 1, 0} {
		if got := take(t, p); got != items[want] {
			t.Errorf("copy %d leaves as number %d, want %d", got.key, i, want)
		}
	}
}

// Uses at one moment count once.
func TestTicks(t *testing.T) {
	var l Links[*item]
	l.Began(7)
	for _, c := range []struct{ tick, want uint32 }{{7, 0}, {8, 0}, {9, 1}, {10, 1}, {11, 2}, {50, 3}, {99, 3}, {1<<30 + 100, 3}} {
		if l.Use(c.tick); l.count() != c.want {
			t.Errorf("at tick %d: %d uses, want %d", c.tick, l.count(), c.want)
		}
	}
	l.spend(2)
	if l.count() != 1 {
		t.Errorf("%d uses are left", l.count())
	}
	if l.spend(2); l.count() != 0 {
		t.Errorf("%d uses are left", l.count())
	}
}

func TestClasses(t *testing.T) {
	const size = 10
	for _, c := range []struct {
		name            string
		first           Class
		share           int64
		borrowed, owned int
		uses            int
		want            Class
	}{
		{name: "over its share a borrowed copy goes", share: 4 * size, borrowed: 5, owned: 50, first: Owned, uses: 3, want: Borrowed},
		{name: "within it a far older owned one goes", share: 5 * size, borrowed: 5, owned: 50, first: Owned, want: Owned},
		{name: "within it one goes before an owned one that is not far older", share: 50 * size, borrowed: 50, owned: 50, first: Owned, want: Borrowed},
		{name: "within it a borrowed one that nobody asks for goes", share: 5 * size, borrowed: 5, owned: 50, first: Borrowed, want: Borrowed},
		{name: "within it a borrowed one in use stays", share: 5 * size, borrowed: 5, owned: 50, first: Borrowed, uses: 1, want: Owned},
		{name: "nothing else", share: 50 * size, borrowed: 5, first: Borrowed, want: Borrowed},
		{name: "nothing borrowed", share: 5 * size, owned: 5, first: Owned, want: Owned},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := New[*item](Config{Share: c.share})
			order := []Class{Borrowed, Owned}
			if c.first == Owned {
				order = []Class{Owned, Borrowed}
			}
			for _, class := range order {
				n := map[Class]int{Borrowed: c.borrowed, Owned: c.owned}[class]
				for _, i := range held(p, n, size, class, true) {
					if class == Borrowed {
						i.use(c.uses)
					}
				}
			}
			if _, class, ok := p.Take(); !ok || class != c.want {
				t.Errorf("%v goes, want %v", class, c.want)
			}
			held(p, 1, size, Old, false)
			if _, class, _ := p.Take(); class != Old {
				t.Errorf("%v goes before an old version", class)
			}
		})
	}
}

func TestPinnedNeverGoes(t *testing.T) {
	p := New[*item](Config{Share: 100})
	items := held(p, 4, 1, Pinned, false)
	if e, _, ok := p.Take(); ok {
		t.Errorf("%d goes", e.key)
	}
	p.Classify(items[2], Owned)
	if got := take(t, p); got != items[2] {
		t.Errorf("%d goes", got.key)
	}
	p.Return(items[2], Pinned)
	if _, _, ok := p.Take(); ok || p.Len() != 4 {
		t.Errorf("%d copies are left", p.Len())
	}
}

// What was judged anew goes next of its new class.
func TestReturn(t *testing.T) {
	p := New[*item](Config{Share: 1})
	owned := held(p, 3, 1, Owned, true)
	borrowed := held(p, 3, 1, Borrowed, true)
	for range 10 * dear { // so that the owned ones are far older
		p.Remove(borrowed[0])
		p.Add(borrowed[0], Borrowed, true)
	}
	p.Remove(borrowed[1])
	p.Remove(borrowed[2])
	e, class, _ := p.Take()
	if e != owned[0] || class != Owned {
		t.Fatalf("%v goes", class)
	}
	p.Return(e, Borrowed)
	if got := take(t, p); got != e {
		t.Errorf("%d goes before the one judged anew", got.key)
	}
}

// The sums are those of the copies, whatever is done in whatever order.
func TestSums(t *testing.T) {
	for seed := range uint64(50) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		p := New[*item](Config{Share: 200})
		items := make([]*item, 60)
		for i := range items {
			items[i] = &item{key: uint64(i)}
		}
		for range 2000 {
			e, class := items[rnd.IntN(len(items))], Class(rnd.IntN(classes))
			switch rnd.IntN(8) {
			case 0, 1:
				p.Add(e, class, rnd.IntN(4) == 0)
			case 2:
				p.Grew(e, int64(rnd.IntN(9)))
			case 3:
				p.Remove(e)
			case 4:
				p.Classify(e, class)
			case 5:
				e.use(1)
			case 6:
				if e, _, ok := p.Take(); ok && rnd.IntN(2) == 0 {
					p.PutBack(e)
				}
			case 7:
				if e, _, ok := p.Take(); ok {
					p.Return(e, class)
				}
			}
		}
		var want [classes]int64
		n := 0
		for _, e := range items {
			if e.links.queue != nowhere {
				want[e.links.class] += int64(e.links.size)
				n++
			}
		}
		for class := range Class(classes) {
			if _, got := p.Usage(class); got != want[class] {
				t.Errorf("seed %d: %d bytes are %v, want %d", seed, got, class, want[class])
			}
		}
		if p.Len() != n || len(p.ghosts.known) > 61 {
			t.Errorf("seed %d: %d copies of %d, %d ghosts", seed, p.Len(), n, len(p.ghosts.known))
		}
	}
}

// One Take never turns a whole long queue over.
func TestTakeIsBounded(t *testing.T) {
	p := New[*item](Config{})
	for _, i := range held(p, 10*maxSteps, 1, Owned, true) {
		i.use(3)
	}
	p.Take()
	if p.now > 11*maxSteps+2 {
		t.Errorf("one eviction took %d steps", p.now-10*maxSteps)
	}
}

func TestConcurrent(t *testing.T) {
	p := New[*item](Config{Share: 20})
	items := held(p, 100, 1, Owned, false)
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 2000 {
				e := items[(i*7+g)%len(items)]
				switch (i + g) % 5 {
				case 0:
					e.links.Use(uint32(i))
				case 1:
					p.Grew(e, 1)
				case 2:
					p.Classify(e, Class(i%classes))
				case 3:
					if e, _, ok := p.Take(); ok {
						p.PutBack(e)
					}
				case 4:
					p.Usage(Borrowed)
				}
			}
		})
	}
	wg.Wait()
	if p.Len() != len(items) {
		t.Errorf("%d copies of %d", p.Len(), len(items))
	}
}
