package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/urfave/cli/v2"

	"tlsup/internal/connect"
	"tlsup/internal/quote"
	"tlsup/internal/testserver"
	"tlsup/internal/trust"
	"tlsup/negotiate"
)

// table prints the protocols.
func (p *program) table() error {
	w := tabwriter.NewWriter(text{p.stdout}, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tPORT\tTLS\tSIBLING\tALPN\tSPECIFICATION\tTESTED AGAINST\tWHAT IT IS")
	for _, q := range negotiate.All() {
		start := "upgrade"
		switch {
		case q == negotiate.Auto():
			start = "recognised"
		case q.Upgrade == nil:
			start = "first byte"
		}
		port := "-"
		if q.Port != 0 {
			port = strconv.Itoa(q.Port)
		}
		fmt.Fprintln(w, strings.Join([]string{
			strings.Join(append([]string{q.Name}, q.Aliases...), ", "), port, start,
			cmp.Or(q.Implicit, q.Sibling, "-"), list(q.ALPN), list(q.Specs), list(q.Servers), q.Title,
		}, "\t"))
	}
	return w.Flush()
}

func list(words []string) string { return cmp.Or(strings.Join(words, ", "), "-") }

// chosen is the protocol that explain and demo are asked for, or nil if none is named.
func chosen(c *cli.Context) (*negotiate.Protocol, error) {
	switch c.NArg() {
	case 0:
		return nil, nil
	case 1:
		q, err := connect.FindProtocol(c.Args().First())
		if err != nil {
			return nil, usageError{err}
		}
		return q, nil
	}
	return nil, usagef("%s is one operand too many", quote.Short(c.Args().Get(1)))
}

// explain prints the steps of an upgrade as they happen in a run against a server inside
// the process.
func (p *program) explain(c *cli.Context) error {
	q, err := chosen(c)
	if err != nil {
		return err
	}
	if q == nil {
		return p.table()
	}
	lines, err := rehearse(c.Context, q)
	if err != nil {
		return err
	}
	w := text{p.stdout}
	fmt.Fprintf(w, "%s: %s\n", q.Name, q.Title)
	if q.Port != 0 {
		fmt.Fprintf(w, "port %d%s%s; %s\n", q.Port, siblings(q), handshake(q), strings.Join(q.Specs, ", "))
	} else if q.Specs != nil {
		fmt.Fprintf(w, "no port of its own; %s\n", strings.Join(q.Specs, ", "))
	}
	fmt.Fprintln(w)
	remarked := map[int]bool{}
	for _, line := range lines {
		text := quote.Escape(line.String())
		remark := ""
		for i, r := range q.Remarks {
			if !remarked[i] && strings.HasPrefix(line.String(), r.Prefix) {
				remarked[i], remark = true, r.Text
				break
			}
		}
		for _, part := range wrap(text, 76) {
			fmt.Fprintf(w, "  %s\n", part)
		}
		if remark != "" {
			fmt.Fprintf(w, "       # %s\n", remark)
		}
	}
	if !slices.ContainsFunc(lines, func(l negotiate.Line) bool { return l.TLS }) {
		fmt.Fprintf(w, "  %s\n", negotiate.Line{TLS: true})
	}
	if q.Note != "" {
		var note strings.Builder
		writeWords(&note, q.Note, 0)
		fmt.Fprintf(w, "\n%s\n", note.String())
	}
	_, err = fmt.Fprintf(w, "\nTry it: tlsup -v %s\n", exampleTarget(q))
	return err
}

// exampleTarget is a target to try the protocol with.
func exampleTarget(q *negotiate.Protocol) string {
	if q.Port == 0 {
		return q.Name + "://HOST:PORT"
	}
	return q.Name + "://HOST"
}

// siblings says where the protocol's other way of starting TLS is.
func siblings(q *negotiate.Protocol) string {
	if s := negotiate.Find(q.Implicit); s != nil {
		return fmt.Sprintf(", in TLS from the first byte %d (%s)", s.Port, s.Name)
	}
	if s := negotiate.Find(q.Sibling); s != nil {
		return fmt.Sprintf(", upgraded from the clear %d (%s)", s.Port, s.Name)
	}
	return ""
}

// handshake says what the protocol wants of it.
func handshake(q *negotiate.Protocol) string {
	wants := ""
	if len(q.ALPN) > 0 {
		wants = "; ALPN " + strings.Join(q.ALPN, ", ")
	}
	if q.MinVersion != 0 {
		wants += "; " + tls.VersionName(q.MinVersion) + " and newer"
	}
	if q.MaxVersion != 0 {
		wants += "; " + tls.VersionName(q.MaxVersion) + " at most"
	}
	return wants
}

// wrap cuts a long line into pieces of at most width characters, behind the first
// indented.
func wrap(s string, width int) []string {
	runes := []rune(s)
	var parts []string
	for indent := ""; len(runes) > width; indent = "   " {
		parts = append(parts, indent+string(runes[:width-len(indent)]))
		runes = runes[width-len(indent):]
	}
	if len(parts) > 0 {
		return append(parts, "   "+string(runes))
	}
	return []string{s}
}

// rehearse runs the upgrade against the server inside the process, with the code that every
// run uses, and returns what was said. The server's port, which is another each time, is
// shown as PORT.
func rehearse(ctx context.Context, q *negotiate.Protocol) ([]negotiate.Line, error) {
	var lines []negotiate.Line
	server, session, err := openTestSession(ctx, q, func(l negotiate.Line) { lines = append(lines, l) })
	if err != nil {
		return nil, err
	}
	defer server.Close()
	port := ":" + strconv.Itoa(server.Addr.Port)
	for i := range lines {
		lines[i].Text = strings.ReplaceAll(lines[i].Text, port, ":PORT")
	}
	return lines, session.Close()
}

// demo shows the main job end to end: the cleartext exchange, the TLS session, and text both
// ways inside it.
func (p *program) demo(c *cli.Context) error {
	q, err := chosen(c)
	if err != nil {
		return err
	}
	if q == nil {
		q = negotiate.Default()
	}
	w := text{p.stdout}
	fmt.Fprintf(w, "A server for %s in this process, on loopback, with a throwaway certificate authority.\n", q.Name)
	fmt.Fprintf(w, "\nIn the clear:\n")
	handshake, inside := false, "" // what the upgrade says inside TLS, to be shown in its place
	server, session, err := openTestSession(c.Context, q, func(l negotiate.Line) {
		switch line := "  " + quote.Escape(l.String()) + "\n"; {
		case l.TLS:
			handshake = true
		case handshake:
			inside += line
		default:
			io.WriteString(w, line)
		}
	})
	if err != nil {
		return err
	}
	defer server.Close()
	defer session.Close()
	if session.Protocol.Upgrade == nil {
		fmt.Fprintf(w, "  nothing: %s is TLS from the first byte\n", q.Name)
	}
	state := session.TLS.ConnectionState()
	fmt.Fprintf(w, "\nThe handshake:\n  %s, %s, %s, certificate of %s verified\n", tls.VersionName(state.Version), tls.CipherSuiteName(state.CipherSuite),
		state.CurveID, state.PeerCertificates[0].Subject.CommonName)
	fmt.Fprintf(w, "\nInside TLS:\n%s", inside)
	if err := converse(w, session, q.Name); err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "\nBoth sides ended with close_notify. With a real server: tlsup -v %s\n", exampleTarget(q))
	return err
}

// converse says inside the session what there is to say in a protocol, each line or packet
// when the server has answered the one before, and ends it.
func converse(w io.Writer, session *connect.Session, protocol string) error {
	split, end, show := bufio.ScanLines, "\r\n", quote.Escape
	if !negotiate.Find(protocol).Lines {
		split = scanArrived // XML need not end in a line end
	}
	if packets := testserver.PacketsOf(protocol); packets != nil {
		split, end = packets.Split, ""
		show = func(packet string) string { return quote.Escape(packets.Name([]byte(packet))) }
	}
	const quiet = 30 * time.Millisecond // after which an answer is taken for complete
	heard := false
	answers := make(chan string)
	ended := make(chan error, 1)
	go func() {
		scanner := bufio.NewScanner(session)
		scanner.Split(split)
		for scanner.Scan() {
			answers <- scanner.Text()
		}
		close(answers)
		ended <- scanner.Err()
	}()
	listen := func(patience time.Duration) {
		for {
			select {
			case line, ok := <-answers:
				if !ok {
					return
				}
				heard = true
				fmt.Fprintf(w, "  S: %s\n", show(line))
				patience = quiet
			case <-time.After(patience):
				return
			}
		}
	}
	listen(quiet)
	for _, line := range testserver.Talk(protocol) {
		parts := []string{line}
		if end != "" {
			parts = strings.Split(line, end) // a request of several lines
		}
		for _, part := range parts {
			fmt.Fprintf(w, "  C: %s\n", show(part))
		}
		if _, err := io.WriteString(session, line+end); err != nil {
			return err
		}
		listen(time.Second)
	}
	if err := session.CloseWrite(); err != nil {
		return err
	}
	for line := range answers {
		heard = true
		fmt.Fprintf(w, "  S: %s\n", show(line))
	}
	if !heard {
		fmt.Fprintf(w, "  S: (nothing)\n")
	}
	return <-ended
}

// scanArrived is a bufio.SplitFunc for what has come at once, without the line end.
func scanArrived(data []byte, _ bool) (advance int, token []byte, err error) {
	if len(data) == 0 {
		return 0, nil, nil
	}
	return len(data), bytes.TrimRight(data, "\r\n"), nil
}

// openTestSession starts a server for the protocol inside the process and opens a session
// with it, trusting its authority by way of a file, as a user would.
func openTestSession(ctx context.Context, q *negotiate.Protocol, trace func(negotiate.Line)) (*testserver.Server, *connect.Session, error) {
	server, err := testserver.Start(q.Name, nil)
	if err != nil {
		return nil, nil, err
	}
	session, err := openTest(ctx, server, q, trace)
	if err != nil {
		server.Close()
		return nil, nil, err
	}
	return server, session, nil
}

func openTest(ctx context.Context, server *testserver.Server, q *negotiate.Protocol, trace func(negotiate.Line)) (*connect.Session, error) {
	dir, err := os.MkdirTemp("", "tlsup")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	cafile := filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(cafile, server.CA.PEM(), 0o600); err != nil {
		return nil, err
	}
	config, err := trust.Load(trust.Settings{CAFiles: []string{cafile}})
	if err != nil {
		return nil, err
	}
	o := &connect.Options{Network: "tcp", Trust: config, Trace: trace}
	switch q.Names {
	case negotiate.OwnName:
		o.Name = "client.example.org"
	case negotiate.ServiceDomain:
		o.Name = "example.org"
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	return connect.Open(ctx, connect.Target{Protocol: q, Host: "127.0.0.1", Port: server.Addr.Port}, o)
}
