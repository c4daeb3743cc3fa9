package testserver

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strings"
)

func doveadmServers(servers map[string]protocol) {
	servers["doveadm"] = protocol{
		upgrade: doveadmClear,
		session: doveadmInside,
		talk: []string{
			"PLAIN\t" + base64.StdEncoding.EncodeToString([]byte("\x00doveadm\x00"+Password)) + "\n",
			"\t" + User + "\tmailbox list\n",
			"\tnobody\tmailbox list\n",
		},
		packets: &Packets{Split: doveadmSplit, Name: doveadmName},
	}
}

// doveadmClear exchanges versions and waits for STARTTLS, which is not answered (Dovecot's
// src/doveadm/client-connection-tcp.c).
func doveadmClear(c *conn) error {
	line, err := c.readLine()
	if err != nil {
		return err
	}
	if !strings.HasPrefix(line, "VERSION\tdoveadm-server\t1\t") {
		return io.EOF
	}
	if _, err := io.WriteString(c.Conn, "VERSION\tdoveadm-client\t1\t2\n-\n"); err != nil {
		return err
	}
	if line, err = c.readLine(); err != nil {
		return err
	}
	if line != "STARTTLS" {
		io.WriteString(c.Conn, "-\n")
		return io.EOF
	}
	// The handshake may have come with it.
	early, err := c.r.Peek(c.r.Buffered())
	if err != nil {
		return err
	}
	c.Conn = &earlyConn{c.Conn, bytes.NewReader(bytes.Clone(early))}
	c.r.Reset(c.Conn)
	return nil
}

// An earlyConn is a connection of which something has been read too early.
type earlyConn struct {
	net.Conn
	early *bytes.Reader
}

func (c *earlyConn) Read(p []byte) (int, error) {
	if c.early.Len() > 0 {
		return c.early.Read(p)
	}
	return c.Conn.Read(p)
}

// doveadmInside lets the administrator in and answers commands inside TLS until the client ends.
// There is one user, with one mailbox.
func doveadmInside(c *conn) error {
	line, err := c.readLine()
	if err != nil {
		return err
	}
	message, _ := strings.CutPrefix(line, "PLAIN\t")
	if plain, err := base64.StdEncoding.DecodeString(message); err != nil || string(plain) != "\x00doveadm\x00"+Password {
		_, err = io.WriteString(c.Conn, "-\n")
		return err
	}
	if _, err := io.WriteString(c.Conn, "+\n"); err != nil {
		return err
	}
	for {
		line, err := c.readLine()
		if err != nil {
			return err
		}
		words := strings.Split(line, "\t")
		answer := "\n-USAGE\n"
		switch {
		case len(words) < 3:
			return nil
		case words[2] == "mailbox list" && words[1] == User:
			answer = "INBOX\t\n+\n"
		case words[2] == "mailbox list":
			answer = "\n-NOUSER\n"
		}
		if _, err := io.WriteString(c.Conn, doveadmPacket(answer)); err != nil {
			return err
		}
	}
}

// doveadmPacket is text on the channel for results.
func doveadmPacket(text string) string {
	return string(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(text)))) + text
}

// doveadmSplit cuts lines up to the login, and packets behind it.
func doveadmSplit(data []byte, atEOF bool) (int, []byte, error) {
	n := 5
	switch {
	case len(data) > 0 && data[0] >= ' ':
		n = max(bytes.IndexByte(data, '\n')+1, 2)
	case len(data) >= n:
		n += int(binary.BigEndian.Uint32(data[1:]))
	}
	return cutPacket(data, n, atEOF)
}

// doveadmName shows what either side says.
func doveadmName(p []byte) string {
	if len(p) >= 5 && p[0] < '\t' {
		return fmt.Sprintf("channel %d: %s", p[0], p[5:])
	}
	return strings.TrimRight(string(p), "\n")
}
