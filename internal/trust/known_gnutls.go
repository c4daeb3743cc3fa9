package trust

import (
	"bufio"
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

// inGnutls looks for a server in GnuTLS's own file of known hosts, which has a line for each key:
//
//	|g0|HOST|SERVICE|EXPIRES|KEY
//
// SERVICE is a port or its name, EXPIRES is Unix time or 0 for never, and KEY a SubjectPublicKeyInfo in
// base64. HOST and SERVICE may be *. A server may have several keys.
func (k *known) inGnutls(server Server, leaf *x509.Certificate) (known, changed bool) {
	data, err := os.ReadFile(k.gnutls)
	host, port, splitErr := net.SplitHostPort(server.Address)
	if k.gnutls == "" || err != nil || splitErr != nil {
		return false, false
	}
	own := base64.StdEncoding.EncodeToString(leaf.RawSubjectPublicKeyInfo)
	lines := bufio.NewScanner(bytes.NewReader(data))
	for lines.Scan() {
		fields := strings.Split(lines.Text(), "|")
		if len(fields) < 6 || fields[0] != "" || fields[1] != "g0" {
			continue
		}
		expires, err := strconv.ParseInt(fields[4], 10, 64)
		switch {
		case fields[2] != "*" && !strings.EqualFold(fields[2], host), fields[3] != "*" && !isPort(fields[3], port):
		case err != nil || expires > 0 && time.Now().After(time.Unix(expires, 0)):
		case strings.TrimSpace(fields[5]) == own:
			return true, false
		default:
			changed = true
		}
	}
	return false, changed
}

// isPort reports whether a service is the one at a port.
func isPort(service, port string) bool {
	if service == port {
		return true
	}
	n, err := net.LookupPort("tcp", service)
	return err == nil && strconv.Itoa(n) == port
}
