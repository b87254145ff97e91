package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/mccd/mccd/cluster/admin"
)

// statusTable renders r for people, as of now, in at most width columns where
// that can be.
func statusTable(r *admin.Status, now time.Time, width int) string {
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
	b.WriteString(clusterText(r.Cluster, width))
	for _, w := range r.Warnings {
		b.WriteString(wrap("Warning: ", w, width))
	}
	b.WriteString("\n" + nodesTable(r.Nodes, now, width) + "\n\n" + drivesTable(r.Drives, width) + "\n\n" + cacheTable(r.Cache, width) + "\n")
	return b.String()
}

func clusterText(c admin.ClusterInfo, width int) string {
	b := &strings.Builder{}
	if c.ID != "" {
		fmt.Fprintf(b, "Cluster %s, epoch %s\n  configuration %d, applied %d\n", c.ID, c.Epoch, c.ConfigRevision, c.AppliedIndex)
		leader := "no leader"
		if c.LeaderID != "" {
			leader = "leader " + strings.TrimSpace(c.LeaderName+" "+short(c.LeaderID))
		}
		quorum := "quorum: yes"
		if !c.Quorum.OK {
			quorum = "quorum: NO"
		}
		fmt.Fprintf(b, "  %s, %s, this node: %s\n", quorum, leader, partOf(c.Role))
		if !c.Quorum.OK {
			b.WriteString(wrap("No quorum: ", fmt.Sprintf("for %s: %s. Downloads go on; nothing can be changed. %s",
				lasted(c.Quorum.Seconds), strings.TrimSuffix(c.Quorum.Reason, "."), advice(c)), width))
		}
	}
	if j := c.Join; j != nil {
		text := fmt.Sprintf("%s for %s", strings.Join(j.Peers, ", "), lasted(j.Seconds))
		if j.Step != "" {
			text += ": " + j.Step
		}
		if j.Error != "" {
			text += "; last: " + j.Error
		}
		b.WriteString(wrap("Joining: ", text, width))
	}
	return b.String()
}

// electing is for how many seconds the want of a leader is nothing to worry of.
const electing = 10

// advice tells what to do without a quorum.
func advice(c admin.ClusterInfo) string {
	switch {
	case c.Role == "none":
		return "This node is being added to the cluster, or was taken out of it."
	case c.Quorum.Seconds < electing:
		return "A new leader may be about to be elected."
	default:
		return "Start the missing nodes, or see mccd recover --help."
	}
}

// partOf tells a role in Raft in words.
func partOf(role string) string {
	switch role {
	case "":
		return "not known"
	case "follower":
		return "follower (no vote)"
	default:
		return role
	}
}

func lasted(seconds float64) string {
	return (time.Duration(seconds*1000) * time.Millisecond).Round(time.Second).String()
}

// Below narrow columns names are cut to narrowName.
const narrow, narrowName = 120, 24

func nodesTable(nodes []admin.Node, now time.Time, width int) string {
	var rows [][]string
	gone := 0
	for _, n := range nodes {
		if n.Stage == "left" || n.Stage == "removed" {
			gone++
			continue
		}
		name := n.Name
		if width < narrow {
			name = cut(name, narrowName)
		}
		if n.Self {
			name += " (this)"
		}
		part := ""
		switch {
		case n.Leader:
			part = "leader"
		case n.Voter:
			part = "voter"
		}
		weight, drives := "-", "-"
		if n.Weight > 0 {
			weight = fmt.Sprint(n.Weight)
		}
		if n.DriveBytes > 0 {
			drives = ibytes(n.DriveBytes)
		}
		rows = append(rows, []string{
			name, n.Zone, nodeState(n), part, weight, fmt.Sprintf("%.1f %%", 100*n.Owned), n.PeerAddr, n.GossipAddr,
			drives, certificate(n.CertificateEnd, now), n.Release, short(n.ID),
		})
	}
	text := fit(width, []column{
		{"Node", 0}, {"Zone", 1}, {"State", 0}, {"Vote", 0}, {"Weight", 2}, {"Owns", 0}, {"Peers at", 4}, {"Gossip at", 8},
		{"Drives", 5}, {"Certificate", 3}, {"Release", 6}, {"Id", 7},
	}, rows)
	if gone > 0 {
		text += fmt.Sprintf("\n%d more left or were removed (--output json)", gone)
	}
	return text
}

// nodeState tells in a word or two how a node is.
func nodeState(n admin.Node) string {
	switch {
	case n.Stage == "" || n.Stage == "active" || n.Stage == n.State:
		return n.State
	case n.State == "failed":
		return n.Stage + ", failed"
	default:
		return n.Stage
	}
}

// certificate tells how long a certificate lasts.
func certificate(end, now time.Time) string {
	left := end.Sub(now)
	switch {
	case end.IsZero():
		return "-"
	case left <= 0:
		return "EXPIRED"
	case left < 48*time.Hour:
		return fmt.Sprintf("%d h", int(left.Hours()))
	default:
		return fmt.Sprintf("%d days", int(left.Hours()/24))
	}
}

func drivesTable(drives []admin.Drive, width int) string {
	rows := make([][]string, len(drives))
	for i, d := range drives {
		rows[i] = []string{d.Path, d.State, ibytes(d.Used), ibytes(d.Size), fmt.Sprint(d.Chunks), d.Reason}
	}
	return fit(width, []column{{"Drive", 0}, {"State", 0}, {"Used", 0}, {"Limit", 0}, {"Chunks", 1}, {"", 2}}, rows)
}

func cacheTable(c admin.Cache, width int) string {
	var rows [][]string
	total := c.HitBytes + c.PeerBytes + c.MissBytes
	for _, row := range []struct {
		name string
		n    int64
	}{{"disk (hit)", c.HitBytes}, {"peers (peer hit)", c.PeerBytes}, {"origins (miss)", c.MissBytes}} {
		share := "-"
		if total > 0 {
			share = fmt.Sprintf("%.1f %%", 100*float64(row.n)/float64(total))
		}
		rows = append(rows, []string{row.name, ibytes(row.n), share})
	}
	return fmt.Sprintf("%s\n\n%d requests; %s fetched from origins; %d fills in progress",
		fit(width, []column{{"Served from", 0}, {"Bytes", 0}, {"Share", 0}}, rows), c.Requests, ibytes(c.OriginBytes), c.Flights)
}

func ibytes(n int64) string { return humanize.IBytes(uint64(max(0, n))) }
