package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/mccd/mccd/cluster/admin"
)

// tlsTable renders s for people, as of now.
func tlsTable(s admin.TLSStatus, now time.Time, width int) string {
	b := &strings.Builder{}
	if c := s.Certificate; c != nil {
		fmt.Fprintf(b, "Certificate for %s\n  issued by %s, key %s\n  SHA-256 %s\n  good from %s\n  %s\n",
			strings.Join(c.Names, ", "), c.Issuer, c.Key, c.Fingerprint, day(c.NotBefore), ends(c.NotAfter, now))
	} else {
		b.WriteString("The cluster has no certificate for https; mccd tls csr begins to get one.\n")
	}
	if r := s.Requested; r != nil {
		fmt.Fprintf(b, "Requested for %s, key %s: mccd tls import takes the certificate.\n", strings.Join(r.Names, ", "), r.Key)
	}
	rows := make([][]string, len(s.Nodes))
	for i, n := range s.Nodes {
		rows[i] = []string{n.Name, servesTLS(n), n.Source, shortFingerprint(n.Fingerprint), until(n.NotAfter, now), n.Error}
	}
	b.WriteString("\n" + fit(width, []column{{"Node", 0}, {"https at", 0}, {"From", 3}, {"SHA-256", 1}, {"Ends in", 0}, {"Trouble", 2}}, rows) + "\n")
	for _, n := range s.Nodes {
		if n.Error != "" {
			b.WriteString(wrap("Warning: ", n.Name+": "+n.Error, width))
		}
	}
	return b.String()
}

func servesTLS(n admin.TLSNode) string {
	switch {
	case n.Silent:
		return "no answer"
	case n.Address == "":
		return "nowhere"
	default:
		return n.Address
	}
}

func day(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 MST") }

// ends says when something ends, and how far off that is.
func ends(at, now time.Time) string {
	if !at.After(now) {
		return "EXPIRED on " + day(at)
	}
	return "expires on " + day(at) + ", in " + until(at, now)
}

// until says how far off at is; empty where it is not known.
func until(at, now time.Time) string {
	left := at.Sub(now)
	switch {
	case at.IsZero():
		return ""
	case left <= 0:
		return "EXPIRED"
	case left < 48*time.Hour:
		return fmt.Sprintf("%d hours", int(left.Hours()))
	default:
		return fmt.Sprintf("%d days", int(left.Hours()/24))
	}
}
