package node

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
)

var update = flag.Bool("update", false, "write generated files anew")

// recorder keeps what is registered, also of vectors that have no member yet.
type recorder struct {
	*prometheus.Registry
	mu         sync.Mutex // guards collectors
	collectors []prometheus.Collector
}

func (r *recorder) Register(c prometheus.Collector) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.collectors = append(r.collectors, c)
	return r.Registry.Register(c)
}

func (r *recorder) MustRegister(cs ...prometheus.Collector) {
	for _, c := range cs {
		if err := r.Register(c); err != nil {
			panic(err)
		}
	}
}

// metric is one row of the table.
type metric struct{ name, kind, labels, help string }

var descText = regexp.MustCompile(`^Desc\{fqName: "([^"]*)", help: (".*"), (?:unit: "[^"]*", )?constLabels: \{(.*)\}, variableLabels: \{(.*)\}\}$`)

// metrics returns what the collectors of a node can tell, by name.
func (r *recorder) metrics(t *testing.T) []metric {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	found := map[string]metric{}
	for _, c := range r.collectors {
		for _, desc := range descsOf(c) {
			m := descText.FindStringSubmatch(desc.String())
			if m == nil {
				t.Fatalf("not understood: %s", desc)
			}
			if !strings.HasPrefix(m[1], "mccd_") {
				continue
			}
			var help string
			if _, err := fmt.Sscanf(m[2], "%q", &help); err != nil {
				t.Fatal(err)
			}
			var labels []string
			for label := range strings.SplitSeq(m[3]+","+m[4], ",") {
				if name, _, _ := strings.Cut(label, "="); name != "" {
					labels = append(labels, "`"+name+"`")
				}
			}
			found[m[1]] = metric{m[1], kindOf(c, desc), strings.Join(labels, ", "), help}
		}
	}
	all := make([]metric, 0, len(found))
	for _, m := range found {
		all = append(all, m)
	}
	slices.SortFunc(all, func(a, b metric) int { return cmp.Compare(a.name, b.name) })
	return all
}

func descsOf(c prometheus.Collector) (all []*prometheus.Desc) {
	ch := make(chan *prometheus.Desc)
	go func() { c.Describe(ch); close(ch) }()
	for d := range ch {
		all = append(all, d)
	}
	return all
}

// kindOf tells the kind of what desc describes.
func kindOf(c prometheus.Collector, desc *prometheus.Desc) string {
	switch c.(type) {
	case *prometheus.CounterVec:
		return "counter"
	case *prometheus.GaugeVec:
		return "gauge"
	case *prometheus.HistogramVec:
		return "histogram"
	}
	ch := make(chan prometheus.Metric)
	go func() { c.Collect(ch); close(ch) }()
	kind := "gauge"
	if strings.Contains(desc.String(), `_total"`) {
		kind = "counter"
	}
	for m := range ch {
		var out dto.Metric
		if m.Desc() != desc || m.Write(&out) != nil {
			continue
		}
		switch {
		case out.Counter != nil:
			kind = "counter"
		case out.Gauge != nil:
			kind = "gauge"
		case out.Histogram != nil:
			kind = "histogram"
		}
	}
	return kind
}

func TestGeneratedMetricsPage(t *testing.T) {
	r := &recorder{Registry: prometheus.NewRegistry()}
	dir := t.TempDir()
	n, err := New(Config{
		Name: "n1", DataDir: dir, Drives: []Drive{{Path: filepath.Join(dir, "cache"), Size: 64 << 20}}, Registry: r,
		Listen: "127.0.0.1:0", OpsListen: "127.0.0.1:0", PeerListen: "127.0.0.1:0", GossipListen: "127.0.0.1:0", BuiltinCatalogue: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	problems, err := promlint.NewWithMetricFamilies(families(t, r)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if strings.HasPrefix(p.Metric, "mccd_") {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
	b := &strings.Builder{}
	b.WriteString(metricsPage)
	for _, m := range r.metrics(t) {
		if m.help == "" {
			t.Errorf("%s says nothing of itself", m.name)
		}
		if (m.kind == "counter") != strings.HasSuffix(m.name, "_total") {
			t.Errorf("%s is a %s: counters, and only they, end in _total", m.name, m.kind)
		}
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", m.name, m.kind, m.labels, m.help)
	}
	const name = "../../../docs/metrics.md"
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

func families(t *testing.T, g prometheus.Gatherer) []*dto.MetricFamily {
	t.Helper()
	all, err := g.Gather()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

const metricsPage = `# Metrics

Generated from a node by ` + "`make generate`" + `; a test keeps it fresh. Every node has them at
` + "`http://<ops_listen>/metrics`" + `, beside Go's own (` + "`go_*`" + `) and the process's (` + "`process_*`" + `). Units are bytes and seconds;
counters begin at zero with the process. Labels hold names of the configuration and fixed words only, never a path, a
query or a client.

` + "`origin`" + ` is the name of a catalogue entry and ` + "`product`" + ` what that entry calls its content; both are empty where a
request named none. ` + "`source`" + ` is ` + "`hit`" + ` (this node had the bytes), ` + "`peer`" + ` (another node had or fetched them), ` + "`miss`" + ` (this
node fetched them from the origin), ` + "`pass`" + ` (the origin, nothing stored) or ` + "`none`" + `.

Some sums (PromQL):

    # Share of the bytes that did not come over the WAN, by product, over the cluster
    1 - sum by (product) (rate(mccd_gateway_bytes_total{source="miss"}[1h])) / sum by (product) (rate(mccd_gateway_bytes_total[1h]))
    # 95th percentile of the time to the first byte, by source
    histogram_quantile(0.95, sum by (le, source) (rate(mccd_gateway_first_byte_seconds_bucket[5m])))

| metric | kind | labels | what it tells |
|---|---|---|---|
`
