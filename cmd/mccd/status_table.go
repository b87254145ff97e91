package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/mccd/mccd/cluster/admin"
)

// statusTable renders r for people, as of now.
func statusTable(r *admin.Status, now time.Time) string {
	b := &strings.Builder{}
	fmt.Fprintf(b, "Node %s", r.Name)
	if r.Zone != "" {
		fmt.Fprintf(b, " in zone %s", r.Zone)
	}
	fmt.Fprintf(b, ", mccd %s, up %s\nid %s, view %d, digest %s\n", r.Version,
		now.Sub(r.Started).Round(time.Second), r.NodeID, r.ViewSerial, r.ViewDigest)
	for _, a := range r.Addresses {
		fmt.Fprintf(b, "  %-10s %s\n", a.Purpose, a.Address)
	}
	for _, w := range r.Warnings {
		fmt.Fprintf(b, "Warning: %s\n", w)
	}
	b.WriteString("\n" + nodesTable(r.Nodes) + "\n\n" + drivesTable(r.Drives) + "\n\n" + cacheTable(r.Cache) + "\n")
	return b.String()
}

func newTable(header ...any) table.Writer {
	t := table.NewWriter()
	style := table.StyleLight
	style.Options = table.OptionsNoBordersAndSeparators
	t.SetStyle(style)
	t.AppendHeader(header)
	return t
}

func nodesTable(nodes []admin.Node) string {
	t := newTable("Node", "Zone", "State", "Owns", "Peers at", "Gossip at")
	for _, n := range nodes {
		name := n.Name
		if n.Self {
			name += " (this)"
		}
		t.AppendRow(table.Row{name, n.Zone, n.State, fmt.Sprintf("%.1f %%", 100*n.Owned), n.PeerAddr, n.GossipAddr})
	}
	return t.Render()
}

func drivesTable(drives []admin.Drive) string {
	t := newTable("Drive", "State", "Used", "Limit", "Chunks", "")
	for _, d := range drives {
		t.AppendRow(table.Row{d.Path, d.State, ibytes(d.Used), ibytes(d.Size), d.Chunks, d.Reason})
	}
	return t.Render()
}

func cacheTable(c admin.Cache) string {
	t := newTable("Served from", "Bytes", "Share")
	total := c.HitBytes + c.PeerBytes + c.MissBytes
	for _, row := range []struct {
		name string
		n    int64
	}{{"disk (hit)", c.HitBytes}, {"peers (peer hit)", c.PeerBytes}, {"origins (miss)", c.MissBytes}} {
		share := "-"
		if total > 0 {
			share = fmt.Sprintf("%.1f %%", 100*float64(row.n)/float64(total))
		}
		t.AppendRow(table.Row{row.name, ibytes(row.n), share})
	}
	return fmt.Sprintf("%s\n\n%d requests; %s fetched from origins; %d fills in progress", t.Render(),
		c.Requests, ibytes(c.OriginBytes), c.Flights)
}

func ibytes(n int64) string { return humanize.IBytes(uint64(max(0, n))) }
