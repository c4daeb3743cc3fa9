package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"tlsup/internal/connect"
	"tlsup/internal/gnutls"
	"tlsup/internal/quote"
	"tlsup/internal/trust"
	"tlsup/negotiate"
)

// A ucspi is a command that is offered UCSPI-TLS: its standard input and output are the session in the
// clear until it writes y or Y to the descriptor SSLCTLFD; from then on SSLREADFD and SSLWRITEFD are the
// session inside TLS, about which it is told on SSLCTLFD if it was Y.
//
// What the command has written by then is sent in the clear, and nothing that it writes later. What the
// server has sent in the clear and the command has not read by then ends the run.
type ucspi struct {
	control *os.File // our end of SSLCTLFD

	theirs []*os.File // the command's ends, until it has started
	unread *os.File   // the command's standard input, as it has it

	clearIn, tlsIn   *os.File    // what the command writes
	clearOut, tlsOut *os.File    // what it reads
	inside           atomic.Bool // it reads tlsOut

	asked   chan struct{} // closed when watch knows what the command asks for
	command byte          // y or Y; 0: nothing
	wrong   func(error)   // told of something else that it asks for

	draining bool          // what is left of clearIn is read
	drained  chan struct{} // closed when nothing is left, which is the order to start TLS
	begun    chan struct{} // closed when TLS has begun
	late     atomic.Bool   // it has begun by another order, on the standard streams
}

// ucspiWait is how long a command may take to read about the session.
const ucspiWait = 5 * time.Second

// offerUCSPI prepares a command that is to be started, which then has its standard streams, too. It
// returns nil where programs are not handed descriptors.
func offerUCSPI(command *exec.Cmd) (*ucspi, error) {
	if !handsDescriptors {
		return nil, nil
	}
	u := &ucspi{asked: make(chan struct{}), drained: make(chan struct{}), begun: make(chan struct{})}
	var control, clearWrite, tlsRead, tlsWrite *os.File
	err := errors.Join(
		socketPair(&u.control, &control),
		filePipe(&u.unread, &u.clearOut), filePipe(&u.clearIn, &clearWrite),
		filePipe(&tlsRead, &u.tlsOut), filePipe(&u.tlsIn, &tlsWrite),
	)
	u.theirs = []*os.File{control, tlsRead, tlsWrite, clearWrite}
	if err != nil {
		u.started()
		u.abandon()
		return nil, err
	}
	command.Stdin, command.Stdout, command.ExtraFiles = u.unread, clearWrite, u.theirs[:3]
	for i, name := range []string{"SSLCTLFD", "SSLREADFD", "SSLWRITEFD"} {
		command.Env = append(slices.Clip(command.Env), name+"="+strconv.Itoa(3+i)) // as os/exec numbers them
	}
	return u, nil
}

func filePipe(r, w **os.File) (err error) {
	*r, *w, err = os.Pipe()
	return err
}

// started closes the command's ends, once it has them, or will not.
func (u *ucspi) started() {
	for _, file := range u.theirs {
		file.Close()
	}
}

// watch waits for the command to ask for TLS.
func (u *ucspi) watch() {
	defer close(u.asked)
	b := make([]byte, 1)
	if n, _ := u.control.Read(b); n == 1 {
		u.note(b[0])
	}
}

// note notes what the command has asked for.
func (u *ucspi) note(command byte) {
	if command != 'y' && command != 'Y' {
		u.wrong(fmt.Errorf("the command asks for %s on SSLCTLFD, which is neither y nor Y", quote.Short(string(rune(command)))))
		return
	}
	u.command = command
	u.clearIn.SetReadDeadline(time.Unix(1, 0)) // wakes readClear
}

// wanted reports whether the command has asked for TLS by now. One that closes its standard output has
// done so before, and without it that would be an order of its own.
func (u *ucspi) wanted() bool {
	u.control.SetReadDeadline(time.Unix(1, 0)) // wakes watch
	<-u.asked
	u.control.SetReadDeadline(time.Time{})
	if b := make([]byte, 1); u.command == 0 && readNow(u.control, b) == 1 {
		u.note(b[0])
	}
	return u.command != 0
}

// Read reads what the command writes: in the clear, then inside TLS.
func (u *ucspi) Read(p []byte) (int, error) {
	if !u.draining {
		if n, err := u.readClear(p); !u.draining {
			return n, err
		}
		u.clearIn.SetReadDeadline(time.Time{})
	}
	if !u.ordered() {
		if n := readNow(u.clearIn, p); n > 0 {
			return n, nil
		}
		close(u.drained)
		<-u.begun // nothing more is sent in the clear
	}
	if u.late.Load() {
		return 0, io.EOF
	}
	return u.tlsIn.Read(p)
}

// readClear reads until the command has asked for TLS.
func (u *ucspi) readClear(p []byte) (int, error) {
	for {
		n, err := u.clearIn.Read(p)
		woken := errors.Is(err, os.ErrDeadlineExceeded)
		switch {
		case woken && u.late.Load():
			u.clearIn.SetReadDeadline(time.Time{})
			continue
		case woken, err == io.EOF && !u.late.Load():
			u.draining = u.wanted()
		}
		return n, err
	}
}

// Write writes what the command reads.
func (u *ucspi) Write(p []byte) (int, error) {
	if u.inside.Load() {
		return u.tlsOut.Write(p)
	}
	return u.clearOut.Write(p)
}

// order returns a channel that is closed at the first order to start TLS: other, or the command's.
func (u *ucspi) order(other <-chan struct{}) <-chan struct{} {
	start := make(chan struct{})
	go func() {
		select {
		case <-other:
		case <-u.drained:
		}
		close(start)
	}()
	return start
}

// ordered reports whether the command has given the order, and all that it wrote before was sent.
func (u *ucspi) ordered() bool {
	select {
	case <-u.drained:
		return true
	default:
		return false
	}
}

// begin is called when TLS is due. It returns a *negotiate.CleartextError if the server has sent something
// that the command has not read.
func (u *ucspi) begin() error {
	if !u.ordered() {
		u.late.Store(true)
		close(u.begun)
		return errors.Join(u.control.Close(), u.tlsOut.Close())
	}
	b := make([]byte, 512)
	if n := readNow(u.unread, b); n > 0 {
		return &negotiate.CleartextError{Text: b[:n], Upgraded: true}
	}
	return nil
}

// secure has the session go on inside TLS.
func (u *ucspi) secure(s *connect.Session) {
	if u.late.Load() {
		return
	}
	u.inside.Store(true)
	u.clearOut.Close()
	if u.command == 'Y' {
		u.control.SetWriteDeadline(time.Now().Add(ucspiWait))
		io.WriteString(u.control, ucspiVariables(s))
	}
	u.control.Close()
	close(u.begun)
}

// ucspiVariables tell about a session: variables that are called as Apache's mod_ssl calls them, with a
// NUL behind each, and another NUL.
func ucspiVariables(s *connect.Session) string {
	cs := s.TLS.ConnectionState()
	protocol := strings.Replace(tls.VersionName(cs.Version), " ", "v", 1)
	variables := []string{
		"SSL_PROTOCOL=" + strings.TrimSuffix(protocol, ".0"),
		"SSL_CIPHER=" + tls.CipherSuiteName(cs.CipherSuite),
		"SSL_SESSION_RESUMED=" + map[bool]string{false: "Initial", true: "Resumed"}[cs.DidResume],
		"SSL_TLS_SNI=" + quote.Escape(s.ServerName),
	}
	if len(cs.PeerCertificates) > 0 {
		cert := cs.PeerCertificates[0]
		variables = append(variables,
			"SSL_SERVER_S_DN="+trust.Subject(cert), "SSL_SERVER_I_DN="+trust.Issuer(cert),
			"SSL_SERVER_M_SERIAL="+strings.ToUpper(cert.SerialNumber.Text(16)),
			"SSL_SERVER_CERT="+string(gnutls.EncodePEM(cert)))
	}
	return strings.Join(variables, "\x00") + "\x00\x00"
}

// exited is called when the command has ended: then a write to it fails.
func (u *ucspi) exited() { u.unread.Close() }

// abandon closes all of our ends.
func (u *ucspi) abandon() {
	u.exited()
	ucspiOut{u}.Close()
	ucspiIn{u}.Close()
}

// ucspiOut is what the command reads.
type ucspiOut struct{ *ucspi }

// Close tells it of the end.
func (u ucspiOut) Close() error {
	return errors.Join(u.clearOut.Close(), u.tlsOut.Close(), u.control.Close())
}

// ucspiIn is what the command writes.
type ucspiIn struct{ *ucspi }

// Close has writes of the command fail.
func (u ucspiIn) Close() error { return errors.Join(u.clearIn.Close(), u.tlsIn.Close()) }
