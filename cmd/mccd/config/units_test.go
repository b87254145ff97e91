package config

import (
	"testing"
	"testing/quick"
	"time"
)

func TestSize(t *testing.T) {
	for _, c := range []struct {
		text string
		want Size
		back string
	}{
		{"0", 0, "0"}, {"64KiB", 64 << 10, "64KiB"}, {"64 kib", 64 << 10, "64KiB"}, {"1.5GiB", 3 << 29, "1536MiB"},
		{"100GB", 100e9, "100GB"}, {"10B", 10, "10B"}, {"2tib", 2 << 40, "2TiB"},
	} {
		got, err := ParseSize(c.text)
		if err != nil || got != c.want || got.String() != c.back {
			t.Errorf("%q: got %d (%s), %v, want %d (%s)", c.text, got, got, err, c.want, c.back)
		}
	}
	for _, text := range []string{"", "GiB", "100", "1e3MiB", "-1MiB", "1.2.3MiB", "0x10MiB", "8EiB", "nan", "infB", "9000000PiB", "1 000MiB"} {
		if got, err := ParseSize(text); err == nil {
			t.Errorf("%q: got %d, want an error", text, got)
		}
	}
}

func TestSizeComesBack(t *testing.T) {
	back := func(n uint32, shift uint8) bool {
		s := Size(n) << (shift % 20)
		got, err := ParseSize(s.String())
		return err == nil && got == s
	}
	if err := quick.Check(back, nil); err != nil {
		t.Error(err)
	}
}

func TestDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{"0": 0, "300ms": 300 * time.Millisecond, "1h30m": 90 * time.Minute, "2h": 2 * time.Hour, "90s": 90 * time.Second} {
		got, err := ParseDuration(text)
		if err != nil || time.Duration(got) != want {
			t.Errorf("%q: got %v, %v", text, got, err)
		}
		if back, err := ParseDuration(got.String()); err != nil || back != got {
			t.Errorf("%q: written back as %q: %v", text, got, err)
		}
	}
	for _, text := range []string{"", "8", "soon", "5 parsecs"} {
		if _, err := ParseDuration(text); err == nil {
			t.Errorf("%q was accepted", text)
		}
	}
}

func TestNearest(t *testing.T) {
	keys := []string{"listen", "data_dir", "drives", "log"}
	for word, want := range map[string]string{"listne": "listen", "dataDir": "data_dir", "drive": "drives", "xyz": "", "logs": "log", "": ""} {
		if got := nearest(word, keys); got != want {
			t.Errorf("%q: got %q, want %q", word, got, want)
		}
	}
}
