package main

import (
	"context"
	"fmt"
	"strings"
	"time"
)

const (
	// redrawEvery is for a terminal, lineEvery for a file or a pipe.
	redrawEvery = 200 * time.Millisecond
	lineEvery   = 2 * time.Second
	barWidth    = 28
)

// intro says what is going to happen.
func (st *stage) intro(s *screen) {
	agents := (st.clients + 1) / 2
	var names []string
	for _, n := range st.cluster.Nodes {
		names = append(names, n.Name)
	}
	s.print(
		"",
		fmt.Sprintf("  %s   %s real files of the Go distribution and two generated ones: %s", s.paint(bold, "Origin "), number(st.content.real), size(float64(st.content.bytes))),
		fmt.Sprintf("            sends %d MiB/s at most, and keeps a ledger of every byte", st.rate),
		fmt.Sprintf("  %s   %d processes, each with a drive of its own", s.paint(bold, "Nodes  "), nodes),
		fmt.Sprintf("            %s founded the cluster and made a token; %s joined by it", names[0], strings.Join(names[1:], " and ")),
		fmt.Sprintf("            (mccd token create, mccd join): ready together after %.1f s", st.formed.Seconds()),
		fmt.Sprintf("  %s   %d: %d ask for pieces of 1 MiB over two streams, as the Windows agent", s.paint(bold, "Clients"), st.clients, agents),
		fmt.Sprintf("            does, %d for whole files; each reads everything and checks SHA-256", st.clients-agents),
		fmt.Sprintf("  %s   %s is killed when half is delivered, and brought back later", s.paint(bold, "Fault  "), st.cluster.Nodes[victim].Name),
		"",
	)
}

// meter turns a growing number into a speed.
type meter struct {
	at   time.Time
	last float64
	rate float64
}

func (m *meter) speed(now time.Time, value float64) float64 {
	if passed := now.Sub(m.at).Seconds(); passed >= 0.5 {
		m.rate = (value - m.last) / passed
		m.at, m.last = now, value
	}
	return m.rate
}

// watch shows progress until ctx ends.
func (st *stage) watch(ctx context.Context, s *screen) {
	every := lineEvery
	if s.terminal {
		every = redrawEvery
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	defer s.clear()
	delivered, origin := meter{at: st.begun}, meter{at: st.begun}
	said := [nodes]string{}
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			st.sample(ctx)
			got := float64(st.delivered.Load())
			sent := float64(st.origin.Ledger().Bytes(""))
			toClients, fromOrigin := delivered.speed(now, got), origin.speed(now, sent)
			if s.terminal {
				s.block(st.picture(s, got, sent, toClients, fromOrigin))
				continue
			}
			st.mu.Lock()
			states := st.states
			st.mu.Unlock()
			for i, state := range states {
				if said[i] != "" && said[i] != state {
					s.print(fmt.Sprintf("  %5.1fs  %s: %s", now.Sub(st.begun).Seconds(), st.cluster.Nodes[i].Name, state))
				}
			}
			said = states
			s.print(fmt.Sprintf("  %5.1fs  delivered %s of %s (%s/s), origin sent %s of %s (%s/s)", now.Sub(st.begun).Seconds(),
				size(got), size(float64(st.want)), size(toClients), size(sent), size(float64(st.content.bytes)), size(fromOrigin)))
		}
	}
}

// picture is the block on a terminal.
func (st *stage) picture(s *screen, got, sent, toClients, fromOrigin float64) []string {
	want, all := float64(st.want), float64(st.content.bytes)
	lines := []string{
		fmt.Sprintf("  delivered  %s  %9s of %s  %s/s", s.paint(green, bar(got, want, barWidth)), size(got), size(want), size(toClients)),
		fmt.Sprintf("  origin     %s  %9s of %s  %s/s", s.paint(amber, bar(sent, all, barWidth)), size(sent), size(all), size(fromOrigin)),
		"",
		s.paint(dim, "  node                       state      from disk  from peers  from origin"),
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	for i, n := range st.cluster.Nodes {
		color := green
		if st.states[i] == "killed" {
			color = red
		}
		c := st.counts[i]
		lines = append(lines, fmt.Sprintf("  %-6s http://%-15s  %s  %9s  %10s  %11s", n.Name, n.Addr,
			s.paint(color, fmt.Sprintf("%-8s", st.states[i])), size(c.disk), size(c.peers), size(c.origin)))
	}
	return append(lines, "", fmt.Sprintf("  %.0f s", time.Since(st.begun).Seconds()))
}
