package realserver

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"io"
	"os/exec"
	"testing"

	"tlsup/internal/testserver"
)

// TestRawPackets leads another program's TLS through the pipe to where it is carried in packets: the
// server is the one inside the process, since SQL Server can't be installed like the others.
func TestRawPackets(t *testing.T) {
	t.Parallel()
	s, err := testserver.Start("mssql", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	path, err := build()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), path, "--raw", "--timeout", limit.String(), "mssql://"+s.Addr.String())
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	conn := tls.Client(processConn{Reader: stdout, WriteCloser: stdin}, &tls.Config{ServerName: "127.0.0.1", RootCAs: s.CA.Pool()})
	for _, packet := range testserver.Talk("mssql") {
		if _, err := io.WriteString(conn, packet); err != nil {
			t.Fatal(err, stderr.String())
		}
		header := make([]byte, 8)
		if _, err := io.ReadFull(conn, header); err != nil {
			t.Fatal(err, stderr.String())
		}
		if _, err := io.CopyN(io.Discard, conn, int64(binary.BigEndian.Uint16(header[2:]))-8); err != nil {
			t.Fatal(err, stderr.String())
		}
	}
	if rest, err := io.ReadAll(conn); len(rest) > 0 || err != nil {
		t.Errorf("%q, %v", rest, err)
	}
	conn.Close()
	if err := cmd.Wait(); err != nil {
		t.Error(err, stderr.String())
	}
}
