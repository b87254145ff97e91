package origin

import (
	"context"
	"errors"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/mccd/mccd/storage"
)

// metrics are labelled by the name of the catalogue entry alone: never by host, path or query.
type metrics struct {
	requests *prometheus.CounterVec
	bytes    *prometheus.CounterVec
	inFlight *prometheus.GaugeVec
	// passedOver counts the requests that a parent cache failed.
	passedOver *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer) *metrics {
	f := promauto.With(reg)
	return &metrics{
		requests: f.NewCounterVec(prometheus.CounterOpts{
			Name: "mccd_origin_requests_total",
			Help: "Requests at origins, by catalogue entry and by how they ended.",
		}, []string{"origin", "result"}),
		bytes: f.NewCounterVec(prometheus.CounterOpts{
			Name: "mccd_origin_bytes_total",
			Help: "Body bytes received from origins, by catalogue entry.",
		}, []string{"origin"}),
		passedOver: f.NewCounterVec(prometheus.CounterOpts{
			Name: "mccd_origin_parent_passed_over_total",
			Help: "Requests that a parent cache did not answer and the origin was asked instead, by catalogue entry.",
		}, []string{"origin"}),
		inFlight: f.NewGaugeVec(prometheus.GaugeOpts{
			Name: "mccd_origin_requests_in_flight",
			Help: "Requests at origins in progress, bodies included, by catalogue entry.",
		}, []string{"origin"}),
	}
}

// waiting registers the gauge of the requests that wait for a place.
func (*metrics) waiting(reg prometheus.Registerer, count func() int) {
	promauto.With(reg).NewGaugeFunc(prometheus.GaugeOpts{
		Name: "mccd_origin_requests_waiting",
		Help: "Requests at origins that wait for a place among those in flight, all origins together.",
	}, func() float64 { return float64(count()) })
}

// result names the end of a request for the metrics.
func result(err error) string {
	var status *storage.StatusError
	switch {
	case err == nil:
		return "ok"
	case errors.As(err, &status):
		return "status"
	}
	for _, r := range []struct {
		is   error
		name string
	}{
		{ErrRefused, "refused"}, {ErrUnwanted, "canceled"}, {storage.ErrBusy, "busy"}, {ErrStall, "stall"}, {ErrLie, "lie"},
		{ErrConnect, "connect"}, {ErrBroken, "broken"}, {context.Canceled, "canceled"},
		{context.DeadlineExceeded, "canceled"}, {errClosed, "canceled"}, {errBodyClosed, "canceled"},
	} {
		if errors.Is(err, r.is) {
			return r.name
		}
	}
	return "other"
}
