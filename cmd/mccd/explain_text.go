package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mccd/mccd/cluster/admin"
)

// explainText renders an explanation for a terminal of width columns.
func explainText(e *admin.Explanation, width int) string {
	var b strings.Builder
	line := func(label, format string, args ...any) {
		b.WriteString(hang(fmt.Sprintf("%-9s", label), strings.Repeat(" ", 9), fmt.Sprintf(format, args...), width))
	}
	form := "named by its own host"
	if e.URL.Form == "cacheHostOrigin" {
		form = "named by cacheHostOrigin"
	}
	if r := e.Refused; r != nil {
		if e.URL.Host != "" {
			line("Origin", "%s, %s", e.URL.Host, form)
		}
		line("Now", "A client gets %d at once: %s", r.Status, r.Text)
		switch {
		case len(r.Nearest) > 0:
			line("Nearest", "%s", strings.Join(r.Nearest, ", "))
		case e.URL.Host != "" && r.Status == 403:
			line("Nearest", "no host of the catalogue comes near")
		}
		return b.String()
	}
	line("URL", "%s://%s%s, %s%s", e.URL.Scheme, e.URL.Host, e.URL.Path, form, queryText(e))
	line("Rule", "%s (%s), profile %s%s", e.Rule.Name, e.Rule.Product, e.Rule.Profile, keyText(e.Rule))
	line("Object", "%s", e.Object)
	versionText(line, e)
	line("Purge", "%s", purgeStanding(e))
	line("Home", "%s", orderText(e.Home, ""))
	if len(e.Silent) > 0 {
		line("Silent", "%s: what they hold is not known", strings.Join(e.Silent, ", "))
	}
	line("Now", "%s", strings.Join(e.Next, " "))
	for _, g := range groupsOf(e.Chunks) {
		b.WriteString("\n" + hang("", "  ", g.title(), width))
		for _, l := range g.lines() {
			b.WriteString(hang("  ", "    ", l, width))
		}
	}
	if e.More > 0 {
		fmt.Fprintf(&b, "\n%d more chunks follow: name them by --range.\n", e.More)
	}
	return b.String()
}

func queryText(e *admin.Explanation) string {
	switch {
	case e.URL.QueryBytes == 0:
		return ""
	case e.Rule.QueryInKey:
		return fmt.Sprintf("; a query of %d bytes, part of the key", e.URL.QueryBytes)
	default:
		return fmt.Sprintf("; a query of %d bytes, no part of the key", e.URL.QueryBytes)
	}
}

func keyText(r admin.ExplainedRule) string {
	text := ""
	if r.KeyHost != "" {
		text += ", one key with all mirrors of " + r.KeyHost
	}
	if r.JoinSchemes {
		text += ", http and https are one"
	}
	return text
}

// versionText tells of the version and how fresh it is.
func versionText(line func(label, format string, args ...any), e *admin.Explanation) {
	v, f := e.Version, e.Freshness
	if v == nil {
		line("Version", "none is known")
		return
	}
	parts := []string{fmt.Sprintf("%d bytes", v.Size)}
	if v.ContentType != "" {
		parts = append(parts, v.ContentType)
	}
	if v.ETag != "" {
		parts = append(parts, "ETag "+v.ETag)
	}
	if v.LastModified != "" {
		parts = append(parts, "Last-Modified "+v.LastModified)
	}
	told := "told from others by " + v.ToldBy
	if v.ToldBy == "none" {
		told = "nothing tells it from others"
	}
	parts = append(parts, told)
	if v.Mark != "" {
		parts = append(parts, "fetched after purge "+v.Mark)
	}
	line("Version", "%s (%s), as %s knows it", v.ID, strings.Join(parts, ", "), v.From)
	ago := f.ValidatedAgo.Round(time.Second)
	if f.Left > 0 {
		line("Fresh", "for %s more, confirmed %s ago: %s", f.Left.Round(time.Second), ago, f.Why)
	} else {
		line("Fresh", "no, %s: confirmed %s ago, fresh for %s: %s", f.Standing, ago, f.FreshFor.Round(time.Second), f.Why)
	}
}

func purgeStanding(e *admin.Explanation) string {
	m := e.Purge.Hit
	if m == nil {
		return fmt.Sprintf("none hits it (purge index %d)", e.Purge.Index)
	}
	text := fmt.Sprintf("%d hits it last (%s)", m.Index, scopeText(m.Product, m.Host, m.Path, m.Prefix))
	switch {
	case e.Purge.Killed:
		return text + "; what this node kept is dead by it"
	case e.Version != nil:
		return text + "; the version was fetched after it"
	}
	return text
}

// orderText tells of an owner, who acts, and the others in turn.
func orderText(order []admin.Candidate, acting string) string {
	var parts []string
	for i, c := range order {
		text := c.Node
		if c.WhyNot != "" {
			text += " (" + c.WhyNot + ")"
		}
		if i == 0 && acting != "" {
			text = "owner " + text
			if acting != c.Node {
				text += "; " + acting + " acts"
			}
		}
		parts = append(parts, text)
	}
	if len(parts) > 1 {
		return parts[0] + "; then " + strings.Join(parts[1:], ", ")
	}
	return strings.Join(parts, ", ")
}

// chunkGroup are chunks of which the same is to be said.
type chunkGroup struct {
	chunks []admin.ExplainedChunk
	order  string // empty where their successors differ
}

// groupsOf joins chunks of which the same is to be said, in the order of the
// first of each.
func groupsOf(chunks []admin.ExplainedChunk) (groups []*chunkGroup) {
	byKey := make(map[string]*chunkGroup)
	for _, c := range chunks {
		order := orderText(c.Order, c.Acting)
		key := fmt.Sprint(c.Size, "\n", orderText(c.Order[:min(1, len(c.Order))], c.Acting), "\n", heldText(c), "\n", stepsText(c))
		g := byKey[key]
		if g == nil {
			g = &chunkGroup{order: order}
			byKey[key] = g
			groups = append(groups, g)
		}
		if g.order != order {
			g.order = ""
		}
		g.chunks = append(g.chunks, c)
	}
	return groups
}

// maxRuns is how many runs of numbers a title tells.
const maxRuns = 8

func (g *chunkGroup) title() string {
	var runs []string
	for i := 0; i < len(g.chunks); {
		first := g.chunks[i].Index
		last := first
		for i++; i < len(g.chunks) && g.chunks[i].Index == last+1; i++ {
			last++
		}
		run := fmt.Sprint(first)
		if last > first {
			run = fmt.Sprintf("%d-%d", first, last)
		}
		runs = append(runs, run)
	}
	if n := len(runs); n > maxRuns {
		runs = append(runs[:maxRuns:maxRuns], fmt.Sprintf("and %d more runs", n-maxRuns))
	}
	size := "of a length not known"
	if s := g.chunks[0].Size; s > 0 {
		size = "of " + ibytes(s)
	}
	if len(g.chunks) == 1 {
		return fmt.Sprintf("Chunk %s %s", runs[0], size)
	}
	return fmt.Sprintf("%d chunks %s: %s", len(g.chunks), size, strings.Join(runs, ", "))
}

func (g *chunkGroup) lines() []string {
	c := g.chunks[0]
	order := g.order
	if order == "" {
		order = orderText(c.Order[:1], c.Acting) + "; then others, each in its own order"
	}
	return []string{order, heldText(c), "now: " + stepsText(c)}
}

// heldText says who holds what of a chunk.
func heldText(c admin.ExplainedChunk) string {
	var parts []string
	for _, h := range c.Holders {
		var what []string
		switch {
		case h.Bytes > 0 && h.Bytes == c.Size:
			what = append(what, "all "+h.Worth)
		case h.Bytes > 0:
			what = append(what, ibytes(h.Bytes)+" "+h.Worth)
		}
		if h.Coming > 0 {
			what = append(what, ibytes(h.Coming)+" coming")
		}
		if h.Bytes > 0 && !h.Known {
			what = append(what, "not known to "+c.Acting)
		}
		parts = append(parts, fmt.Sprintf("%s (%s)", h.Node, strings.Join(what, ", ")))
	}
	if len(parts) == 0 {
		return "held by nobody"
	}
	return "held by " + strings.Join(parts, ", ")
}

// stepsText says where a request would get a chunk from.
func stepsText(c admin.ExplainedChunk) string {
	parts := make([]string, len(c.Steps))
	for i, s := range c.Steps {
		parts[i] = s.Why
		if s.Kind == "origin" {
			parts[i] = fmt.Sprintf("origin fetch by %s because %s", s.By, s.Why)
		}
		if len(c.Steps) > 1 {
			parts[i] = ibytes(s.Bytes) + " " + parts[i]
		}
	}
	parts = slices.DeleteFunc(parts, func(s string) bool { return s == "" })
	return strings.Join(parts, "; ")
}
