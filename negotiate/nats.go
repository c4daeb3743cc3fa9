package negotiate

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
)

// NATS (NATS documentation, "Client Protocol" and "Enabling TLS"):
//
//	S: INFO {"server_id":"NAKN...","version":"2.9.10","tls_required":true,"max_payload":1048576}
//	   <TLS>
//
// The client says nothing in the clear: INFO is the go-ahead when it has "tls_required", or
// "tls_available" from a server that takes both. Inside TLS the client says CONNECT. "-ERR" in
// place of INFO refuses.
var nats = &Protocol{
	Name:      "nats",
	Family:    Chat,
	Title:     "messages between programs (NATS)",
	Port:      4222,
	Specs:     []string{"NATS Client Protocol"},
	Servers:   []string{"NATS"},
	Lines:     true,
	Greets:    true,
	Recognise: natsInfoLine.Match,
	Upgrade:   upgradeNATS,
	Ends:      natsEnds,
	Remarks: []Remark{
		{"S: INFO", "the go-ahead, if it has tls_required or tls_available: the client asks for nothing"},
	},
	Note: "Inside TLS the server is silent: it has said INFO, and the client begins with CONNECT. " +
		"With tls_verify in INFO the server wants a certificate of the client. " +
		"A server with handshake_first wants TLS from the first byte, on the same port, and says INFO inside it: tls:// with the port is for that. " +
		"A tunnel takes the addresses of the cluster's other servers out of each INFO: a client would go round it.",
}

var _ = register(nats)

// natsInfoLine matches INFO and the brace behind it. Names of operations have no case.
var natsInfoLine = lazy(`^(?i:INFO)[ \t]+\{`)

// natsMaxText is how long a text that a tunnel's client is shown may be, in bytes.
const natsMaxText = 256

// natsInfo is what is understood of INFO. Addresses of other servers are not: a client would
// go round the tunnel.
type natsInfo struct {
	ServerID     string `json:"server_id"`
	ServerName   string `json:"server_name"`
	Version      string `json:"version"`
	Go           string `json:"go"`
	Host         string `json:"host"`
	Port         int    `json:"port"`
	Proto        uint32 `json:"proto"`
	Headers      bool   `json:"headers"`
	MaxPayload   uint64 `json:"max_payload"`
	AuthRequired bool   `json:"auth_required,omitempty"`
	JetStream    bool   `json:"jetstream,omitempty"`
	ClientID     uint64 `json:"client_id,omitempty"`
	Nonce        string `json:"nonce,omitempty"`
	Domain       string `json:"domain,omitempty"`
	TLSRequired  bool   `json:"tls_required,omitempty"`
	TLSAvailable bool   `json:"tls_available,omitempty"`
}

func upgradeNATS(c *Conn, o *Options) error {
	line, err := c.ReadLine()
	if errors.Is(err, os.ErrDeadlineExceeded) && len(c.rest()) == 0 {
		return Hinted(err, "a server that wants TLS from the first byte says nothing: tlsup tls://"+natsAddr(o))
	}
	switch {
	case err != nil:
		return err
	case strings.HasPrefix(line, "-ERR"):
		return Refused(line)
	case !natsInfoLine.get().MatchString(line):
		return Unexpected(line)
	}
	var info natsInfo
	if json.Unmarshal([]byte(line[len("INFO"):]), &info) != nil {
		return Unexpected(line)
	}
	if !info.TLSRequired && !info.TLSAvailable {
		return Hinted(NotOffered("TLS"), "in the server's configuration tls { cert_file, key_file } turns it on")
	}
	c.Greeting = info.greeting(o)
	return nil
}

// natsAddr is the server's address, with its port.
func natsAddr(o *Options) string {
	port := o.Port
	if port == 0 {
		port = 4222
	}
	return net.JoinHostPort(o.Host, strconv.Itoa(port))
}

// greeting is the line that says the same to a tunnel's client, but for TLS.
func (i natsInfo) greeting(o *Options) []byte {
	i.TLSRequired, i.TLSAvailable = false, false
	i.Host, i.Port = greetingHost(o), 4222
	if o.Port != 0 {
		i.Port = o.Port
	}
	for _, text := range []*string{&i.ServerID, &i.ServerName, &i.Version, &i.Go, &i.Nonce, &i.Domain} {
		if len(*text) > natsMaxText || strings.ContainsFunc(*text, func(r rune) bool { return r <= ' ' || r > '~' }) {
			*text = ""
		}
	}
	b, err := json.Marshal(i)
	if err != nil {
		return nil // there is nothing in it that can't be written
	}
	return []byte("INFO " + string(b) + "\r\n")
}

// natsEnds are the two ends of a session in which the client is not led away by the server's INFO.
func natsEnds(_ *Local, client, server net.Conn) (net.Conn, net.Conn) {
	return client, &natsServer{Conn: server}
}

// natsAway are the fields of INFO by which a client would go round the tunnel, or want TLS.
var natsAway = []string{"connect_urls", "ws_connect_urls", "tls_required", "tls_available", "tls_verify"}

// natsServer is the server's end: it takes out of INFO, which comes again when the cluster changes,
// what would lead the client away.
type natsServer struct {
	net.Conn
	payload int64  // bytes of a message that are to come, with its line end
	line    []byte // the beginning of a line
	in, out []byte // what is read into; read and not yet returned
	err     error  // what follows out
}

// Read returns what the server says. Payloads of messages are read straight through.
func (s *natsServer) Read(p []byte) (int, error) {
	for len(s.out) == 0 {
		switch {
		case s.err != nil:
			return 0, s.err
		case s.payload > 0:
			n, err := s.Conn.Read(p[:min(int64(len(p)), s.payload)])
			s.payload -= int64(n)
			return n, err
		case s.in == nil:
			s.in = make([]byte, 16<<10) // a TLS record
		}
		var n int
		n, s.err = s.Conn.Read(s.in)
		var err error
		if s.out, err = s.pass(s.out[:0], s.in[:n]); err != nil {
			s.err = err
		} else if s.err != nil && s.payload == 0 && !bytes.HasPrefix(bytes.ToUpper(s.line), []byte("INFO")) {
			s.out, s.line = append(s.out, s.line...), nil
		}
	}
	n := copy(p, s.out)
	s.out = s.out[n:]
	return n, nil
}

// pass appends to out what the client is shown of data: whole lines, and payloads.
func (s *natsServer) pass(out, data []byte) ([]byte, error) {
	for len(data) > 0 {
		if s.payload > 0 {
			n := min(s.payload, int64(len(data)))
			out, data, s.payload = append(out, data[:n]...), data[n:], s.payload-n
			continue
		}
		n := bytes.IndexByte(data, '\n') + 1
		whole := n > 0
		if !whole {
			n = len(data)
		}
		if len(s.line)+n > MaxBytes {
			return out, fmt.Errorf("%w: a line of over %d bytes", ErrTooLong, MaxBytes)
		}
		s.line, data = append(s.line, data[:n]...), data[n:]
		if !whole {
			continue
		}
		var err error
		if out, err = s.shown(out, s.line); err != nil {
			return out, err
		}
		s.line = s.line[:0]
	}
	return out, nil
}

// shown appends to out what the client is shown of a line.
func (s *natsServer) shown(out, line []byte) ([]byte, error) {
	fields := bytes.Fields(line)
	if len(fields) == 0 {
		return append(out, line...), nil
	}
	switch string(bytes.ToUpper(fields[0])) {
	case "MSG", "HMSG":
		size, err := strconv.ParseUint(string(fields[len(fields)-1]), 10, 48)
		if err != nil || len(fields) < 4 {
			return out, Unexpected(string(line))
		}
		s.payload = int64(size) + int64(len("\r\n"))
	case "INFO":
		var info map[string]json.RawMessage
		if err := json.Unmarshal(bytes.TrimSpace(line)[len("INFO"):], &info); err != nil {
			return out, Unexpected(string(line))
		}
		for name := range info {
			if slices.ContainsFunc(natsAway, func(away string) bool { return strings.EqualFold(name, away) }) {
				delete(info, name)
			}
		}
		b, err := json.Marshal(info)
		if err != nil {
			return out, Unexpected(string(line))
		}
		return append(append(append(out, "INFO "...), b...), "\r\n"...), nil
	}
	return append(out, line...), nil
}

// CloseWrite ends the writing side.
func (s *natsServer) CloseWrite() error { return closeWrite(s.Conn) }
