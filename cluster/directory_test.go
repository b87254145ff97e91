package cluster

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mccd/mccd/cluster/gossip"
)

func id(i int) string { return fmt.Sprintf("%032x", i) }

func rec(i int, incarnation uint64) record {
	return record{
		id: id(i), name: fmt.Sprint("n", i), peerAddr: "127.0.0.1:1", gossipAddr: fmt.Sprintf("127.0.0.1:%d", 1000+i), incarnation: incarnation,
	}
}

var epoch = time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)

func testDirectory(self int, kept ...record) *directory {
	return newDirectory(rec(self, 1), kept, func() time.Time { return epoch }, slog.New(slog.DiscardHandler))
}

func gone(r record) record {
	r.left, r.leftUnix = true, epoch.Unix()
	return r
}

// TestMergeInAnyOrder: directories that exchange what they know, in any order
// and with repetitions, end alike.
func TestMergeInAnyOrder(t *testing.T) {
	for seed := range uint64(50) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		var news [][]byte
		for range 12 {
			var rs []record
			for range 1 + rnd.IntN(4) {
				r := rec(10+rnd.IntN(5), 1+rnd.Uint64N(3))
				r.zone = []string{"", "a", "b"}[rnd.IntN(3)]
				if rnd.IntN(3) == 0 {
					r = gone(r)
					r.leftUnix += rnd.Int64N(3)
				}
				rs = append(rs, r)
			}
			news = append(news, encodeDirectory(rs, false))
		}
		var want []record
		for try := range 6 {
			d := testDirectory(1)
			rnd.Shuffle(len(news), func(i, j int) { news[i], news[j] = news[j], news[i] })
			for _, b := range news {
				d.MergeRemoteState(b)
				if rnd.IntN(4) == 0 {
					d.MergeRemoteState(b)
				}
			}
			got := d.snapshot()
			if try == 0 {
				want = got
			} else if !slices.Equal(got, want) {
				t.Fatalf("seed %d: %+v\nis not %+v", seed, got, want)
			}
		}
	}
}

func TestSupersedes(t *testing.T) {
	for _, tc := range []struct {
		name     string
		old, new record
		newWins  bool
	}{
		{"newer run", rec(2, 1), rec(2, 2), true},
		{"older run", rec(2, 2), rec(2, 1), false},
		{"left beats member", rec(2, 1), gone(rec(2, 1)), true},
		{"member does not beat left", gone(rec(2, 1)), rec(2, 1), false},
		{"a newer run comes back", gone(rec(2, 1)), rec(2, 2), true},
		{"left of an older run", rec(2, 2), gone(rec(2, 1)), false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := testDirectory(1, tc.old)
			d.MergeRemoteState(encodeDirectory([]record{tc.new}, false))
			want := tc.old
			if tc.newWins {
				want = tc.new
			}
			if got := d.snapshot()[1]; got != want {
				t.Fatalf("got %+v, want %+v", got, want)
			}
		})
	}
}

// TestRefute: a node that is told that it left, or that a newer run of it
// exists, raises its incarnation; one that leaves does not.
func TestRefute(t *testing.T) {
	for _, told := range []record{gone(rec(1, 1)), rec(1, 9), gone(rec(1, 9))} {
		d := testDirectory(1)
		d.MergeRemoteState(encodeDirectory([]record{told}, false))
		if own := d.own(); own.left || own.incarnation != told.incarnation+1 {
			t.Errorf("told %+v: own record %+v", told, own)
		}
		select {
		case <-d.Changed():
		default:
			t.Error("no change was signalled")
		}
	}
	d := testDirectory(1)
	d.leave()
	d.MergeRemoteState(encodeDirectory([]record{rec(1, 9)}, false))
	if own := d.own(); !own.left || own.incarnation != 1 {
		t.Errorf("a leaving node refutes: %+v", own)
	}
	top := testDirectory(1)
	top.MergeRemoteState(encodeDirectory([]record{rec(1, gossip.MaxIncarnation)}, false))
	if own := top.own(); own.incarnation > gossip.MaxIncarnation {
		t.Errorf("incarnation %d", own.incarnation)
	}
}

// TestAloneStaysAlone: an exchange that comes in after a node left does not
// bring its former cluster back.
func TestAloneStaysAlone(t *testing.T) {
	d := testDirectory(1, rec(2, 1))
	d.leave()
	d.alone()
	d.MergeRemoteState(encodeDirectory([]record{rec(1, 1), rec(2, 1), rec(3, 1)}, false))
	d.observe([]gossip.Member{{ID: id(2), PeerAddr: "a:1", GossipAddr: "a:1", Incarnation: 1}}, nil)
	want := rec(1, 2)
	if all := d.snapshot(); len(all) != 1 || all[0] != want {
		t.Fatalf("knows %+v", all)
	}
	if b := d.LocalState(); b != nil {
		t.Fatalf("still tells others %d bytes", len(b))
	}
}

// TestOldDeparturesGo: a departure is dropped when it is old, and one that is
// told when it is old already is not taken in.
func TestOldDeparturesGo(t *testing.T) {
	now := epoch
	d := newDirectory(rec(1, 1), []record{gone(rec(2, 1))}, func() time.Time { return now }, slog.New(slog.DiscardHandler))
	d.miss(nil, time.Second, time.Hour, true)
	if len(d.snapshot()) != 2 {
		t.Fatal("a fresh departure was dropped")
	}
	now = now.Add(leftKept + time.Minute)
	d.miss(nil, time.Second, time.Hour, true)
	d.MergeRemoteState(encodeDirectory([]record{gone(rec(3, 1))}, false))
	if all := d.snapshot(); len(all) != 1 {
		t.Fatalf("kept %+v", all)
	}
}

func TestMiss(t *testing.T) {
	d := testDirectory(1, rec(2, 1), rec(3, 1))
	alive := map[string]bool{id(3): true}
	for range 3 {
		d.miss(alive, 25*time.Minute, time.Hour, false)
	}
	if len(d.Members()) != 3 {
		t.Fatal("a minority forgot a member")
	}
	d.miss(map[string]bool{id(2): true, id(3): true}, time.Minute, time.Hour, true)
	d.miss(alive, 59*time.Minute, time.Hour, true)
	if len(d.Members()) != 3 {
		t.Fatal("absences before a sighting count")
	}
	d.miss(alive, time.Minute, time.Hour, true)
	if ms := d.Members(); len(ms) != 2 || ms[1].id != id(3) {
		t.Fatalf("members %+v", ms)
	}
}

func TestBoundOfRecords(t *testing.T) {
	d := testDirectory(1)
	for part := range 3 {
		var rs []record
		for i := range 2000 {
			rs = append(rs, rec(10+part*2000+i, 1))
		}
		d.MergeRemoteState(encodeDirectory(rs, false))
	}
	if n := len(d.snapshot()); n != maxRecords {
		t.Fatalf("%d records", n)
	}
}

func TestDecodeLeavesOutWhatIsWrong(t *testing.T) {
	bad := []record{
		{id: "x", peerAddr: "a:1", gossipAddr: "a:1", incarnation: 1},
		{id: id(5), peerAddr: "a", gossipAddr: "a:1", incarnation: 1},
		{id: id(6), peerAddr: "a:1", gossipAddr: "a:1"},
		{id: id(7), peerAddr: "a:1", gossipAddr: "a:1", incarnation: 1 << 63},
		{id: id(8), peerAddr: "a:1", gossipAddr: "a:1", incarnation: 1, leftUnix: 4},
		{id: id(9), peerAddr: "a:1", gossipAddr: "a:1", incarnation: 1, name: strings.Repeat("x", 65)},
	}
	records, refused, err := decodeDirectory(encodeDirectory(append(bad, rec(1, 1)), false))
	if err != nil || refused != len(bad) || len(records) != 1 || records[0] != rec(1, 1) {
		t.Fatalf("got %+v, %d refused, %v", records, refused, err)
	}
	for _, b := range [][]byte{{0xff}, {}, []byte("\x08\x02"), make([]byte, maxEncoded+1)} {
		if _, _, err := decodeDirectory(b); !errors.Is(err, errDirectory) {
			t.Errorf("%d bytes: error %v", len(b), err)
		}
	}
}

func FuzzDirectory(f *testing.F) {
	f.Add(encodeDirectory([]record{rec(1, 9), gone(rec(2, 1)), rec(3, 7)}, true))
	f.Add([]byte("\x08\x01\x12\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		d := testDirectory(1, rec(2, 3))
		d.MergeRemoteState(b)
		if own := d.own(); own.left || own.incarnation == 0 || own.incarnation > gossip.MaxIncarnation {
			t.Fatalf("own record became %+v", own)
		}
		// What was taken in can be told to others, and changes nothing more.
		before := d.snapshot()
		records, refused, err := decodeDirectory(d.LocalState())
		if err != nil || refused != 0 || !slices.Equal(records, before) {
			t.Fatalf("told %+v, %d refused, %v; has %+v", records, refused, err, before)
		}
		d.MergeRemoteState(b)
		d.MergeRemoteState(d.LocalState())
		if after := d.snapshot(); !slices.Equal(after[1:], before[1:]) {
			t.Fatalf("a second merge changed %+v to %+v", before, after)
		}
	})
}

func FuzzMembersFile(f *testing.F) {
	f.Add(sealMembers([]record{rec(1, 1), gone(rec(2, 1))}))
	f.Add([]byte(membersMagic))
	f.Fuzz(func(t *testing.T, b []byte) {
		records, err := openMembers(b)
		if err != nil {
			return
		}
		if again, err := openMembers(sealMembers(records)); err != nil || !slices.Equal(again, records) {
			t.Fatalf("%+v became %+v, %v", records, again, err)
		}
	})
}

func TestMembersFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, membersFile)
	if rs, err := loadMembers(dir); rs != nil || err != nil {
		t.Fatalf("no file: %v, %v", rs, err)
	}
	want := []record{rec(1, 1), gone(rec(2, 5)), rec(3, 7)}
	want[2].absent = 90 * time.Second
	if err := writeAtomic(path, sealMembers(want)); err != nil {
		t.Fatal(err)
	}
	got, err := loadMembers(dir)
	if err != nil || !slices.Equal(got, want) {
		t.Fatalf("got %+v, %v", got, err)
	}
	if info, err := os.Stat(path); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Fatalf("file mode %v, %v", info.Mode(), err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)-1] ^= 1
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := loadMembers(dir); !errors.Is(err, errDirectory) {
		t.Fatalf("a damaged file: %v", err)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Fatal("the damaged file was not set aside")
	}
	if rs, err := loadMembers(dir); rs != nil || err != nil {
		t.Fatalf("after that: %v, %v", rs, err)
	}
}

func TestLoadNodeID(t *testing.T) {
	dir := t.TempDir()
	a, err := LoadNodeID(dir)
	if err != nil || gossip.CheckID(a) != nil {
		t.Fatalf("LoadNodeID = %q, %v", a, err)
	}
	if b, err := LoadNodeID(dir); b != a || err != nil {
		t.Fatalf("second time: %q, %v", b, err)
	}
	if c, err := LoadNodeID(t.TempDir()); c == a || err != nil {
		t.Fatalf("another directory: %q, %v", c, err)
	}
	path := filepath.Join(dir, nodeIDFile)
	if info, err := os.Stat(path); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Fatalf("file mode %v, %v", info.Mode(), err)
	}
	for _, damaged := range []string{"", "xyz", strings.Repeat("0", 1000), a + a} {
		if err := os.WriteFile(path, []byte(damaged), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := LoadNodeID(dir); err == nil {
			t.Errorf("a node-id of %d bytes gave %q", len(damaged), got)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}
