package ops

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// errSlowProbe: a probe did not answer within Config.ProbeTime.
var errSlowProbe = errors.New("no answer in time")

// probe runs the probes at the same time and answers 200 "ok", or 503 with one
// line for each that failed, by name.
func (s *Server) probe(probes map[string]Probe) http.HandlerFunc {
	names := slices.Sorted(maps.Keys(probes))
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), s.cfg.ProbeTime)
		defer cancel()
		results := make([]chan error, len(names))
		for i, name := range names {
			results[i] = make(chan error, 1)
			go func() { results[i] <- probes[name](ctx) }()
		}
		var reasons strings.Builder
		for i, name := range names {
			var err error
			select {
			case err = <-results[i]:
			case <-ctx.Done():
				select {
				case err = <-results[i]:
				default:
					err = errSlowProbe
				}
			}
			if err != nil {
				reasons.WriteString(name + ": " + strings.ReplaceAll(err.Error(), "\n", "; ") + "\n")
			}
		}
		if reasons.Len() > 0 {
			text(w, http.StatusServiceUnavailable, reasons.String())
			return
		}
		text(w, http.StatusOK, "ok\n")
	}
}
