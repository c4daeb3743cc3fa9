package negotiate

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// ftpAddressed is a scripted connection on loopback, whose end can be told.
type ftpAddressed struct{ scripted }

func (*ftpAddressed) LocalAddr() net.Addr {
	return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 2021}
}
func (*ftpAddressed) RemoteAddr() net.Addr {
	return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 4000}
}
func (*ftpAddressed) CloseWrite() error { return nil }

// ftpEnds are the ends of a control connection on which client and server have said all that they
// will. Data ports close as soon as they are open.
func ftpEnds(client, server string) (*ftpAddressed, ftpClientEnd, ftpServerEnd) {
	from, to := &ftpAddressed{scripted{said: []byte(client)}}, &ftpAddressed{scripted{said: []byte(server)}}
	l := &Local{
		Conn:   from,
		Dial:   func(context.Context, int) (net.Conn, error) { return nil, io.EOF },
		Secure: func(context.Context, net.Conn) (net.Conn, error) { return nil, io.EOF },
		Go: func(run func(context.Context) error) {
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			run(ctx)
		},
	}
	c, s := endsFTP(l, from, to)
	return from, c.(ftpClientEnd), s.(ftpServerEnd)
}

// readEnd reads an end, in small pieces, to its error.
func readEnd(r io.Reader) (string, error) {
	var all []byte
	for b := make([]byte, 5); ; {
		n, err := r.Read(b)
		all = append(all, b[:n]...)
		if err != nil {
			return string(all), err
		}
	}
}

// ftpPassed matches what may reach a server. Only the tunnel's own port is named in it.
var ftpPassed = regexp.MustCompile(`\A(?:PORT 127,0,0,1,\d+,\d+|[A-Z]+(?: .*)?)\z`)

func FuzzFTPCommands(f *testing.F) {
	for _, said := range []string{
		"USER me\r\nPASS it\nPWD\r\nQUIT\r\n", "AUTH TLS\r\nprot c\r\nCcC\r\n", "PORT 127,0,0,1,4,5\r\nPORT 10,0,0,1,4,5\r\n",
		"EPRT |1|127.0.0.1|2000|\r\nEPRT |2|::1|2000|\r\n", "PASV\r\nEPSV\r\nEPSV ALL\r\nEPSV 1\r\n", "\xff\xf4\xff\xf2ABOR\r\n",
		"RETR a\rPROT C\r\n", "STOR a\r\x00b\r\n", " PROT C\r\n", "\tPORT 1,2\r\n", "PORT\t127,0,0,1,4,5\r\n", "RETR cut", "\x16\x03\x01", "\r\n",
	} {
		f.Add(said)
	}
	f.Fuzz(func(t *testing.T, said string) {
		client, from, _ := ftpEnds(said, "")
		from.finish() // nothing waits for a reply
		passed, err := readEnd(from)
		if err == nil {
			t.Fatal("no end")
		}
		lines := strings.Split(passed, "\r\n")
		for _, line := range lines[:len(lines)-1] {
			verb, argument, _ := strings.Cut(line, " ")
			bare := strings.Contains(strings.ReplaceAll(argument, "\r\x00", ""), "\r")
			if !ftpPassed.MatchString(strings.ReplaceAll(line, "\n", "\x00\x00")) || bare || slices.Contains(ftpSecurity, verb) || slices.Contains(ftpPast, verb) || verb == "EPRT" {
				t.Errorf("%q reaches the server", line)
			}
			if verb == "PORT" && !strings.HasPrefix(argument, "127,0,0,1,") {
				t.Errorf("%q is another's address", line)
			}
		}
		if lines[len(lines)-1] != "" {
			t.Errorf("%q is not a whole line", passed)
		}
		if answers := bytes.Count(client.sent, []byte("\r\n")); err == io.EOF && answers+len(lines)-1 != strings.Count(said, "\n") {
			t.Errorf("%q: %q is passed on, %q is answered", said, passed, client.sent)
		}
	})
}

func FuzzFTPReplies(f *testing.F) {
	for _, said := range []string{
		"211-Features\r\n AUTH TLS\r\n PROT\r\n MLST\r\n211 End\r\n227 Entering (10,0,0,1,4,5)\r\n229 x (|||99|)\r\n150 x\r\n226 x\r\n",
		"211 none\r\n227 =1,2,3,4,5,6\r\n229 (!!!9!)\r\n425 no\r\n230-welcome\r\n227 is text\r\n230 you\r\n200 PBSZ\r\n200 PROT\r\n",
		"502 no\r\n502 no\r\n502 no\r\n550 no\r\n230 in\r\n200 x\r\n536 never\r\n", "227 x\r\n", "421 bye\r\n", "no reply\r\n", "227-x\r\n227 1,2,3,4,5,6\r\n",
		"211-x\r\n212 x\r\n211\r\n227-(1,2,3,4,5,6)\r\n229 \r\n227 \r\n", strings.Repeat("x", 2*maxFTPLine),
	} {
		f.Add(said)
	}
	f.Fuzz(func(t *testing.T, said string) {
		_, _, from := ftpEnds("", said)
		from.late = true
		for _, verb := range []string{"FEAT", "PASV", "EPSV", "RETR", "PASS", "PASV", "PASV", "NOOP"} {
			from.owed = append(from.owed, ftpCommand{verb: verb, want: ftpOpens(verb)})
		}
		shown, err := readEnd(from)
		if err == nil {
			t.Fatal("no end")
		}
		code := ""
		for line := range strings.SplitSeq(strings.TrimSuffix(shown, "\r\n"), "\r\n") {
			if code != "" {
				if line == code || strings.HasPrefix(line, code+" ") {
					code = ""
				}
				continue
			}
			more, ok := ftpReplyStart(line)
			if ok && more {
				code = line[:3]
			}
			if ok && line[:2] == "22" && line[2] >= '7' && !ftpOwnPort.MatchString(line) {
				t.Errorf("%q: the client is told %q", said, line)
			}
		}
	})
}

// ftpOwnPort matches the tunnel's own answers to PASV and EPSV.
var ftpOwnPort = regexp.MustCompile(`\A(?:227 Entering Passive Mode \(127,0,0,1,\d+,\d+\)|229 Entering Extended Passive Mode \(\|\|\|\d+\|\))\z`)

// TestFTPLines bounds what each side may say in a line.
func TestFTPLines(t *testing.T) {
	long := strings.Repeat("x", 2*maxFTPLine)
	_, client, server := ftpEnds(long, long)
	client.finish()
	if _, err := readEnd(client); err == nil || err.Error() != "the local client sent too much" {
		t.Error(err)
	}
	if _, err := readEnd(server); err != ErrTooLong {
		t.Error(err)
	}
	r := bufio.NewReader(strings.NewReader("one\r\ntwo\ncut"))
	for _, want := range []string{"one", "two", ""} {
		if line, err := readFTPLine(r); line != want || (err == nil) != (want != "") {
			t.Errorf("%q, %v, want %q", line, err, want)
		}
	}
}

func TestParseFTPPort(t *testing.T) {
	for argument, want := range map[string]string{
		"PORT 127,0,0,1,4,5":               "127.0.0.1:1029",
		"PORT 127,0,0,1,0,0":               ftpSyntax,
		"PORT 127,0,0,1,4":                 ftpSyntax,
		"PORT 127,0,0,1,4,5,6":             ftpSyntax,
		"PORT 127,0,0,256,4,5":             ftpSyntax,
		"PORT ":                            ftpSyntax,
		"EPRT |1|192.0.2.1|2000|":          "192.0.2.1:2000",
		"EPRT !2!2001:db8::1!2000!":        "[2001:db8::1]:2000",
		"EPRT |2|::ffff:192.0.2.1|2000|":   "192.0.2.1:2000",
		"EPRT |1|2001:db8::1|2000|":        ftpSyntax,
		"EPRT |2|192.0.2.1|2000|":          ftpSyntax,
		"EPRT |2|fe80::1%eth0|2000|":       ftpSyntax,
		"EPRT |1|192.0.2.1|0|":             ftpSyntax,
		"EPRT |1|192.0.2.1|65536|":         ftpSyntax,
		"EPRT |1|192.0.2.1|2000":           ftpSyntax,
		"EPRT |3|192.0.2.1|2000|":          ftpNoFamily,
		"EPRT ":                            ftpSyntax,
		"EPRT |":                           ftpSyntax,
		"EPRT |1|ftp.example.org|2000|":    ftpSyntax,
		"PORT 127, 0, 0, 1, 4, 5":          ftpSyntax,
		"PORT 99999999999999999,0,0,1,4,5": ftpSyntax,
	} {
		verb, argument, _ := strings.Cut(argument, " ")
		port, answer := parseFTPPort(verb, argument)
		if answer == "" {
			answer = port.String()
		}
		if answer != want {
			t.Errorf("%s %s: %s, want %s", verb, argument, answer, want)
		}
	}
	if got := commas(netip.MustParseAddrPort("192.0.2.1:1029")); got != "192,0,2,1,4,5" {
		t.Error(got)
	}
}

func TestParseFTPPassive(t *testing.T) {
	for line, want := range map[string]int{
		"227 Entering Passive Mode (127,0,0,1,4,5).": 1029,
		"227 Entering Passive Mode 127,0,0,1,4,5":    1029,
		"227 =10,0,0,1,0,21":                         21,
		"227 (127,0,0,1,4,300)":                      0,
		"227 (127,0,0,1,0,0)":                        0,
		"227 later":                                  0,
		"227":                                        0,
		"229 Entering (|||6446|)":                    6446,
		"229 (!!!6446!)":                             6446,
		"229 (|1|192.0.2.1|6446|)":                   6446,
		"229 (|||6446|":                              0,
		"229 (|||65536|)":                            0,
		"229 (6446)":                                 0,
		"229 ()":                                     0,
	} {
		if got := parseFTPPassive(line[:3], line); got != want {
			t.Errorf("%s: %d, want %d", line, got, want)
		}
	}
}
