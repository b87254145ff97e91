package main

import (
	"fmt"
	"io"
	"slices"
	"time"
)

// print tells a person what happened.
func (r *result) print(out io.Writer, file string) {
	s := newScreen(out)
	title := func(text string) { s.print("", "  "+s.paint(bold, text)) }
	line := func(format string, args ...any) { s.print("    " + fmt.Sprintf(format, args...)) }
	mark := func(kept bool) string {
		if kept {
			return s.paint(green, "✓")
		}
		return s.paint(red, "✗")
	}

	title("Who served what, and from where")
	line("%-8s %11s %11s %11s %11s", "node", "own disk", "peers", "origin", "in all")
	var all counts
	for i, c := range r.served {
		note := ""
		if i == victim {
			note = "  killed, and back"
		}
		line("%-8s %11s %11s %11s %11s%s", r.names[i], size(c.disk), size(c.peers), size(c.origin), size(c.total()), note)
		all = all.plus(c)
	}
	line("%-8s %11s %11s %11s %11s", "", size(all.disk), size(all.peers), size(all.origin), size(all.total()))

	title("What the origin sent")
	line("%s %s for %s of different content: %.4f", mark(r.atKill.again() == 0), size(float64(r.atKill.sent)), size(float64(r.atKill.unique)), ratio(r.atKill.sent, r.atKill.unique))
	line("  before the kill; each byte once is 1.0000")
	line("%s %s again after the kill; at most %s: %s alone held %s, and of", mark(r.extra() <= r.bound()), size(float64(r.extra())), size(float64(r.bound())), r.names[victim], size(float64(r.alone)))
	line("  each flight then open (%d) 1 MiB may be lost", r.open)
	line("%s %s again after it was back, %.1f s later", mark(r.extraAfter() == 0), size(float64(r.extraAfter())), r.upAgain.Sub(r.killed).Seconds())
	if r.extra() > r.bound() || r.extraAfter() > 0 {
		const show = 12
		since := func(t time.Time) time.Duration { return t.Sub(r.killed).Round(time.Millisecond) }
		repeats := r.repeats
		if r.extra() <= r.bound() { // those before the return are what they may be
			repeats = slices.DeleteFunc(slices.Clone(repeats), func(e repeat) bool { return !e.again.Began.After(r.upAgain) })
		}
		for _, e := range repeats[:min(show, len(repeats))] {
			line("    %s %s at %v by %s, first at %v by %s", e.again.Path, e.again.Asked,
				since(e.again.Began), e.again.Header.Get("Via"), since(e.first.Began), e.first.Header.Get("Via"))
		}
		if more := len(repeats) - show; more > 0 {
			line("    and %d more", more)
		}
	}
	line("  %s in all for %s of files", size(float64(r.atEnd.sent)), size(float64(r.content.bytes)))

	title("What the clients got")
	line("%s %s in %s requests, %.1f s, %s/s", mark(r.herd.Bytes >= r.want), size(float64(r.herd.Bytes)), number(r.herd.Requests), r.took.Seconds(), size(float64(r.herd.Bytes)/r.took.Seconds()))
	line("%s %d wrong: every copy and every piece has its SHA-256", mark(r.wrong() == 0), r.wrong())
	line("%s %d requests failed at living nodes", mark(len(r.failed) == 0), len(r.failed))
	line("  %d failed at the killed one; the clients went on at the next node", len(r.excused))
	line("  longest wait for a byte: %v", r.herd.Gap.Round(time.Millisecond))

	title("The node that came back")
	b := r.back
	line("%s ready and known to all after %.1f s; then gave every file once more:", mark(true), r.upAgain.Sub(r.startedAgain).Seconds())
	line("%s %s from its own disk, %s from peers, %s from the origin", mark(b.extra == 0), size(b.served.disk), size(b.served.peers), size(float64(b.extra)))

	title("Try next")
	line("make e2e              the same with hangs, restarts, flipped bits and full drives")
	line("bin/mccd serve        a node of your own; then, from any machine:")
	line("  wget 'http://<node>/mscomtest/wuidt.gif?cacheHostOrigin=%s'", updateHost)
	line("README.md             what else there is; the figures are in %s", file)
	s.print("")
}

func ratio(a, b int64) float64 {
	if b == 0 {
		return 1
	}
	return float64(a) / float64(b)
}
