package process

import (
	"bufio"
	"bytes"
	"strconv"
	"strings"
)

// Metrics are the samples of one /metrics page, by name with labels as the
// page writes them: `mccd_x_total{result="ok"}`.
type Metrics map[string]float64

// parseMetrics reads the text format; lines that it cannot read are left out.
func parseMetrics(text []byte) Metrics {
	m := Metrics{}
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		// A label's value may hold spaces, so the value begins after the last
		// one: mccd writes no time stamps.
		cut := strings.LastIndexByte(line, ' ')
		if cut < 0 {
			continue
		}
		if v, err := strconv.ParseFloat(line[cut+1:], 64); err == nil {
			m[line[:cut]] = v
		}
	}
	return m
}

// Sum adds up every sample of the metric name whose labels hold each of the
// given texts, such as `source="hit"`.
func (m Metrics) Sum(name string, labels ...string) float64 {
	total := 0.0
next:
	for key, v := range m {
		rest, ok := strings.CutPrefix(key, name)
		if !ok || rest != "" && rest[0] != '{' {
			continue
		}
		for _, label := range labels {
			if !strings.Contains(rest, label) {
				continue next
			}
		}
		total += v
	}
	return total
}
