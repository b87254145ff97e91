package process

import (
	"testing"
	"time"
)

func TestParseUsage(t *testing.T) {
	const stat = "7 (a) b (c)) S 1 42 42 0 -1 4194560 1 2 3 4 11 22 5 6 20 0 1 0 9"
	const status = "Name:\ta\nVmHWM:\t   30 kB\nVmRSS:\t   20 kB\nRssAnon:\t   12 kB\nRssFile:\t    5 kB\nRssShmem:\t   3 kB\n"
	got, err := parseUsage(stat, status)
	want := Usage{CPU: 330 * time.Millisecond, Resident: 20 << 10, Peak: 30 << 10, Anonymous: 12 << 10, File: 5 << 10, Shared: 3 << 10}
	if err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
	for _, bad := range []string{"", "7 (a", "7 (a) S 1", "7 (a) S 1 42 42 0 -1 4194560 1 2 3 4 x 22 5"} {
		if _, err := parseUsage(bad, status); err == nil {
			t.Errorf("stat %q passed", bad)
		}
	}
	if _, err := parseUsage(stat, "VmRSS:\t20 pages\n"); err == nil {
		t.Error("a strange unit passed")
	}
}
