package realserver

import "testing"

// TestCUPSClient asks for a page without TLS, through the tunnel.
func TestCUPSClient(t *testing.T) {
	t.Parallel()
	s := CUPS(t)
	tu := tunnelTo(t, s, "ipp", "0")
	client(t, nil, "", "", "curl", "--silent", "--show-error", "--include", "http://"+tu.addr+"/").must(t, 0, "HTTP/1.1 ")
	tu.await("closed", 1)
}
