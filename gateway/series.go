package gateway

import (
	"maps"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mccd/mccd/storage"
)

// maxKnown bounds the rules whose series are remembered: a catalogue has some
// tens, and each change of it brings new ones.
const maxKnown = 4096

// known has the series of each rule, so that a response looks up no label.
// Reading takes no lock.
type known struct {
	mu   sync.Mutex // taken to add
	byID atomic.Pointer[map[*storage.Rule]*series]
}

// series are the metrics of one rule.
type series struct {
	m         *metrics
	labels    prometheus.Labels // origin and product
	bytes     [kinds]prometheus.Counter
	collapsed prometheus.Counter
	requests  [6][kinds]atomic.Pointer[prometheus.Counter] // by status class
}

// of returns rule's series; nil is what named no origin of the catalogue.
func (m *metrics) of(rule *storage.Rule) *series {
	if all := m.known.byID.Load(); all != nil {
		if s := (*all)[rule]; s != nil {
			return s
		}
	}
	m.known.mu.Lock()
	defer m.known.mu.Unlock()
	next := map[*storage.Rule]*series{}
	if all := m.known.byID.Load(); all != nil {
		if s := (*all)[rule]; s != nil {
			return s
		}
		if len(*all) < maxKnown {
			next = maps.Clone(*all)
		}
	}
	s := m.newSeries(rule)
	next[rule] = s
	m.known.byID.Store(&next)
	return s
}

func (m *metrics) newSeries(rule *storage.Rule) *series {
	s := &series{m: m, labels: prometheus.Labels{"origin": "", "product": ""}}
	if rule != nil {
		s.labels = prometheus.Labels{"origin": rule.Name, "product": rule.Product}
	}
	s.collapsed = m.collapsed.With(s.labels)
	bytes := m.bytes.MustCurryWith(s.labels)
	for k := range kinds {
		if k != kindNone {
			s.bytes[k] = bytes.WithLabelValues(k.String())
		}
	}
	return s
}

// request returns the counter of responses of status's class.
func (s *series) request(status int, k kind) prometheus.Counter {
	class := status / 100
	if class < 1 || class > 5 {
		class = 0
	}
	p := &s.requests[class][k]
	if c := p.Load(); c != nil {
		return *c
	}
	name := "none"
	if class > 0 {
		name = string(rune('0'+class)) + "xx"
	}
	c := s.m.requests.MustCurryWith(s.labels).WithLabelValues(name, k.String())
	p.Store(&c)
	return c
}
