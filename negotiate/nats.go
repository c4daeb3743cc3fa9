package negotiate

import (
	"encoding/json"
	"errors"
	"net"
	"os"
	"regexp"
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
var _ = register(&Protocol{
	Name:      "nats",
	Family:    Chat,
	Title:     "messages between programs (NATS)",
	Port:      4222,
	Specs:     []string{"NATS Client Protocol"},
	Lines:     true,
	Greets:    true,
	Recognise: natsInfoLine.Match,
	Upgrade:   upgradeNATS,
	Remarks: []Remark{
		{"S: INFO", "the go-ahead, if it has tls_required or tls_available: the client asks for nothing"},
	},
	Note: "Inside TLS the server is silent: it has said INFO, and the client begins with CONNECT. " +
		"With tls_verify in INFO the server wants a certificate of the client. " +
		"A server with handshake_first wants TLS from the first byte, on the same port, and says INFO inside it: tls:// with the port is for that.",
})

// natsInfoLine matches INFO and the brace behind it. Names of operations have no case.
var natsInfoLine = regexp.MustCompile(`^(?i:INFO)[ \t]+\{`)

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
	case !natsInfoLine.MatchString(line):
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
