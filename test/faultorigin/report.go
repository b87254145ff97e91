package faultorigin

import (
	"encoding/json"
	"net/http"
)

// Report is the ledger in the form that other processes read.
type Report struct {
	// Total sums all paths; its MaxTimes is the largest of them.
	Total Sum            `json:"total"`
	Paths map[string]Sum `json:"paths"`
	// Entries are all requests; empty where only sums were asked for.
	Entries []Entry `json:"entries,omitempty"`
}

// Sum is what was asked and sent.
type Sum struct {
	Requests int   `json:"requests"`
	Bytes    int64 `json:"bytes"`
	Union    int64 `json:"union"`
	MaxTimes int   `json:"max_times"`
}

// Report returns sums by path, and all requests if entries is true.
func (l *Ledger) Report(entries bool) Report {
	all := l.Entries()
	r := Report{Total: l.sum("", len(all)), Paths: make(map[string]Sum)}
	requests := make(map[string]int)
	for i := range all {
		requests[all[i].Path]++
	}
	for path, n := range requests {
		r.Paths[path] = l.sum(path, n)
	}
	if entries {
		r.Entries = all
	}
	return r
}

func (l *Ledger) sum(path string, requests int) Sum {
	return Sum{Requests: requests, Bytes: l.Bytes(path), Union: l.Union(path), MaxTimes: l.MaxTimes(path)}
}

// Handler serves the ledger: GET /_ledger answers a Report as JSON (without
// entries if the query says sums), DELETE /_ledger resets it.
func (l *Ledger) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /_ledger", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(l.Report(!r.URL.Query().Has("sums")))
	})
	mux.HandleFunc("DELETE /_ledger", func(w http.ResponseWriter, _ *http.Request) {
		l.Reset()
		w.WriteHeader(http.StatusNoContent)
	})
	return mux
}
