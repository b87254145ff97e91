package testcluster_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/test/faultorigin"
	"github.com/mccd/mccd/test/testcluster"
)

// The full form: -versions.changes=50 -versions.clients=50.
var (
	changes = flag.Int("versions.changes", 8, "how often the origin changes the object in TestVersionsUnderLoad")
	readers = flag.Int("versions.clients", 12, "how many clients download it meanwhile")
)

const (
	changingPath = "/changing.bin"
	changingRate = 4 << 20 // of one client, bytes/s
	originRate   = 24 << 20
)

// changingObject is what the origin has as version v: two versions in a row
// have one length, so that a length does not tell them apart.
func changingObject(v int) faultorigin.Object {
	return faultorigin.Object{
		Path: changingPath, Version: fmt.Sprint(v), Size: 9<<20 + int64(v/2%7)*1000,
		LastModified: time.Date(2025, 1, 1, 0, v, 0, 0, time.UTC),
		Header:       http.Header{"Cache-Control": {"max-age=0"}},
	}
}

// versions is an origin that changes its object, and what became of those who
// downloaded it.
type versions struct {
	o *faultorigin.Server
	c *testcluster.Cluster

	mu      sync.Mutex // guards what follows
	current int
	held    map[int]bool // by version that was replaced: all of it was fetched by then
	ends    []ending
}

// ending is the end of one download.
type ending struct {
	version, resumes int
	// closed: a node ended a response before its end, or did not answer; lost:
	// the next one did too.
	closed, lost bool
	why          string
	// shared: its address was that of other clients too.
	shared bool
	err    error // wrong bytes, or what a client cannot bear
}

// The origin changes the object while clients download it through all nodes as
// Delivery Optimization Lite does, going on at another node after each break:
// what is completed is one version, whole; a download of a version that was held
// is never closed.
func TestVersionsUnderLoad(t *testing.T) {
	first := changingObject(1)
	o, c := served(t, testcluster.Config{}, first)
	o.Script(changingPath, faultorigin.Behaviour{Rate: originRate})
	v := &versions{o: o, c: c, current: 1, held: make(map[int]bool)}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute+time.Duration(*changes)*5*time.Second)
	defer cancel()
	changed := make(chan struct{})
	var wg sync.WaitGroup
	for i := range *readers {
		wg.Go(func() {
			client := newLite(i)
			for n := 0; ctx.Err() == nil; n++ {
				select {
				case <-changed:
					if n > 0 {
						return
					}
				default:
				}
				v.add(client.download(ctx, v))
			}
		})
	}
	for n := range *changes {
		if err := v.change(ctx, n); err != nil {
			t.Fatal(err)
		}
	}
	close(changed)
	wg.Wait()
	v.report(t)
}

func (v *versions) add(e ending) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.ends = append(v.ends, e)
}

// change replaces the version, in turns when all of it was fetched, and when
// some of it was.
func (v *versions) change(ctx context.Context, n int) error {
	size, version := changingObject(v.current).Size, fmt.Sprint(v.current)
	least := size
	if n%2 == 1 {
		least = size / 4
	}
	fetched := func(es []faultorigin.Entry) int64 {
		var all []storage.Span
		for i := range es {
			if es[i].Version == version {
				all = append(all, es[i].Sent...)
			}
		}
		return union(all)
	}
	if err := v.o.Ledger().Wait(ctx, changingPath, func(es []faultorigin.Entry) bool { return fetched(es) >= least }); err != nil {
		return fmt.Errorf("version %s is not fetched: %w", version, err)
	}
	if least == size {
		if err := pause(ctx, 700*time.Millisecond); err != nil { // so that downloads of several versions overlap
			return err
		}
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.o.Add(changingObject(v.current + 1))
	v.held[v.current] = fetched(v.o.Ledger().Requests(changingPath)) == size
	v.current++
	return nil
}

func union(spans []storage.Span) (n int64) {
	for end := int64(0); ; {
		next := storage.Span{Off: 1 << 62}
		for _, s := range spans {
			if s.Off = max(s.Off, end); !s.Empty() && (s.Off < next.Off || s.Off == next.Off && s.End > next.End) {
				next = s
			}
		}
		if next.End == 0 {
			return n
		}
		n += next.Len()
		end = next.End
	}
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// report says what became of all downloads, and fails the test where it must
// not be.
func (v *versions) report(t *testing.T) {
	var whole, resumed, closed, lost, closedHeld, ofHeld, resumes, shared, closedShared int
	for _, e := range v.ends {
		kept := (v.held[e.version] || e.version == v.current) && !e.shared
		if e.err != nil {
			t.Error(e.err)
			continue
		}
		closed, lost = closed+count(e.closed), lost+count(e.lost)
		whole, resumed = whole+count(!e.lost), resumed+count(!e.lost && e.resumes > 0)
		ofHeld, closedHeld = ofHeld+count(kept), closedHeld+count(kept && e.closed)
		shared, closedShared = shared+count(e.shared), closedShared+count(e.shared && e.closed)
		resumes += e.resumes
		if kept && e.closed {
			t.Errorf("version %d was held whole, a download of it was closed %s", e.version, e.why)
		}
	}
	held := 0
	for _, all := range v.held {
		if all {
			held++
		}
	}
	l := v.o.Ledger()
	t.Logf("%d changes, %d of versions that were held whole; %d clients, %d downloads, %d resumes", v.current-1, held, *readers, len(v.ends), resumes)
	t.Logf("completed, one version and whole: %d, %d of them by resumes; closed: %d (%.1f %%), not completed: %d", whole, resumed, closed, 100*float64(closed)/float64(len(v.ends)), lost)
	t.Logf("of versions held whole: %d downloads, closed: %d", ofHeld, closedHeld)
	t.Logf("of all, behind one address, where it cannot be told who has which version: %d downloads, closed: %d", shared, closedShared)
	t.Logf("origin: %d requests, %d bytes, %d different ones, no byte more than %d times", len(l.Requests(changingPath)), l.Bytes(changingPath), l.Union(changingPath), l.MaxTimes(changingPath))
	if whole == 0 || resumed == 0 || held == 0 || held == v.current-1 {
		t.Error("the test did not see what it is for")
	}
}

func count(b bool) int {
	if b {
		return 1
	}
	return 0
}

// seeded returns numbers that are the same in each run.
func seeded(i int) *rand.Rand { return rand.New(rand.NewPCG(uint64(i), 5)) }
