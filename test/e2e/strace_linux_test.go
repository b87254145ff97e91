package e2e_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/test/process"
	"github.com/mccd/mccd/test/process/herd"
)

// calls sums up what a trace says of the bytes that system calls moved.
type calls struct {
	// sendfile went to clients; written went to clients by any other call;
	// read came out of chunk files into the program.
	sendfile, written, read int64
	n                       map[string]int
	// made counts all calls on clients' connections and chunk files, those too
	// that found nothing.
	made int
	// sent and copied are what the node counts of the same bodies: by sendfile,
	// and by any other call.
	sent, copied int64
}

// trace watches the node while do runs, and until the node has counted all that
// do says has arrived: so no call is under way when strace lets go of it, whose
// line would then not say what it moved.
func (b *bed) trace(n *process.Node, do func() *herd.Result) (*calls, *herd.Result) {
	b.Helper()
	strace, err := exec.LookPath("strace")
	if err != nil {
		b.Skip("needs strace")
	}
	dir := b.TempDir()
	prefix := filepath.Join(dir, "t")
	ctx, cancel := context.WithCancel(b.ctx)
	defer cancel()
	var said bytes.Buffer
	// One file for each thread, so that no line is cut in two.
	cmd := exec.CommandContext(ctx, strace, "-ff", "-yy", "-s", "0", "-o", prefix, "-p", strconv.Itoa(n.PID()),
		"-e", "trace=sendfile,splice,recvfrom,recvmsg,ioctl,setsockopt,fstat,close,read,pread64,readv,preadv,preadv2,write,pwrite64,writev,pwritev,pwritev2,sendto,sendmsg,sendmmsg")
	cmd.Stderr = &said
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		b.Skipf("strace: %v", err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	attached := process.Poll(b.ctx, func(context.Context) error {
		select {
		case <-ended:
			return nil
		default:
			return traced(n.PID())
		}
	})
	select {
	case <-ended:
		b.Skipf("ptrace is not possible here: %s", said.String())
	default:
	}
	if attached != nil {
		b.Fatal(attached)
	}
	sum := &calls{n: map[string]int{}}
	r := b.counted(n, sum, do)
	// SIGINT lets strace detach and write what it has.
	_ = cmd.Process.Signal(os.Interrupt)
	<-ended
	files, err := filepath.Glob(prefix + ".*")
	if err != nil || len(files) == 0 {
		b.Fatalf("no trace: %v, %s", err, said.String())
	}
	for _, name := range files {
		if err := sum.add(name, n); err != nil {
			b.Fatal(err)
		}
	}
	return sum, r
}

// counted runs do, and waits until the node has counted what do says has
// arrived: it does so after the call that sent it.
func (b *bed) counted(n *process.Node, sum *calls, do func() *herd.Result) *herd.Result {
	b.Helper()
	count := func(ctx context.Context) (sent, copied int64, err error) {
		m, err := n.Metrics(ctx)
		return int64(m.Sum("mccd_gateway_sendfile_bytes_total")), int64(m.Sum("mccd_gateway_copied_bytes_total")), err
	}
	sent, copied, err := count(b.ctx)
	if err != nil {
		b.Fatal(err)
	}
	r := do()
	b.clean(r)
	if err := process.Poll(b.ctx, func(ctx context.Context) error {
		s, c, err := count(ctx)
		if sum.sent, sum.copied = s-sent, c-copied; err == nil && sum.sent+sum.copied < r.Bytes {
			err = fmt.Errorf("%s counts %d and %d bytes of %d", n.Name, sum.sent, sum.copied, r.Bytes)
		}
		return err
	}); err != nil {
		b.Fatal(err)
	}
	return r
}

// traced is nil when every thread of the process is being traced.
func traced(pid int) error {
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil {
		return err
	}
	for _, name := range tasks {
		text, err := os.ReadFile(name)
		if err == nil && strings.Contains(string(text), "TracerPid:\t0\n") {
			return fmt.Errorf("%s is not traced", filepath.Dir(name))
		}
	}
	return nil
}

// A line: sendfile(8<TCP:[127.0.0.1:20001->127.0.0.1:4000]>, 9</x/chunk>, [0] => [4096], 4096) = 4096
var line = regexp.MustCompile(`^(\w+)\((\d+)<(.*?)>[,)].* = (\d+)`)

// beginning is that of a line whatever its result.
var beginning = regexp.MustCompile(`^\w+\(\d+<(.*?)>[,)]`)

func (c *calls) add(name string, n *process.Node) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	client := "TCP:[" + n.Addr + "->"
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if m := beginning.FindStringSubmatch(lines.Text()); m != nil && (strings.HasPrefix(m[1], client) || strings.HasPrefix(m[1], n.Drive)) {
			c.made++
		}
		m := line.FindStringSubmatch(lines.Text())
		if m == nil {
			continue
		}
		moved, err := strconv.ParseInt(m[4], 10, 64)
		if err != nil {
			return err
		}
		toClient := strings.HasPrefix(m[3], client)
		switch call := m[1]; {
		case toClient && call == "sendfile":
			c.sendfile += moved
			c.n[call]++
		case toClient && strings.HasPrefix(call, "recv"):
		case toClient && !strings.HasPrefix(call, "read"):
			c.written += moved
			c.n[call+" to client"]++
		case strings.HasPrefix(m[3], n.Drive) && strings.Contains(call, "read"):
			c.read += moved
			c.n[call+" of chunk"]++
		}
	}
	return lines.Err()
}

// headRoom is what an answer may take beside its body.
const headRoom = 4 << 10

// TestZeroCopy: strace sees sendfile, and no body copied, on hits and on a
// fill that is being followed, but for what the node counts as copied.
func TestZeroCopy(t *testing.T) {
	b := newBed(t, setting{rate: 16 * mib})
	n := b.Nodes[0]
	check := func(what string, c *calls, r *herd.Result, mayCopy int64) {
		t.Logf("%s: %d bytes by sendfile, %d written, %d of them bodies, %d read from chunk files; calls %v", what, c.sendfile, c.written, c.copied, c.read, c.n)
		if c.sendfile != c.sent || c.sent+c.copied != r.Bytes {
			t.Errorf("%s: %d bytes arrived, %d of them by sendfile; the node counts %d, and %d by other calls", what, r.Bytes, c.sendfile, c.sent, c.copied)
		}
		if heads := c.written - c.copied; heads <= 0 || heads > int64(r.Requests)*headRoom {
			t.Errorf("%s: %d bytes written to %d answers beside bodies", what, heads, r.Requests)
		}
		if c.copied > mayCopy {
			t.Errorf("%s: %d bytes of bodies written", what, c.copied)
		}
		// Headers and tables of chunk files are read, bodies are not.
		if c.read > r.Bytes/16 {
			t.Errorf("%s: %d bytes read from chunk files", what, c.read)
		}
	}
	o := b.object("/filestreamingservice/files/zero", 24*mib)
	c, followed := b.trace(n, func() *herd.Result {
		total := new(herd.Result)
		for _, r := range b.herd(o, 4, func(int) []storage.Span { return o.Whole() }, nil) {
			total.Add(r)
		}
		return total
	})
	b.once(o)
	// Whoever waits for a flight's next block gets what has come of it: how
	// often somebody waits is a matter of the machine.
	check("followed fill", c, followed, followed.Bytes/16)
	c, hits := b.trace(n, func() *herd.Result {
		total := new(herd.Result)
		total.Add(b.read(o, 0, o.Whole()))
		total.Add(b.read(o, 0, o.Shuffled(5)))
		return total
	})
	check("hits", c, hits, 0)
}

// TestCallsPerHit: 64 KiB from the drive cost a client's connection a read, one
// that finds nothing yet, the head and sendfile; strace of Debian 12 does not
// know cachestat, the fifth.
func TestCallsPerHit(t *testing.T) {
	b := newBed(t, setting{})
	o := b.object("/filestreamingservice/files/calls", 8*mib)
	b.read(o, 0, o.Whole())
	var plan []storage.Span
	for off := int64(0); off < o.Size; off += 64 << 10 {
		plan = append(plan, storage.Span{Off: off, End: off + 64<<10})
	}
	c, hits := b.trace(b.Nodes[0], func() *herd.Result { return b.read(o, 0, plan) })
	t.Logf("%d calls for %d hits: %v", c.made, hits.Requests, c.n)
	const connection = 20 // its beginning and end, and what else goes on
	if hits.Requests != len(plan) || c.n["sendfile"] < len(plan) || c.made > 4*len(plan)+connection {
		t.Errorf("%d calls for %d hits", c.made, hits.Requests)
	}
}
