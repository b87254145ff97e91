package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
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
	// Where it may not be changed, bedNow tells what it is.
	_ = os.WriteFile(congestionFile, []byte("reno"), 0o644)
	return "namespace of its own: " + bedNow(), nil
}

// bedNow reads what decides about delivery over loopback.
func bedNow() string {
	// Not by /sys, which shows the namespace that it was mounted in.
	mtu := "unknown"
	if lo, err := net.InterfaceByName("lo"); err == nil {
		mtu = strconv.Itoa(lo.MTU)
	}
	control := "unknown"
	if text, err := os.ReadFile(congestionFile); err == nil {
		control = strings.TrimSpace(string(text))
	}
	return fmt.Sprintf("loopback mtu %s, congestion control %s", mtu, control)
}
