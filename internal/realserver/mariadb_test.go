package realserver

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha1"
	"crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"tlsup/negotiate"
)

// mysqlPacket is a packet with its header.
func mysqlPacket(sequence byte, payload string) string {
	return string([]byte{byte(len(payload)), byte(len(payload) >> 8), byte(len(payload) >> 16), sequence}) + payload
}

// mysqlLogin is what a client says first inside TLS, with the capabilities that SSLRequest had.
func mysqlLogin(capabilities uint32, password, scramble []byte) string {
	p := binary.LittleEndian.AppendUint32(nil, capabilities)
	p = binary.LittleEndian.AppendUint32(p, 1<<24)
	p = append(p, 45)
	p = append(p, make([]byte, 23)...)
	p = append(p, User+"\x00"...)
	// mysql_native_password: SHA1(password) xor SHA1(scramble, SHA1(SHA1(password))).
	once := sha1.Sum(password)
	twice := sha1.Sum(once[:])
	mixed := sha1.Sum(append(bytes.Clone(scramble), twice[:]...))
	for i := range mixed {
		mixed[i] ^= once[i]
	}
	p = append(append(p, byte(len(mixed))), mixed[:]...)
	return mysqlPacket(2, string(p)+"mysql_native_password\x00")
}

// hearMySQL reads a packet.
func hearMySQL(t *testing.T, r io.Reader) (sequence byte, payload string) {
	t.Helper()
	var header [4]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		t.Fatal(err)
	}
	p := make([]byte, int(header[0])|int(header[1])<<8|int(header[2])<<16)
	if _, err := io.ReadFull(r, p); err != nil {
		t.Fatal(err)
	}
	t.Logf("S: %d %q", header[3], p)
	return header[3], string(p)
}

// mysqlQuery asks the server what it knows of the connection's encryption.
const mysqlQuery = "\x03SHOW STATUS LIKE 'Ssl_version'"

// traced finds what a login needs in the trace of an upgrade.
var traced = regexp.MustCompile(`(?s)scramble ([0-9a-f]+), mysql_native_password.*SSLRequest: capabilities ([0-9a-f]{8})`)

// loginOf makes a login packet of the trace of an upgrade.
func loginOf(t *testing.T, trace string) string {
	t.Helper()
	found := traced.FindStringSubmatch(trace)
	if found == nil {
		t.Fatalf("no scramble and no capabilities in\n%s", trace)
	}
	scramble, err := hex.DecodeString(found[1])
	if err != nil {
		t.Fatal(err)
	}
	capabilities, err := hex.DecodeString(found[2])
	if err != nil {
		t.Fatal(err)
	}
	return mysqlLogin(binary.BigEndian.Uint32(capabilities), []byte(Password), scramble)
}

func TestMariaDB(t *testing.T) {
	t.Parallel()
	s := MariaDB(t)
	t.Run("session", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		defer cancel()
		var trace strings.Builder
		up, err := negotiate.Client(ctx, dial(t, s, "mysql"), find(t, "mysql"), &negotiate.Options{
			Host: Host, Trace: func(l negotiate.Line) { fmt.Fprintln(&trace, l) },
		})
		if err != nil {
			t.Fatal(err)
		}
		conn := tls.Client(up, &tls.Config{ServerName: up.ServerName, RootCAs: s.CA.Pool()})
		if err := conn.HandshakeContext(ctx); err != nil {
			t.Fatal(err)
		}
		say := func(packet string) {
			if _, err := io.WriteString(conn, packet); err != nil {
				t.Fatal(err)
			}
		}
		say(loginOf(t, trace.String()))
		if sequence, answer := hearMySQL(t, conn); sequence != 3 || answer[0] != 0 {
			t.Fatalf("packet %d in place of OK: %q", sequence, answer)
		}
		say(mysqlPacket(0, mysqlQuery))
		var rows string
		for ends := 0; ends < 2; {
			_, answer := hearMySQL(t, conn)
			if rows += answer; answer[0] == 0xfe {
				ends++
			}
		}
		if !strings.HasSuffix(strings.Split(rows, "\xfe")[1], "\x0bSsl_version\x07TLSv1.3") {
			t.Errorf("the server says that the connection is %q", rows)
		}
		say(mysqlPacket(0, "\x01"))
		if rest, err := io.ReadAll(conn); len(rest) > 0 || err != nil {
			t.Errorf("at the end came %q, %v", rest, err)
		}
	})
	t.Run("program", func(t *testing.T) { testMariaDBProgram(t, s) })
}

// testMariaDBProgram leads a session through the program, whose -v shows what a login needs.
func testMariaDBProgram(t *testing.T, s *Server) {
	binary, err := build()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, "-v", "--x509cafile", s.CAFile(), s.target("mysql"))
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stdout bytes.Buffer
	cmd.Stdout = &stdout
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var trace strings.Builder
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		fmt.Fprintln(&trace, lines.Text())
		if strings.Contains(lines.Text(), "SSLRequest") {
			break
		}
	}
	go io.Copy(io.Discard, stderr)
	// No COM_QUIT, behind which the server would close without close_notify.
	if _, err := io.WriteString(stdin, loginOf(t, trace.String())+mysqlPacket(0, mysqlQuery)); err != nil {
		t.Fatal(err)
	}
	stdin.Close()
	if err := cmd.Wait(); err != nil || !strings.Contains(stdout.String(), "TLSv1.3") {
		t.Errorf("%v, stdout %q", err, stdout.String())
	}

	tlsup(t, "", s.target("mysql")).must(t, 6, "", s.Addr("mysql")+": verify: ", "throwaway authority")
	tlsup(t, "", "tls://"+s.Addr("mysql")).must(t, 5, "", s.Addr("mysql")+": handshake: server answers in the clear: ", "that looks like mysql: tlsup mysql://")
}

func TestMariaDBWithoutTLS(t *testing.T) {
	t.Parallel()
	s := MariaDB(t, MariaDBNoTLS)
	mustRefuse(t, s, "mysql", Host, negotiate.ErrNotOffered, negotiate.Capabilities)
	tlsup(t, "", s.target("mysql")).must(t, 4, "", s.Addr("mysql")+": capabilities: server does not offer TLS (CLIENT_SSL)", "hint: ", "ssl_cert")
}

// TestMariaDBRefusals: an error comes in place of the server's first packet.
func TestMariaDBRefusals(t *testing.T) {
	t.Parallel()
	t.Run("host not allowed", func(t *testing.T) {
		s := MariaDB(t, MariaDBNoAccount)
		mustRefuse(t, s, "mysql", Host, negotiate.ErrRefused, negotiate.Greeting)
		tlsup(t, "", s.target("mysql")).must(t, 4, "", s.Addr("mysql")+`: greeting: server refuses: "1130 ER_HOST_NOT_PRIVILEGED: Host '127.0.0.1' is not allowed`, "hint: ")
	})
	t.Run("too many connections", func(t *testing.T) {
		s := MariaDB(t, "max_connections = 10") // the server takes no less, and lets one more in
		for range 20 {
			conn := dial(t, s, "mysql")
			if _, greeting := hearMySQL(t, conn); greeting[0] == 0xff {
				break
			}
		}
		mustRefuse(t, s, "mysql", Host, negotiate.ErrRefused, negotiate.Greeting)
		tlsup(t, "", s.target("mysql")).must(t, 4, "", s.Addr("mysql")+`: greeting: server refuses: "1040 ER_CON_COUNT_ERROR: Too many connections"`, "hint: ")
	})
}
