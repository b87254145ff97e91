package disk

import (
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"github.com/mccd/mccd/storage"
)

// scrubSaves is how often the place of the scrub is written down.
const scrubSaves = time.Minute

// scrubState is how far the scrub of a drive is: through the shards of the index
// in order, and through the keys of a shard in theirs. The zero value begins.
type scrubState struct {
	mu     sync.Mutex // guards what follows
	shard  int
	after  string // the name of the last chunk done in shard, "" = none
	rounds int64
	last   time.Time // when the last round was complete
	saved  time.Time
}

func (t *scrubState) stats() ScrubStats {
	t.mu.Lock()
	defer t.mu.Unlock()
	return ScrubStats{Rounds: t.rounds, LastRound: t.last, Done: float64(t.shard) / shardCount}
}

// place returns the shard that the scrub is at, and behind which name.
func (t *scrubState) place() (shard int, after string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.shard, t.after
}

// did notes that a chunk of the present shard is done; true = it is time to save.
func (t *scrubState) did(key storage.ChunkKey, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.after = chunkName(key)
	if now.Sub(t.saved) < scrubSaves {
		return false
	}
	t.saved = now
	return true
}

// next goes on to the next shard; true = the round is complete.
func (t *scrubState) next(now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.after = ""
	if t.shard++; t.shard < shardCount {
		return false
	}
	t.shard = 0
	t.rounds++
	t.last = now
	return true
}

// loadScrub takes over how far a former process was; nothing is lost without.
func (d *drive) loadScrub() {
	b, err := d.readSmall(OpScrub, filepath.Join(d.path, "scrub"))
	if err != nil {
		return
	}
	d.scrubbed.parse(string(b))
}

func (t *scrubState) parse(text string) {
	var shard int
	var rounds, last int64
	var after string
	n, err := fmt.Sscanf(text, "shard %d\nrounds %d\nlast %d\nafter %s\n", &shard, &rounds, &last, &after)
	if err != nil || n != 4 || shard < 0 || shard >= shardCount || rounds < 0 {
		return
	}
	if _, ok := parseName(after); !ok {
		after = ""
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.shard, t.rounds, t.after = shard, rounds, after
	if last > 0 {
		t.last = time.Unix(last, 0)
	}
}

func (t *scrubState) text() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	after, last := t.after, int64(0)
	if after == "" {
		after = "-"
	}
	if !t.last.IsZero() {
		last = t.last.Unix()
	}
	return fmt.Sprintf("shard %d\nrounds %d\nlast %d\nafter %s\n", t.shard, t.rounds, last, after)
}

// saveScrub writes the place down; the drive's state tells what fails.
func (d *drive) saveScrub() {
	if err := d.writeSmall(OpScrub, "scrub", filepath.Join(d.path, "scrub"), []byte(d.scrubbed.text())); err != nil {
		d.fault(err, false)
	}
}
