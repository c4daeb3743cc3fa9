package testserver

import (
	"fmt"
	"io"
	"strconv"
	"strings"
)

const icapVersion = "ICAP/1.0"

func icapServers(servers map[string]protocol) {
	inside := protocol{
		session: icapLoop,
		talk: []string{
			"OPTIONS icap://" + Host + "/echo ICAP/1.0\r\nHost: " + Host + "\r\n",
			icapTalkRequest,
		},
	}
	servers["icaps"] = inside
	inside.upgrade = icapLoop
	servers["icap"] = inside
}

// icapTalkRequest has a web page looked at, in the form of RFC 3507, 4.9.3.
const icapTalkRequest = "RESPMOD icap://" + Host + "/echo ICAP/1.0\r\nHost: " + Host + "\r\n" +
	"Encapsulated: res-hdr=0, res-body=45\r\nConnection: close\r\n\r\n" +
	"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n" +
	"5\r\nhello\r\n0\r\n"

// icapLoop answers requests in the clear until one of them upgrades to TLS, and every other
// with 426 (RFC 3507, 4.3.1, and RFC 2817, 4.2); or inside TLS, where it owes an answer first,
// until one of them ends the connection.
func icapLoop(c *conn) error {
	clear := !c.inTLS()
	if !clear && !c.implicit {
		if err := icapOptions(c); err != nil {
			return err
		}
	}
	for {
		method, fields, err := httpRequest(c, icapVersion)
		if err != nil {
			return err
		}
		parts, ok := "", method != "" && fields["host"] != ""
		if ok {
			parts, ok, err = icapContent(c, fields)
		}
		if err != nil {
			return err
		}
		switch {
		case !ok:
			if err := icapAnswer(c, "400 Bad request", "Connection: close"); err != nil {
				return err
			}
			return io.EOF
		case clear && method == "OPTIONS" && httpHas(fields, "connection", "upgrade") && httpHas(fields, "upgrade", "tls/1.0"):
			return c.send("ICAP/1.0 101 Switching Protocols", "Upgrade: TLS/1.0, ICAP/1.0", "Connection: Upgrade", "")
		case clear:
			err = icapAnswer(c, "426 Upgrade Required", "Upgrade: TLS/1.0, ICAP/1.0", "Connection: Upgrade")
		case method == "OPTIONS":
			err = icapOptions(c)
		case method == "RESPMOD":
			err = icapEcho(c, parts)
		case method == "REQMOD":
			err = icapAnswer(c, "405 Method not allowed for service")
		default:
			err = icapAnswer(c, "501 Method not implemented")
		}
		if err != nil || httpHas(fields, "connection", "close") {
			return err
		}
	}
}

// icapOptions answers OPTIONS (RFC 3507, 4.10.2).
func icapOptions(c *conn) error {
	return icapAnswer(c, "200 OK", "Methods: RESPMOD", "Service: echo")
}

// icapAnswer sends an answer without content.
func icapAnswer(c *conn, status string, fields ...string) error {
	lines := append([]string{icapVersion + " " + status}, fields...)
	return c.send(append(lines, `ISTag: "tlsup-1"`, "Encapsulated: null-body=0", "")...)
}

// icapEcho answers RESPMOD with the page as it came.
func icapEcho(c *conn, page string) error {
	header, body, _ := strings.Cut(page, "\r\n\r\n")
	header += "\r\n\r\n"
	text := fmt.Sprintf("%s 200 OK\r\nISTag: \"tlsup-1\"\r\nEncapsulated: res-hdr=0, res-body=%d\r\n\r\n%s", icapVersion, len(header), header)
	if body != "" {
		text += fmt.Sprintf("%x\r\n%s\r\n", len(body), body)
	}
	_, err := io.WriteString(c.Conn, text+"0\r\n\r\n")
	return err
}

// icapMax is how long the content of a request may be, in bytes.
const icapMax = 4096

// icapContent reads the content of a request (RFC 3507, 4.4): the headers of pages, which end
// where the part begins that Encapsulated names last, and the body in chunks, if that part is
// one. Anything that does not fit has no content to it, and is not ok.
func icapContent(c *conn, fields map[string]string) (content string, ok bool, err error) {
	if fields["encapsulated"] == "" {
		return "", true, nil
	}
	parts := strings.Split(fields["encapsulated"], ", ")
	name, number, _ := strings.Cut(parts[len(parts)-1], "=")
	length, err := strconv.ParseUint(number, 10, 16)
	if err != nil || length > icapMax || !strings.HasSuffix(name, "-body") {
		return "", false, nil
	}
	header := make([]byte, length)
	if _, err := io.ReadFull(c.r, header); err != nil {
		return "", false, err
	}
	content = string(header)
	for name != "null-body" && len(content) <= icapMax {
		line, err := c.readLine()
		if err != nil {
			return "", false, err
		}
		size, err := strconv.ParseUint(line, 16, 16)
		if err != nil {
			return "", false, nil
		}
		chunk := make([]byte, size+2) // with its line end
		if _, err := io.ReadFull(c.r, chunk); err != nil {
			return "", false, err
		}
		if content += string(chunk[:size]); size == 0 {
			break
		}
	}
	return content, len(content) <= icapMax, nil
}
