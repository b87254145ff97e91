package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
)

const congestionFile = "/proc/sys/net/ipv4/tcp_congestion_control"

// prepareBed makes the namespace's loopback a fair bed and returns in words
// what the bed is.
func prepareBed() (string, error) {
	if os.Getenv(insideEnv) != "namespace" {
		return "not fair: " + bedNow() + " (run as root for a namespace of its own)", nil
	}
	// Without the loopback nothing goes; the rest only makes it fairer.
	if out, err := exec.Command("ip", "link", "set", "lo", "mtu", "1500", "up").CombinedOutput(); err != nil {
		return "", fmt.Errorf("set up loopback: %w: %s", err, out)
	}
	if err := os.WriteFile(congestionFile, []byte("reno"), 0o644); err != nil {
		return "namespace of its own, but not reno: " + bedNow(), nil
	}
	return "namespace of its own: " + bedNow(), nil
}

// bedNow reads what decides about delivery over loopback.
func bedNow() string {
	read := func(name string) string {
		text, err := os.ReadFile(name)
		if err != nil {
			return "unknown"
		}
		return strings.TrimSpace(string(text))
	}
	return fmt.Sprintf("loopback mtu %s, congestion control %s", read("/sys/class/net/lo/mtu"), read(congestionFile))
}
