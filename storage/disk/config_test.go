package disk

import (
	"strings"
	"testing"
)

func TestConfigFaultsAreAllReported(t *testing.T) {
	_, err := New(Config{
		Drives:  []Drive{{Path: "", Size: 1 << 40}, {Path: "/x", Size: 8 << 20}, {Path: "/x/", Size: MinDriveSize}},
		IOSlots: -1, IdleFiles: -1, ScrubRate: -1,
	})
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{"drives[0].path: missing", "drives[1].size: 8388608 is less than one chunk file",
		"drives[2].path: same as drives[1]", "io slots", "idle files", "scrub rate"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in:\n%v", want, err)
		}
	}
	if err := (Config{}).Validate(); err == nil || !strings.Contains(err.Error(), "at least one") {
		t.Errorf("no drives: %v", err)
	}
}

func TestDefaults(t *testing.T) {
	cfg := Config{}.withDefaults()
	if cfg.MemBytes != 512<<20 || cfg.IOSlots != 8 || cfg.IdleAfter.Hours() != 720 || cfg.IdleFiles != 256 || cfg.FS == nil || cfg.Now == nil {
		t.Errorf("defaults: %+v", cfg)
	}
	if cfg := (Config{MemBytes: -1}).withDefaults(); cfg.MemBytes != 0 {
		t.Errorf("no memory: %d", cfg.MemBytes)
	}
}
