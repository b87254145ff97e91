package faultorigin_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/mccd/mccd/test/faultorigin"
)

func TestWeather(t *testing.T) {
	w := faultorigin.Weather{Seed: 7, Share: 0.3, Faults: []faultorigin.Behaviour{{Drop: true}, {Status: 500}}}
	bad := func(path string, n int) bool {
		b := w.Behaviour(path, n)
		return b.Drop || b.Status == 500
	}
	faults, drops, requests := 0, 0, 0
	for p := range 200 {
		path, last := fmt.Sprint("/", p), -9
		for n := 1; n <= 140; n++ {
			requests++
			if !bad(path, n) {
				continue
			}
			faults++
			if w.Behaviour(path, n).Drop {
				drops++
			}
			if n-last < 4 {
				t.Fatalf("requests %d and %d at %s meet faults", last, n, path)
			}
			last = n
		}
	}
	if share := float64(faults) / float64(requests); share < 0.1 || share > 0.2 {
		t.Errorf("a share of %v", share)
	}
	if drops < faults/4 || drops > 3*faults/4 {
		t.Errorf("%d of %d faults are of one kind", drops, faults)
	}
	if (faultorigin.Weather{Seed: 7, Faults: w.Faults}).Behaviour("/", 1).Drop {
		t.Error("a fault in good weather")
	}
}

func TestPauseAndChoose(t *testing.T) {
	const pause = 50 * time.Millisecond
	s := start(t, faultorigin.Config{
		Objects: []faultorigin.Object{{Path: "/a", Size: size}},
		Choose: func(path string, n int) faultorigin.Behaviour {
			if path == "/a" && n == 1 {
				return faultorigin.Behaviour{Pause: pause, PauseAfter: 1000}
			}
			return faultorigin.Behaviour{Status: 418}
		},
	})
	began := time.Now()
	_, body, err := get(t, s, "/a")
	if err != nil || len(body) != size || faultorigin.Check(body, "/a", "1", 0) >= 0 {
		t.Errorf("%d bytes, %v", len(body), err)
	}
	if took := time.Since(began); took < pause {
		t.Errorf("no pause: %v", took)
	}
	if resp, _, err := get(t, s, "/a"); err != nil || resp.StatusCode != 418 {
		t.Errorf("the second request: %v, %v", resp, err)
	}
	s.Script("/a", faultorigin.Behaviour{})
	if resp, _, err := get(t, s, "/a"); err != nil || resp.StatusCode != 200 {
		t.Errorf("a script goes first: %v, %v", resp, err)
	}
}
