package negotiate

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"strings"
)

// PostgreSQL, SSLRequest (PostgreSQL's manual, "SSL Session Encryption" in the chapter
// on the frontend/backend protocol):
//
//	C: 00000008 04d2162f    SSLRequest: its length, and a code in place of a version
//	S: 53                   "S"
//	   <TLS>
//
// "N" in place of "S" refuses, and an ErrorResponse, from a server that has no
// resources to spare or is from before 2003:
//
//	S: 45 00000034 53 "FATAL" 00 43 "53300" 00 4d "sorry, too many clients already" 00 00
//	S: 45 "sorry, too many clients already" 0a 00
//
// Inside TLS the client says who it is, with a StartupMessage.
var postgres = &Protocol{
	Name:     "postgres",
	Aliases:  []string{"postgresql"},
	Family:   Database,
	Title:    "PostgreSQL database",
	Port:     5432,
	ALPN:     []string{"postgresql"},
	Specs:    []string{"PostgreSQL manual, SSL Session Encryption"},
	Servers:  []string{"PostgreSQL"},
	Implicit: "postgres-direct",
	Upgrade:  upgradePostgres,
	Lead:     leadPostgres,
	Ends:     postgresEnds,
	Remarks: []Remark{
		{"C: SSLRequest", "00000008 04d2162f: a length, and a code where the version would be"},
		{"S: S", "the go-ahead, one byte; N refuses, an ErrorResponse too"},
	},
	Note: "Inside TLS the server is silent: the client begins with its StartupMessage. " + postgresNote,
}

var postgresDirect = &Protocol{
	Name:    "postgres-direct",
	Aliases: []string{"postgresql-direct"},
	Family:  Database,
	Title:   "PostgreSQL in TLS from the first byte, since version 17",
	Port:    5432,
	ALPN:    []string{"postgresql"},
	Specs:   []string{"PostgreSQL manual, SSL Session Encryption"},
	Sibling: "postgres",
	Lead:    leadPostgres,
	Ends:    postgresEnds,
	Note:    "The server insists on the ALPN protocol. The client begins with its StartupMessage. " + postgresNote,
}

var _ = register(postgres, postgresDirect)

const postgresNote = "What follows are packets, not lines. A tunnel answers its client's own requests for encryption with N, " +
	"and takes SCRAM-SHA-256-PLUS out of the server's offer, which can't be had without TLS in the client."

// Codes that stand where a StartupMessage has its version.
const (
	postgresCancel = 1234<<16 | 5678
	postgresSSL    = 1234<<16 | 5679
	postgresGSS    = 1234<<16 | 5680
)

// postgresMaxError is how long an ErrorResponse may be, in bytes.
const postgresMaxError = 16 << 10

func upgradePostgres(c *Conn, _ *Options) error {
	c.Step(Upgrade)
	if err := c.WritePacket("SSLRequest", postgresStartup(postgresSSL)); err != nil {
		return err
	}
	answer, err := c.ReadByte()
	if err != nil {
		return err
	}
	switch answer {
	case 'S':
		c.Describe("S")
		return nil
	case 'N':
		c.Describe("N")
		return Hinted(Refused("N"), "TLS is off at the server: ssl = on in postgresql.conf turns it on, with ssl_cert_file and ssl_key_file")
	case 'E':
		text, err := readPostgresError(c)
		if err != nil {
			return err
		}
		c.Describe("ErrorResponse: " + text)
		// Who sent it is not known, and people have fallen for such words (CVE-2024-10977).
		return fmt.Errorf("%w, in words that anybody on the way may have written", Refused(text))
	}
	return c.unexpected()
}

// readPostgresError reads an ErrorResponse behind its type.
func readPostgresError(c *Conn) (string, error) {
	if err := c.Count(); err != nil {
		return "", err
	}
	first, err := c.ReadByte()
	if err != nil {
		return "", err
	}
	if first != 0 {
		// Protocol 2 had no length. One of protocol 3 starts with 0, or is far too long.
		return readPostgresText(c, first)
	}
	length := make([]byte, 4) // it counts itself
	if _, err := io.ReadFull(c, length[1:]); err != nil {
		return "", err
	}
	n := binary.BigEndian.Uint32(length)
	switch {
	case n < 4:
		return "", c.unexpected()
	case n > postgresMaxError:
		return "", fmt.Errorf("%w: an ErrorResponse of %d bytes", ErrTooLong, n)
	}
	fields := make([]byte, n-4)
	if _, err := io.ReadFull(c, fields); err != nil {
		return "", err
	}
	text, ok := postgresErrorText(fields)
	if !ok {
		return "", c.unexpected()
	}
	return text, nil
}

// readPostgresText reads the rest of a text that ends in a zero byte.
func readPostgresText(c *Conn, first byte) (string, error) {
	text := []byte{first}
	for len(text) <= postgresMaxError {
		b, err := c.ReadByte()
		if err != nil {
			return "", err
		}
		if b == 0 {
			return strings.TrimRight(string(text), "\n"), nil
		}
		text = append(text, b)
	}
	return "", fmt.Errorf("%w: an ErrorResponse of over %d bytes", ErrTooLong, postgresMaxError)
}

// postgresErrorText puts the fields of an ErrorResponse into words: "FATAL: sorry, too
// many clients already (SQLSTATE 53300)". Each field is a letter and a text that ends in a zero
// byte, behind the last stands another. Without a message it is none.
func postgresErrorText(fields []byte) (text string, ok bool) {
	value := map[byte]string{}
	for {
		field, rest, found := bytes.Cut(fields, []byte{0})
		if !found {
			return "", false
		}
		if len(field) == 0 {
			if len(rest) > 0 {
				return "", false
			}
			break
		}
		value[field[0]], fields = string(field[1:]), rest
	}
	if value['M'] == "" {
		return "", false
	}
	text = value['M']
	if value['S'] != "" {
		text = value['S'] + ": " + text
	}
	if value['C'] != "" {
		text += " (SQLSTATE " + value['C'] + ")"
	}
	return text, true
}

// postgresStartup returns a message of the kind that comes first, without parameters.
func postgresStartup(code uint32) []byte {
	return binary.BigEndian.AppendUint32([]byte{0, 0, 0, 8}, code)
}
