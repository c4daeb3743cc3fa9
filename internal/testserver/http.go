package testserver

import (
	"fmt"
	"io"
	"strings"
)

func httpServers(servers map[string]protocol) {
	for _, name := range []string{"http", "ipp"} {
		inside := protocol{
			session: httpLoop,
			talk:    []string{"GET / HTTP/1.1\r\nHost: example.org\r\nConnection: close\r\n"},
		}
		servers[name+"s"] = inside
		inside.upgrade = httpLoop
		servers[name] = inside
	}
}

// httpLoop answers requests in the clear until one of them upgrades to TLS, and every
// other with 426 (RFC 2817, 4.2); or inside TLS, where it owes an answer first, until one
// of them ends the connection.
func httpLoop(c *conn) error {
	clear := !c.inTLS()
	if !clear && !c.implicit {
		if err := httpAnswer(c, "200 OK", "", "Allow: GET, HEAD, OPTIONS"); err != nil {
			return err
		}
	}
	for {
		method, fields, err := httpRequest(c, "HTTP/1.1")
		if err != nil {
			return err
		}
		switch {
		case method == "" || fields["host"] == "":
			if err := httpAnswer(c, "400 Bad Request", "no request\r\n", "Connection: close"); err != nil {
				return err
			}
			return io.EOF
		case clear && method == "OPTIONS" && httpHas(fields, "connection", "upgrade") && httpHas(fields, "upgrade", "tls/1.0"):
			return c.send("HTTP/1.1 101 Switching Protocols", "Upgrade: TLS/1.0, HTTP/1.1", "Connection: Upgrade", "")
		case clear:
			err = httpAnswer(c, "426 Upgrade Required", "TLS is wanted\r\n", "Upgrade: TLS/1.0, HTTP/1.1", "Connection: Upgrade")
		case method == "GET":
			err = httpAnswer(c, "200 OK", "hello\r\n")
		case method == "HEAD":
			err = c.send("HTTP/1.1 200 OK", "Content-Length: 7", "")
		case method == "OPTIONS":
			err = httpAnswer(c, "200 OK", "", "Allow: GET, HEAD, OPTIONS")
		default:
			err = httpAnswer(c, "405 Method Not Allowed", "no\r\n", "Allow: GET, HEAD, OPTIONS")
		}
		if err != nil || httpHas(fields, "connection", "close") {
			return err
		}
	}
}

// httpRequest reads a request of that version up to the end of its fields, the names in lower
// case. The method is empty for something else than a request.
func httpRequest(c *conn, version string) (method string, fields map[string]string, err error) {
	line, err := c.readLine()
	if err != nil {
		return "", nil, err
	}
	words := strings.Split(line, " ")
	if len(words) == 3 && words[2] == version {
		method = words[0]
	}
	fields = make(map[string]string)
	for range 100 {
		if line, err = c.readLine(); err != nil || line == "" {
			return method, fields, err
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			method = ""
		}
		fields[strings.ToLower(name)] = strings.TrimSpace(value)
	}
	return "", fields, nil
}

// httpHas reports whether a field that is a list has an element.
func httpHas(fields map[string]string, name, element string) bool {
	for e := range strings.SplitSeq(fields[name], ",") {
		if strings.EqualFold(strings.TrimSpace(e), element) {
			return true
		}
	}
	return false
}

func httpAnswer(c *conn, status, content string, fields ...string) error {
	lines := append([]string{"HTTP/1.1 " + status}, fields...)
	lines = append(lines, fmt.Sprintf("Content-Length: %d", len(content)), "", content)
	_, err := io.WriteString(c.Conn, strings.Join(lines, "\r\n"))
	return err
}
