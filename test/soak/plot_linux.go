package main

import (
	"bytes"
	"fmt"
	"time"
)

const (
	plotWidth, plotHeight = 900, 260
	plotMargin            = 60
)

// plot draws memory and what the drives hold, over time, as SVG.
func (r *result) plot() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`+"\n",
		plotWidth+2*plotMargin, 2*(plotHeight+2*plotMargin))
	b.WriteString(`<rect width="100%" height="100%" fill="white"/>` + "\n")
	r.panel(&b, 0, "memory (RSS), MiB", func(s sample) float64 { return float64(s.resident) / mib }, 0)
	r.panel(&b, plotHeight+2*plotMargin, "on the drive, MiB; dashed: the limit", func(s sample) float64 { return float64(s.held) / mib }, float64(r.limit())/mib)
	b.WriteString("</svg>\n")
	return b.Bytes()
}

// panel draws one figure of all nodes; a limit is a dashed line, 0 is none.
func (r *result) panel(b *bytes.Buffer, top int, title string, of func(sample) float64, limit float64) {
	most := limit
	for _, s := range r.samples {
		most = max(most, of(s))
	}
	if most == 0 {
		most = 1
	}
	most *= 1.05
	x := func(at time.Duration) float64 { return plotMargin + plotWidth*at.Seconds()/r.length.Seconds() }
	y := func(v float64) float64 { return float64(top) + plotMargin + plotHeight*(1-v/most) }
	fmt.Fprintf(b, `<text x="%d" y="%d" font-size="14">%s</text>`+"\n", plotMargin, top+plotMargin-12, title)
	for i := range 5 {
		v := most * float64(i) / 4
		fmt.Fprintf(b, `<path d="M%d %.1fh%d" stroke="#ddd"/><text x="%d" y="%.1f" text-anchor="end">%.0f</text>`+"\n",
			plotMargin, y(v), plotWidth, plotMargin-6, y(v)+4, v)
		at := r.length * time.Duration(i) / 4
		fmt.Fprintf(b, `<text x="%.1f" y="%.1f" text-anchor="middle">%v</text>`+"\n", x(at), y(0)+18, at.Round(time.Second))
	}
	if limit > 0 {
		fmt.Fprintf(b, `<path d="M%d %.1fh%d" stroke="black" stroke-dasharray="6 4"/>`+"\n", plotMargin, y(limit), plotWidth)
	}
	colours := []string{"#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e"}
	for n := range r.nodes {
		colour := colours[n%len(colours)]
		fmt.Fprintf(b, `<polyline fill="none" stroke="%s" points="`, colour)
		for _, s := range r.samples {
			if s.node == n {
				fmt.Fprintf(b, "%.1f,%.1f ", x(s.at), y(of(s)))
			}
		}
		fmt.Fprintf(b, `"/><text x="%d" y="%d" fill="%s">node %d</text>`+"\n", plotMargin+plotWidth-60*(n+1), top+plotMargin-12, colour, n+1)
	}
}
