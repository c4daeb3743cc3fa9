package main

import (
	"fmt"
	"html"
	"math"
	"strings"
)

// A panel is one of the plot's diagrams: its x axis is logarithmic, its y axis begins at nothing.
type panel struct {
	title, x, y string
	points      []point
}

type point struct {
	x, y  float64
	label string // of x
}

// Sizes in the plot, in its units.
const (
	panelWidth, panelHeight = 380, 260
	left, right, top, foot  = 64, 20, 40, 46
)

// plot returns the growth as SVG.
func (g *growth) plot() string {
	panels := []panel{
		{title: "new sessions beside open connections", x: "connections open", y: "sessions/s"},
		{title: "memory over the empty tunnel", x: "connections open", y: "MiB"},
		{title: "from the server, by the size of its records", x: "bytes in a record", y: "MiB/s"},
		{title: "to the server, by the size of the client's writes", x: "bytes in a write", y: "MiB/s"},
	}
	for _, l := range g.Connections {
		x, label := float64(l.Connections), fmt.Sprint(l.Connections)
		panels[0].points = append(panels[0].points, point{x, l.Sessions, label})
		panels[1].points = append(panels[1].points, point{x, float64(l.RSS) / (1 << 20), label})
	}
	for i, flows := range [][]flow{g.Records, g.Chunks} {
		for _, f := range flows {
			panels[2+i].points = append(panels[2+i].points, point{float64(f.Piece), f.Rate, pieceText(f.Piece)})
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="11">`+"\n", 2*panelWidth, 2*panelHeight)
	fmt.Fprint(&b, `<rect width="100%" height="100%" fill="white"/>`+"\n")
	for i, p := range panels {
		fmt.Fprintf(&b, `<g transform="translate(%d,%d)">`+"\n", i%2*panelWidth, i/2*panelHeight)
		p.draw(&b)
		b.WriteString("</g>\n")
	}
	b.WriteString("</svg>\n")
	return b.String()
}

// draw draws axes, a line and its points.
func (p panel) draw(b *strings.Builder) {
	text := func(x, y float64, anchor, more, s string) {
		fmt.Fprintf(b, `<text x="%.0f" y="%.0f" text-anchor="%s"%s>%s</text>`+"\n", x, y, anchor, more, html.EscapeString(s))
	}
	const width, height = float64(panelWidth - left - right), float64(panelHeight - top - foot)
	text(left, top-18, "start", ` font-weight="bold"`, p.title)
	text(left+width/2, panelHeight-10, "middle", "", p.x)
	text(left-6, top-4, "end", "", p.y)
	if len(p.points) == 0 {
		return
	}
	most := 0.0
	for _, q := range p.points {
		most = max(most, q.y)
	}
	step := roundStep(most / 4)
	most = step * math.Max(1, math.Ceil(most/step))
	yOf := func(y float64) float64 { return top + height*(1-y/most) }
	for y := 0.0; y <= most*1.001; y += step {
		fmt.Fprintf(b, `<line x1="%d" x2="%.0f" y1="%.1f" y2="%.1f" stroke="#ddd"/>`+"\n", left, left+width, yOf(y), yOf(y))
		text(left-6, yOf(y)+4, "end", "", fmt.Sprintf("%g", math.Round(y*100)/100))
	}
	first, last := math.Log(p.points[0].x), math.Log(p.points[len(p.points)-1].x)
	xOf := func(x float64) float64 {
		if first == last {
			return left + width/2
		}
		return left + width*(math.Log(x)-first)/(last-first)
	}
	var line []string
	for _, q := range p.points {
		x, y := xOf(q.x), yOf(q.y)
		line = append(line, fmt.Sprintf("%.1f,%.1f", x, y))
		fmt.Fprintf(b, `<circle cx="%.1f" cy="%.1f" r="3" fill="#06c"/>`+"\n", x, y)
		text(x, top+height+16, "middle", "", q.label)
	}
	fmt.Fprintf(b, `<polyline points="%s" fill="none" stroke="#06c" stroke-width="1.5"/>`+"\n", strings.Join(line, " "))
}

// roundStep returns 1, 2 or 5 times a power of ten, of which x has one at most.
func roundStep(x float64) float64 {
	if x <= 0 {
		return 1
	}
	power := math.Pow(10, math.Floor(math.Log10(x)))
	for _, n := range []float64{1, 2, 5} {
		if n*power >= x {
			return n * power
		}
	}
	return 10 * power
}
