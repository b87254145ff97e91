package gateway

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/mccd/mccd/storage"
)

var update = flag.Bool("update", false, "write generated files anew")

func aDelivery() (*delivery, *http.Request) {
	d := &delivery{
		start: time.Date(2026, 3, 1, 9, 30, 0, 12e6, time.UTC), status: 206, content: true, sent: 1 << 20, collapsed: true,
		rule: &storage.Rule{Name: "windows-update", Product: "Windows Update"}, from: storage.SourcePeer, firstByte: 4200 * time.Microsecond,
	}
	d.bytes[storage.SourcePeer] = 1 << 20
	r := &http.Request{Method: "GET", RemoteAddr: "[2001:db8:1:2:3::4%eth0]:5000", Header: http.Header{
		"Range": {"bytes=9-", "bytes=0-1048575"}, "User-Agent": {"Microsoft-Delivery-Optimization/10.1"},
	}}
	return d, r
}

// keysOf returns the keys of a line in their order.
func keysOf(t *testing.T, line []byte) []string {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(line))
	var keys []string
	if _, err := dec.Token(); err != nil {
		t.Fatal(err)
	}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, key.(string))
		if _, err := dec.Token(); err != nil {
			t.Fatal(err)
		}
	}
	return keys
}

func TestAccessFieldsAreTheLine(t *testing.T) {
	d, r := aDelivery()
	always, all := []string{}, []string{}
	for _, f := range AccessFields() {
		all = append(all, f.Name)
		if f.Always {
			always = append(always, f.Name)
		}
	}
	if got := keysOf(t, appendLine(nil, d, r, "h", "/p", time.Second)); !slices.Equal(got, always) {
		t.Errorf("a line has %v, documented are %v", got, always)
	}
	d.cut, d.err = cutUpstream, errors.New("x")
	if got := keysOf(t, appendLine(nil, d, r, "h", "/p", time.Second)); !slices.Equal(got, all) {
		t.Errorf("a line has %v, documented are %v", got, all)
	}
}

func TestAccessLine(t *testing.T) {
	d, r := aDelivery()
	d.client = clientAddr(r.RemoteAddr)
	const want = `{"time":"2026-03-01T09:30:00.012Z","client":"2001:db8:1:2:3::4","subnet":"2001:db8:1:2::/64","method":"GET","scheme":"http",` +
		`"origin":"windows-update","product":"Windows Update","host":"h","path":"/p","range":"bytes=0-1048575","status":206,"bytes":1048576,` +
		`"source":"peer","hit_bytes":0,"peer_bytes":1048576,"miss_bytes":0,"collapsed":true,"first_byte_ms":4.2,"duration_ms":1000,` +
		`"user_agent":"Microsoft-Delivery-Optimization/10.1"}` + "\n"
	if got := string(appendLine(nil, d, r, "h", "/p", time.Second)); got != want {
		t.Errorf("got  %swant %s", got, want)
	}
	for remote, subnet := range map[string]string{"192.0.2.7:80": "192.0.2.0/24", "[::ffff:192.0.2.7]:80": "192.0.2.0/24", "@": "", "": ""} {
		d.client = clientAddr(remote)
		if line := string(appendLine(nil, d, r, "h", "/p", 0)); !strings.Contains(line, `"subnet":"`+subnet+`"`) {
			t.Errorf("%s: %s", remote, line)
		}
	}
}

// TestAccessLogIsWritten: what waits is written soon, all at the end, and much
// at once.
func TestAccessLogIsWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w writes
		l := newAccessLog(&w, prometheus.NewCounter(prometheus.CounterOpts{}))
		d, r := aDelivery()
		l.write(d, r, "h", "/1", 0)
		l.write(d, r, "h", "/2", 0)
		synctest.Wait()
		if len(w.get()) != 0 {
			t.Error("written one by one")
		}
		<-time.After(logDelay)
		synctest.Wait()
		if got := w.get(); len(got) != 1 || strings.Count(got[0], "\n") != 2 {
			t.Errorf("written: %q", got)
		}
		for range 200 {
			l.write(d, r, "h", "/"+strings.Repeat("x", 500), 0)
		}
		l.flush()
		lines := 0
		for _, text := range w.get()[1:] {
			lines += strings.Count(text, "\n")
			if !strings.HasSuffix(text, "}\n") || len(text) > logBound {
				t.Errorf("a write of %d bytes ends %q", len(text), text[len(text)-5:])
			}
		}
		if lines != 200 {
			t.Errorf("%d lines", lines)
		}
		l.flush()
		<-time.After(time.Second)
		var none *accessLog
		none.flush()
	})
}

// TestAccessLogThatHangs: a pipe that nobody reads stops no response, and holds
// a bounded number of lines.
func TestAccessLogThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		lost := prometheus.NewCounter(prometheus.CounterOpts{})
		var w writes
		l := newAccessLog(writerFunc(func(p []byte) (int, error) { <-gate; return w.Write(p) }), lost)
		d, r := aDelivery()
		const lines = 5000
		for range lines {
			l.write(d, r, "h", "/"+strings.Repeat("x", 500), 0)
		}
		l.flush() // gives up after logEnd
		gone := testutil.ToFloat64(lost)
		if gone == 0 || gone == lines {
			t.Errorf("%v of %d lines lost", gone, lines)
		}
		close(gate)
		l.flush()
		got := 0
		for _, text := range w.get() {
			got += strings.Count(text, "\n")
		}
		if got != lines-int(gone) {
			t.Errorf("%d lines written, %v lost, of %d", got, gone, lines)
		}
	})
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

type writes struct {
	mu  sync.Mutex // guards all
	all []string
}

func (w *writes) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all = append(w.all, string(p))
	return len(p), nil
}

func (w *writes) get() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.all)
}

// TestBookingAllocatesNothing: records cost no garbage on the delivery path.
func TestBookingAllocatesNothing(t *testing.T) {
	g := &Gateway{cfg: Config{Now: time.Now}, metrics: newMetrics(prometheus.NewRegistry())}
	d, r := aDelivery()
	g.finish(d, r, "h", "/p")
	if n := testing.AllocsPerRun(100, func() { g.finish(d, r, "h", "/p") }); n != 0 {
		t.Errorf("%v allocations without an access log", n)
	}
	line := make([]byte, 0, 4096)
	if n := testing.AllocsPerRun(100, func() { line = appendLine(line[:0], d, r, "h", "/p", time.Second) }); n > 0 {
		t.Errorf("%v allocations for a line", n)
	}
}

func TestGeneratedAccessLogPage(t *testing.T) {
	b := &strings.Builder{}
	b.WriteString(accessLogPage)
	for _, f := range AccessFields() {
		when := ""
		if !f.Always {
			when = " Only where there is one."
		}
		fmt.Fprintf(b, "| `%s` | %s | %s%s |\n", f.Name, f.Kind, f.Doc, when)
	}
	const name = "../docs/accesslog.md"
	if *update {
		if err := os.WriteFile(name, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(name)
	if err != nil || string(got) != b.String() {
		t.Errorf("%s is not fresh (%v): run make generate", name, err)
	}
}

const accessLogPage = `# The access log

Generated from the program by ` + "`make generate`" + `; a test keeps it fresh.

` + "`access_log: FILE`" + ` (or ` + "`-`" + ` for standard output) makes a node write one line per response: a JSON object and a
newline. Lines are collected for at most 100 ms; a node that is killed loses those, and one whose file or pipe takes nothing drops lines rather than wait (metrics.md says how many). The same record feeds the metrics
([metrics.md](metrics.md)), so both tell the same. Keys come in the order of the table; later releases may add keys and
change the meaning of none. No query is ever written.

Rotate by moving the file away and sending SIGHUP: the node opens the name anew. For logrotate:

    /var/log/mccd/access.log {
        daily
        rotate 14
        compress
        delaycompress
        missingok
        postrotate
            systemctl reload mccd
        endscript
    }

What each subnet was saved, with jq:

    jq -s 'group_by(.subnet)[] | {subnet: .[0].subnet, sent: map(.bytes)|add, wan: map(.miss_bytes)|add}' access.log

| key | kind | what it tells |
|---|---|---|
`

// FuzzText: every line is JSON, and what was UTF-8 comes back as it was.
func FuzzText(f *testing.F) {
	f.Add("plain")
	f.Add("q\" b\\ \x00 \x1f \x7f \u2028 \xff é")
	f.Fuzz(func(t *testing.T, s string) {
		b := append(appendText([]byte(`{"z":0`), "k", s), '}')
		var got map[string]any
		if err := json.Unmarshal(b, &got); err != nil {
			t.Fatalf("%q: %v in %s", s, err, b)
		}
		if utf8.ValidString(s) && got["k"] != s {
			t.Errorf("%q came back as %q", s, got["k"])
		}
		if !utf8.Valid(b) {
			t.Errorf("%q gave bytes that are not UTF-8", s)
		}
	})
}
