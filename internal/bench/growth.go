package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
)

// growth is how tlsup's cost grows with the work.
type growth struct {
	Connections []load
	Records     []flow // the server's, down a tunnel
	Chunks      []flow // the client's writes, up a tunnel
}

// A load is a tunnel with many connections.
type load struct {
	Connections int
	RSS         int64   // bytes over the empty tunnel
	Sessions    float64 // new ones a second beside them, 16 at once
	CPU         float64 // milliseconds of CPU of each
}

// A flow is a transfer in pieces.
type flow struct {
	Piece int64   // bytes
	Rate  float64 // MiB a second
	CPU   float64 // milliseconds of CPU for each GiB
}

var (
	numbers = []int{1, 10, 100, 1000, 5000}
	records = []int64{256, 1 << 10, 4 << 10, 16 << 10}
	chunks  = []int64{256, 1 << 10, 4 << 10, 16 << 10, 64 << 10, 256 << 10}
)

// grow measures.
func (b *bench) grow(ctx context.Context) (*growth, error) {
	g := &growth{}
	at := slices.IndexFunc(b.Tunnels, func(f forwarder) bool { return f.Name == subject })
	one := func(service string, do func(t *tunnel) error) error {
		fmt.Fprintf(os.Stderr, "growth of %s\n", service)
		_, err := b.forward(ctx, work{service: service, tunnel: &tunnelWork{way: "tls", do: func(_ *bench, t *tunnel) (sample, error) { return sample{}, do(t) }}}, b.Tunnels[at])
		return err
	}
	for _, n := range numbers {
		if n > b.Idle || uint64(2*n+200) > openFiles() {
			continue
		}
		if err := one("echo", func(t *tunnel) error { return b.load(t, g, n) }); err != nil {
			return nil, fmt.Errorf("%d connections: %w", n, err)
		}
	}
	for _, piece := range records {
		if err := one("exchange", func(t *tunnel) error { return b.flow(t, &g.Records, 0, 1, piece) }); err != nil {
			return nil, fmt.Errorf("records of %d bytes: %w", piece, err)
		}
	}
	for _, piece := range chunks {
		if err := one("exchange", func(t *tunnel) error { return b.flow(t, &g.Chunks, 1, 0, piece) }); err != nil {
			return nil, fmt.Errorf("chunks of %d bytes: %w", piece, err)
		}
	}
	return g, nil
}

// load measures a tunnel that has n connections.
func (b *bench) load(t *tunnel, g *growth, n int) error {
	conns, rss, err := t.crowd(n, b.rest)
	defer func() { closeAll(conns) }()
	if err != nil {
		return err
	}
	s, err := t.sessions(b.Sessions*perSession, line, false)
	if err != nil {
		return err
	}
	g.Connections = append(g.Connections, load{n, rss, 1 / s.Wall.Seconds(), s.CPU.Seconds() * 1e3})
	closeAll(conns)
	_, err = t.reports(n)
	return err
}

// flow measures a transfer in pieces, of fewer bytes the smaller they are.
func (b *bench) flow(t *tunnel, all *[]flow, up, down, piece int64) error {
	size := min(b.Size, piece<<16) &^ (piece - 1)
	s, err := t.transfer(1, size*up, size*down, piece)
	if err != nil {
		return err
	}
	gib := float64(size) / (1 << 30)
	*all = append(*all, flow{piece, gib * 1024 / s.Wall.Seconds(), s.CPU.Seconds() * 1e3 / gib})
	return nil
}

// print prints tables that are such in Markdown too.
func (g *growth) print(w io.Writer) {
	rows := [][]string{{"connections open", "RSS over the empty tunnel", "of each", "new sessions", "CPU of each"}}
	for _, l := range g.Connections {
		rows = append(rows, []string{
			fmt.Sprint(l.Connections), mib(float64(l.RSS)), fmt.Sprintf("%.1f KiB", float64(l.RSS)/1024/float64(l.Connections)),
			fmt.Sprintf("%.0f/s", l.Sessions), fmt.Sprintf("%.2f ms", l.CPU),
		})
	}
	fmt.Fprint(w, "\n"+subject+" tunnel with more and more connections; new sessions are full handshakes, 16 at once\n\n")
	printMarkdown(w, rows)
	for _, part := range []struct {
		what  string
		flows []flow
	}{{"records of", g.Records}, {"writes of", g.Chunks}} {
		rows := [][]string{{part.what, "rate", "CPU/GiB"}}
		for _, f := range part.flows {
			rows = append(rows, []string{pieceText(f.Piece), fmt.Sprintf("%.0f MiB/s", f.Rate), fmt.Sprintf("%.0f ms", f.CPU)})
		}
		fmt.Fprintln(w)
		printMarkdown(w, rows)
	}
}

func pieceText(n int64) string {
	if n < 1<<10 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%d KiB", n>>10)
}

// plotFile writes the plot.
func (g *growth) plotFile(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	_, err = io.WriteString(f, g.plot())
	return errors.Join(err, f.Close())
}
