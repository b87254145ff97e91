package main

import (
	"math"
	"math/rand/v2"
	"sort"
)

// read is one read of a chunk, of which size bytes are held once it was read.
type read struct {
	key  uint64
	size uint32
}

// chunk is the size of a chunk that is held in full.
const chunk = 8 << 20

// trace is a named list of reads, and the cache that it is meant for.
type trace struct {
	name  string
	reads []read
	// capacity is the cache's size in bytes.
	capacity int64
}

// zipf draws numbers below n, i with a chance proportional to 1/(i+1)^s.
type zipf struct {
	rnd   *rand.Rand
	upTo  []float64
	place []int // so that what is hot is spread over the keys
}

func newZipf(rnd *rand.Rand, s float64, n int) *zipf {
	z := &zipf{rnd: rnd, upTo: make([]float64, n), place: rnd.Perm(n)}
	sum := 0.0
	for i := range z.upTo {
		sum += math.Pow(float64(i+1), -s)
		z.upTo[i] = sum
	}
	return z
}

func (z *zipf) next() uint64 {
	at := z.rnd.Float64() * z.upTo[len(z.upTo)-1]
	return uint64(z.place[sort.SearchFloat64s(z.upTo, at)])
}

// The keys of scans and of what is new begin here.
const (
	scanKeys = 1 << 32
	newKeys  = 1 << 40
)

const (
	zipfChunks = 40_000
	zipfCache  = zipfChunks / 10
	zipfReads  = 250_000
)

// zipfTrace is Zipf 0.9 over 40,000 chunks.
func zipfTrace(seed uint64) trace {
	z := newZipf(rand.New(rand.NewPCG(seed, 0)), 0.9, zipfChunks)
	t := trace{name: "zipf", capacity: zipfCache * chunk}
	for range zipfReads {
		t.reads = append(t.reads, read{z.next(), chunk})
	}
	return t
}

// scanned is the Zipf trace with one sequential scan of 3 x the cache after
// every 50,000 reads. With again, each scan reads the same chunks, else ones
// that nobody reads again. With mixed, a scan is spread over the 50,000 reads
// rather than one burst.
func scanned(seed uint64, name string, again, mixed bool) trace {
	const every, long = 50_000, 3 * zipfCache
	base := zipfTrace(seed)
	t := trace{name: name, capacity: base.capacity}
	scan := uint64(0)
	one := func(i int) {
		key := scan + uint64(i)
		t.reads = append(t.reads, read{scanKeys + key, chunk})
	}
	for i, r := range base.reads {
		t.reads = append(t.reads, r)
		if n := i%every + 1; mixed {
			for k := (n - 1) * long / every; k < n*long/every; k++ {
				one(k)
			}
		}
		if (i+1)%every != 0 {
			continue
		}
		if !mixed {
			for k := range long {
				one(k)
			}
		}
		if !again {
			scan += long
		}
	}
	return t
}

// loopTrace reads 1.25 x the cache over and over.
func loopTrace() trace {
	t := trace{name: "loop", capacity: 4000 * chunk}
	for i := range 60_000 {
		t.reads = append(t.reads, read{uint64(i % 5000), chunk})
	}
	return t
}

// scanTrace reads everything once.
func scanTrace() trace {
	t := trace{name: "scan", capacity: 4000 * chunk}
	for i := range 20_000 {
		t.reads = append(t.reads, read{uint64(i), chunk})
	}
	return t
}

// shiftTrace is Zipf 0.9 whose hot set moves: every 20,000 reads a tenth of the
// ranks are dealt anew.
func shiftTrace(seed uint64) trace {
	rnd := rand.New(rand.NewPCG(seed, 7))
	z := newZipf(rnd, 0.9, zipfChunks)
	t := trace{name: "shifting zipf", capacity: zipfCache * chunk}
	for i := range zipfReads {
		if i%20_000 == 0 {
			for range zipfChunks / 10 {
				a, b := rnd.IntN(zipfChunks), rnd.IntN(zipfChunks)
				z.place[a], z.place[b] = z.place[b], z.place[a]
			}
		}
		t.reads = append(t.reads, read{z.next(), chunk})
	}
	return t
}

// updateDay is a day of a site: games in the background (Zipf 0.8, whole
// chunks), three waves of new updates that everybody wants within hours (a herd
// on few new chunks, each client reading on), express updates of which only a
// part of each chunk is read (sparse chunks of 128 KiB to 2 MiB), and a backup
// that reads a share from end to end.
func updateDay(seed uint64) trace {
	const (
		reads       = 250_000
		games       = 30_000
		backupChunk = 12_000
	)
	rnd := rand.New(rand.NewPCG(seed, 3))
	z := newZipf(rnd, 0.8, games)
	express := newZipf(rnd, 0.7, 40_000)
	sizes := func(key uint64) uint32 {
		h := key * 0x9e3779b97f4a7c15 >> 40
		return uint32(128<<10 + h%15*(128<<10))
	}
	t := trace{name: "update day", capacity: 4000 * chunk}
	backup := 0
	for i := range reads {
		at := float64(i) / reads
		wave, since := 0, at
		for w, begin := range []float64{0.1, 0.35, 0.6} {
			if at >= begin {
				wave, since = w+1, at-begin
			}
		}
		herd := 0.0
		if wave > 0 {
			herd = 0.55 * math.Exp(-since/0.08)
		}
		switch p := rnd.Float64(); {
		case p < herd:
			// Each wave is 700 chunks; where a client is in it grows with time.
			k := uint64(rnd.IntN(700))
			t.reads = append(t.reads, read{newKeys + uint64(wave)<<20 + k, chunk})
		case p < herd+0.25*(1-herd):
			k := newKeys*2 + express.next()
			t.reads = append(t.reads, read{k, sizes(k)})
		case at > 0.45 && at < 0.55 && p < 0.7:
			t.reads = append(t.reads, read{scanKeys + uint64(backup), chunk})
			backup = (backup + 1) % backupChunk
		default:
			t.reads = append(t.reads, read{z.next(), chunk})
		}
	}
	return t
}

// traces returns all of them, by one fixed seed.
func traces() []trace {
	const seed = 20261123
	return []trace{
		zipfTrace(seed),
		scanned(seed, "zipf, scans of new chunks", false, false),
		scanned(seed, "zipf, scans of the same", true, false),
		scanned(seed, "zipf, scans spread", false, true),
		shiftTrace(seed),
		scanTrace(),
		loopTrace(),
		updateDay(seed),
	}
}
