package e2e_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

// network is hosts of the test's own: a network namespace for each node, all
// on one bridge with the test, its clients and its origin.
type network struct {
	*testing.T
	// bridge is the bridge's name, and the beginning of those of the hosts.
	bridge string
}

// networkName begins the name of every network; the test's process id follows.
const networkName = "mccd"

// nowhere is a hardware address that no host has: what is sent there is lost
// without a word, as in a network that is cut.
const nowhere = "02:00:00:00:00:00"

// newNetwork makes hosts for nodes; it skips the test where that needs what
// this machine or user has not.
func newNetwork(t *testing.T, hosts int) *network {
	t.Helper()
	if testing.Short() {
		t.Skip("starts processes; not with -short")
	}
	if runtime.GOOS != "linux" || os.Geteuid() != 0 {
		t.Skip("SKIPPED: needs Linux and root, to make network namespaces")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("SKIPPED: needs the program ip (iproute2), to make network namespaces")
	}
	sweep(abandoned)
	n := &network{T: t, bridge: networkName + strconv.Itoa(os.Getpid())}
	t.Cleanup(n.remove)
	if err := n.build(hosts); err != nil {
		t.Skipf("SKIPPED: make network namespaces: %v", err)
	}
	return n
}

func (n *network) build(hosts int) error {
	steps := [][]string{
		{"link", "add", n.bridge, "type", "bridge"},
		{"addr", "add", n.testIP() + "/24", "dev", n.bridge},
		{"link", "set", n.bridge, "up"},
	}
	for i := range hosts {
		host, port := n.host(i), fmt.Sprintf("%sp%d", n.bridge, i+1)
		steps = append(steps, [][]string{
			{"netns", "add", host},
			{"link", "add", port, "type", "veth", "peer", "name", "net0", "netns", host},
			{"link", "set", port, "master", n.bridge, "up"},
			{"-n", host, "addr", "add", n.ip(i) + "/24", "dev", "net0"},
			{"-n", host, "link", "set", "net0", "up"},
			{"-n", host, "link", "set", "lo", "up"},
		}...)
	}
	for _, step := range steps {
		if err := run(step...); err != nil {
			return err
		}
	}
	return nil
}

func (n *network) remove() { sweep(func(name string) bool { return name == n.bridge }) }

// sweep removes the networks of those names.
func sweep(which func(bridge string) bool) {
	out, err := exec.Command("ip", "-o", "netns", "list").Output()
	if err != nil {
		return
	}
	bridges := map[string]bool{}
	for line := range strings.Lines(string(out)) {
		host, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		if bridge, i, ours := strings.Cut(host, "-"); ours && which(bridge) {
			bridges[bridge] = true
			// A namespace lives on for as long as TCP has something to say in it.
			_ = run("link", "del", bridge+"p"+i)
			_ = run("netns", "del", host)
		}
	}
	for bridge := range bridges {
		_ = run("link", "del", bridge)
	}
}

// abandoned reports whether a network is of a test that was killed.
func abandoned(bridge string) bool {
	pid, ours := strings.CutPrefix(bridge, networkName)
	if _, err := strconv.Atoi(pid); err != nil || !ours {
		return false
	}
	_, err := os.Stat("/proc/" + pid)
	return errors.Is(err, fs.ErrNotExist)
}

// run runs ip.
func run(args ...string) error {
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}

func (n *network) host(i int) string { return fmt.Sprintf("%s-%d", n.bridge, i+1) }
func (n *network) ip(i int) string   { return fmt.Sprintf("10.213.77.%d", i+1) }
func (n *network) testIP() string    { return "10.213.77.254" }

// place is process.Config's Host.
func (n *network) place(i int) (ip string, wrap []string) {
	return n.ip(i), []string{"ip", "netns", "exec", n.host(i)}
}

// cut loses whatever the hosts of one side send to those of the other, and the
// other way round, until mend. The test reaches all of them.
func (n *network) cut(a, b []int) {
	n.Helper()
	n.neighbours(a, b, func(host, ip string) []string {
		return []string{"-n", host, "neigh", "replace", ip, "lladdr", nowhere, "dev", "net0", "nud", "permanent"}
	})
}

func (n *network) mend(a, b []int) {
	n.Helper()
	n.neighbours(a, b, func(host, ip string) []string {
		return []string{"-n", host, "neigh", "del", ip, "dev", "net0"}
	})
}

func (n *network) neighbours(a, b []int, step func(host, ip string) []string) {
	n.Helper()
	for _, i := range a {
		for _, k := range b {
			for _, args := range [][]string{step(n.host(i), n.ip(k)), step(n.host(k), n.ip(i))} {
				if err := run(args...); err != nil {
					n.Fatal(err)
				}
			}
		}
	}
}
