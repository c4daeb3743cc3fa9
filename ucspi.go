package main

import (
	"bytes"
	"context"
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
// Which came first, what it writes to its standard output or its request, can't be known once both are
// there. A command that has read the server's go-ahead in between leaves no doubt, since all that it wrote
// before has been sent by then; any other ends the run, and nothing of what is in doubt is sent. What the
// server has sent in the clear and the command has not read when it asks ends the run, too.
type ucspi struct {
	target string                  // for errors
	cancel context.CancelCauseFunc // ends the run

	control *os.File // our end of SSLCTLFD

	theirs []*os.File // the command's ends, until it has started
	unread *os.File   // the command's standard input, as it has it

	clearIn, tlsIn   *os.File    // what the command writes
	clearOut, tlsOut *os.File    // what it reads
	last             []byte      // of what was written to clearOut
	inside           atomic.Bool // it reads tlsOut

	request atomic.Int32  // y or Y; 0: nothing yet
	granted chan struct{} // closed when the request is good, which is the order to start TLS
	begun   chan struct{} // closed when TLS has begun
	late    atomic.Bool   // it has begun by another order, on the standard streams
}

var (
	errAround = errors.New("the command wrote to its standard output around its request for TLS")
	errTwice  = errors.New("the command asks for TLS on SSLCTLFD when another order, or the end of its standard output, has started it")
)

// readFirst is what such a command has to do.
const readFirst = "the command has to read the server's go-ahead before it asks for TLS"

// ucspiWait is how long a command may take to read about the session.
const ucspiWait = 5 * time.Second

// offerUCSPI prepares a command that is to be started, which then has its standard streams, too. It
// returns nil where programs are not handed descriptors.
func offerUCSPI(command *exec.Cmd) (*ucspi, error) {
	if !handsDescriptors {
		return nil, nil
	}
	u := &ucspi{granted: make(chan struct{}), begun: make(chan struct{})}
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

// fail ends the run, and returns the error that it ends with.
func (u *ucspi) fail(err error, hint string) error {
	failed := &connect.Error{Target: u.target, Step: connect.Upgrade, Err: err, Hint: hint}
	u.cancel(failed)
	return failed
}

// watch waits for the command to ask for TLS.
func (u *ucspi) watch() {
	request, ok := awaitByte(u.control)
	if !ok {
		return
	}
	u.request.Store(int32(request)) // before the byte is taken away: see asks
	u.control.Read(make([]byte, 1)) // closing a socket in which there is something left is a reset
	switch {
	case request != 'y' && request != 'Y':
		u.fail(fmt.Errorf("the command asks for %s on SSLCTLFD, which is neither y nor Y", quote.Short(string(rune(request)))), "")
	case u.late.Load():
		u.fail(errTwice, "")
	default:
		past := time.Unix(1, 0)
		u.clearIn.SetReadDeadline(past)   // wakes Read
		u.clearOut.SetWriteDeadline(past) // what the command has not read by now is not waited for
	}
}

// asks reports whether the command has asked for TLS by now.
func (u *ucspi) asks() bool { return hasByte(u.control) || u.request.Load() != 0 }

// Read reads what the command writes: in the clear, then inside TLS.
func (u *ucspi) Read(p []byte) (int, error) {
	if !u.ordered() {
		n, err := u.clearIn.Read(p)
		switch {
		case !u.asks():
			return n, err
		case n > 0:
			return 0, u.fail(errAround, readFirst+", and then to write to SSLWRITEFD")
		}
		u.clearIn.SetReadDeadline(time.Time{})
		go u.guard()
		close(u.granted)
		<-u.begun
	}
	return u.tlsIn.Read(p)
}

// guard ends the run if the command writes to its standard output when it has asked for TLS.
func (u *ucspi) guard() {
	if n, _ := u.clearIn.Read(make([]byte, 1)); n > 0 {
		u.fail(errAround, readFirst+", and then to write to SSLWRITEFD")
	}
}

// Write writes what the command reads.
func (u *ucspi) Write(p []byte) (int, error) {
	if u.inside.Load() {
		return u.tlsOut.Write(p)
	}
	n, err := u.clearOut.Write(p)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = u.overlooked(p[n:])
	}
	u.last = append(u.last[:0], p[max(0, len(p)-512):]...)
	return n, err
}

// overlooked ends the run for what the server has sent and the command has not read.
func (u *ucspi) overlooked(b []byte) error {
	return u.fail(&negotiate.CleartextError{Text: bytes.Clone(b[:min(len(b), 512)]), Upgraded: true}, readFirst)
}

// order returns a channel that is closed at the first order to start TLS: other, or the command's.
func (u *ucspi) order(other <-chan struct{}) <-chan struct{} {
	start := make(chan struct{})
	go func() {
		select {
		case <-other:
		case <-u.granted:
		}
		close(start)
	}()
	return start
}

// ordered reports whether the command has given the order.
func (u *ucspi) ordered() bool {
	select {
	case <-u.granted:
		return true
	default:
		return false
	}
}

// begin is called when TLS is due. It returns an error if the server has sent something that the command
// has not read when it asked, or if there was another order, and it asked, too.
func (u *ucspi) begin() error {
	if u.ordered() {
		if hasUnread(u.unread) {
			last := bytes.TrimRight(u.last, "\r\n")
			return u.overlooked(last[bytes.LastIndexByte(last, '\n')+1:])
		}
		return nil
	}
	u.late.Store(true)
	if u.asks() {
		return u.fail(errTwice, "")
	}
	close(u.begun)
	return u.tlsOut.Close()
}

// secure has the session go on inside TLS.
func (u *ucspi) secure(s *connect.Session) {
	if u.late.Load() {
		return
	}
	u.inside.Store(true)
	u.clearOut.Close()
	if u.request.Load() == 'Y' {
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
