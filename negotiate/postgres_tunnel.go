package negotiate

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"time"

	"tlsup/internal/quote"
)

// A PostgreSQL client of a tunnel may ask for encryption too, and is refused it. It then believes
// the line to be in the clear, where libpq takes an offer of channel binding for an attack: that
// mechanism is taken out. T is the tunnel.
//
//	C: 00000008 04d21630                GSSENCRequest, each of the two once at most
//	T: 4e                               "N"
//	C: 00000008 04d2162f                SSLRequest
//	T: 4e                               "N"
//	C: 0000001c 00030000 "user" 00 ...  StartupMessage, handed on; or CancelRequest
//	S: 52 0000002a 0000000a "SCRAM-SHA-256-PLUS" 00 "SCRAM-SHA-256" 00 00
//	T: 52 00000017 0000000a "SCRAM-SHA-256" 00 00
//
// From AuthenticationOk on (52 00000008 00000000) the bytes are nobody's but theirs.

// How long messages of a login may be, in bytes.
const (
	postgresMaxStartup = 10000    // a StartupMessage, as in the server
	postgresMaxOffer   = 16 << 10 // an AuthenticationSASL
)

// leadPostgres reads what the client says first: requests for encryption, which are refused, up
// to a StartupMessage or CancelRequest, which the server is given.
func leadPostgres(l *Local, server *Conn) error {
	refused := map[uint32]bool{}
	for {
		code, message, err := readPostgresStartup(l)
		if err != nil {
			return err
		}
		why := ""
		switch {
		case code == postgresCancel:
			return server.WritePacket("CancelRequest", message)
		case code>>16 == 3:
			return server.WritePacket("StartupMessage", message)
		case refused[code]:
			why = "the tunnel has refused that kind of encryption before"
		case code != postgresSSL && code != postgresGSS:
			why = fmt.Sprintf("the tunnel does not know version %d.%d of the protocol", code>>16, code&0xffff)
		}
		if why != "" {
			partPostgres(l.Conn, "0A000", why, "", "")
			awaitEnd(l.Conn)
			return l.misspoken(fmt.Sprintf("a message with code %08x", code))
		}
		refused[code] = true
		if _, err := l.client.Write([]byte("N")); err != nil {
			return err
		}
	}
}

// readPostgresStartup reads a message of the kind that comes first, which has no type.
func readPostgresStartup(l *Local) (code uint32, message []byte, err error) {
	message = make([]byte, 8)
	if _, err := io.ReadFull(l.client, message); err != nil {
		return 0, nil, err
	}
	n := binary.BigEndian.Uint32(message)
	code = binary.BigEndian.Uint32(message[4:])
	if n < 8 || n > postgresMaxStartup || n > 8 && (code == postgresSSL || code == postgresGSS) {
		err := l.misspoken(quote.Short(l.client.unread()) + " is not how a PostgreSQL client begins")
		return 0, nil, Hinted(err, "the tunnel's target is a PostgreSQL server, and so must its clients be for one")
	}
	message = append(message, make([]byte, n-8)...)
	_, err = io.ReadFull(l.client, message[8:])
	l.client.TraceRead() // an error behind it does not quote it
	return code, message, err
}

// partPostgres tells the client in an ErrorResponse why it can't go on, and that nothing follows.
// Detail and hint may be empty.
func partPostgres(client net.Conn, code, text, detail, hint string) {
	fields := "SFATAL\x00VFATAL\x00C" + code + "\x00M" + text + "\x00"
	if detail != "" {
		fields += "D" + detail + "\x00"
	}
	if hint != "" {
		fields += "H" + hint + "\x00"
	}
	message := binary.BigEndian.AppendUint32([]byte{'E'}, uint32(4+len(fields)+1))
	client.SetWriteDeadline(time.Now().Add(parting))
	client.Write(append(append(message, fields...), 0))
	closeWrite(client)
}

// parting is how long a client may take to leave that has been told to. A reset could overtake
// what it was told.
const parting = 3 * time.Second

// awaitEnd waits for the client's end for the time of parting, and reads over what it still says.
func awaitEnd(client net.Conn) {
	client.SetReadDeadline(time.Now().Add(parting))
	io.CopyN(io.Discard, client, MaxBytes)
}

func closeWrite(conn net.Conn) error {
	return conn.(interface{ CloseWrite() error }).CloseWrite()
}

// postgresEnds are the two ends of a session whose login is watched.
func postgresEnds(_ *Local, client, server net.Conn) (net.Conn, net.Conn) {
	left, bound := make(chan struct{}), &atomic.Bool{}
	return &postgresClient{Conn: client, left: left, unbound: bound},
		&postgresServer{Conn: server, client: client, left: left, login: postgresLogin{unbound: bound}}
}

// postgresServer is the server's end: it takes channel binding out of the offer.
type postgresServer struct {
	net.Conn
	client net.Conn
	left   <-chan struct{} // closed when the client has ended its side

	login postgresLogin
	in    []byte // what is read into, until the login has ended
	out   []byte // read and not yet returned
	err   error  // what follows out
}

func (s *postgresServer) Read(p []byte) (int, error) {
	for len(s.out) == 0 {
		switch {
		case s.err != nil:
			return 0, s.err
		case s.login.ended:
			return s.Conn.Read(p)
		case s.in == nil:
			s.in = make([]byte, 4096)
		}
		var n int
		n, s.err = s.Conn.Read(s.in)
		var err error
		if s.out, err = s.login.pass(s.out[:0], s.in[:n]); err != nil {
			s.err = s.refuse(err)
		}
	}
	n := copy(p, s.out)
	s.out = s.out[n:]
	if s.login.ended && len(s.out) == 0 {
		s.in, s.out = nil, nil
	}
	return n, nil
}

// refuse tells the client of an offer that it can't be shown, and waits for it to leave.
func (s *postgresServer) refuse(err error) error {
	if !errors.Is(err, errPlusOnly) {
		return err
	}
	s.client.Write(s.out)
	s.out = nil
	partPostgres(s.client, "28000", "the server offers SCRAM-SHA-256-PLUS alone, which can't pass the tunnel",
		"The mechanism binds the login to the TLS session, which is the tunnel's.", "Let the server offer SCRAM-SHA-256 too.")
	select {
	case <-s.left:
	case <-time.After(parting):
	}
	return err
}

func (s *postgresServer) CloseWrite() error { return closeWrite(s.Conn) }

var errPlusOnly = errors.New("it offers SCRAM-SHA-256-PLUS alone, which a client without TLS can't use")

// postgresLogin passes on what the server says, without its offer of channel binding, until the
// login has ended.
type postgresLogin struct {
	held    []byte // the beginning of a message, until it is known what becomes of it
	passing int64  // bytes of a message that are passed on as they come
	ended   bool
	unbound *atomic.Bool // set when channel binding was offered, and taken out
}

// pass appends to out what the client is shown of data. It fails with errPlusOnly, and with
// ErrUnexpected or ErrTooLong for what is no message.
func (l *postgresLogin) pass(out, data []byte) ([]byte, error) {
	for len(data) > 0 {
		if l.passing > 0 {
			n := min(l.passing, int64(len(data)))
			out, data, l.passing = append(out, data[:n]...), data[n:], l.passing-n
			continue
		}
		if l.ended {
			return append(out, data...), nil
		}
		missing, err := postgresMissing(l.held)
		if err != nil {
			return out, err
		}
		n := min(missing, len(data))
		l.held, data = append(l.held, data[:n]...), data[n:]
		if missing, err = postgresMissing(l.held); err != nil {
			return out, err
		}
		if missing == 0 {
			if out, err = l.decide(out); err != nil {
				return out, err
			}
		}
	}
	return out, nil
}

// Where the parts of an authentication request are: its type, its length, its code.
const (
	postgresHeader = 1 + 4
	postgresCode   = postgresHeader + 4
)

// Codes of authentication requests.
const (
	postgresOK   = 0
	postgresSASL = 10
)

// postgresMissing tells how many bytes have to follow to know what becomes of the message that
// held begins: all of it, if it is AuthenticationSASL.
func postgresMissing(held []byte) (int, error) {
	if len(held) < postgresHeader {
		return postgresHeader - len(held), nil
	}
	n := binary.BigEndian.Uint32(held[1:])
	request := held[0] == 'R'
	switch {
	case n < 4 || request && n < 8:
		return 0, Unexpected(string(held))
	case !request:
		return 0, nil
	case len(held) < postgresCode:
		return postgresCode - len(held), nil
	case binary.BigEndian.Uint32(held[postgresHeader:]) != postgresSASL:
		return 0, nil
	case n > postgresMaxOffer:
		return 0, fmt.Errorf("%w: an AuthenticationSASL of %d bytes", ErrTooLong, n)
	}
	return 1 + int(n) - len(held), nil
}

// decide appends to out what the client is shown of the message that is held.
func (l *postgresLogin) decide(out []byte) ([]byte, error) {
	held := l.held
	l.held = l.held[:0]
	code := int64(-1)
	if held[0] == 'R' {
		code = int64(binary.BigEndian.Uint32(held[postgresHeader:]))
	}
	if code == postgresSASL {
		return l.unbind(out, held)
	}
	l.ended = code == postgresOK
	l.passing = 1 + int64(binary.BigEndian.Uint32(held[1:])) - int64(len(held))
	return append(out, held...), nil
}

// unbind appends an AuthenticationSASL without channel binding: names that end in a zero byte,
// behind the last stands another.
func (l *postgresLogin) unbind(out, message []byte) ([]byte, error) {
	var names []byte
	offered := false
	for rest := message[postgresCode:]; ; {
		name, behind, found := bytes.Cut(rest, []byte{0})
		switch {
		case !found || len(name) == 0 && len(behind) > 0:
			return out, Unexpected(string(message))
		case len(name) == 0 && !offered:
			return append(out, message...), nil
		case len(name) == 0 && len(names) == 0:
			return out, errPlusOnly
		case len(name) == 0:
			l.unbound.Store(true)
			out = binary.BigEndian.AppendUint32(append(out, 'R'), uint32(4+4+len(names)+1))
			out = binary.BigEndian.AppendUint32(out, postgresSASL)
			return append(append(out, names...), 0), nil
		case string(name) == "SCRAM-SHA-256-PLUS":
			offered = true
		default:
			names = append(append(names, name...), 0)
		}
		rest = behind
	}
}

// postgresClient is the client's end. A client that could bind its login to a TLS session, and
// says that the server does not offer it, is an attack's victim in the server's eyes (RFC 5802, 6),
// and signs what it says: it can't be helped, and is told so.
type postgresClient struct {
	net.Conn
	left    chan struct{} // closed when the client has ended its side
	gone    bool          // and that is done
	unbound *atomic.Bool  // see postgresLogin
	seen    []byte        // the beginning of the client's first message
	checked bool
}

// postgresDoubt is how a SASLInitialResponse begins whose client would have bound its login, but for
// the length of the message and that of the response, which are left out.
const (
	postgresDoubt     = "p" + postgresUnbound + "y"
	postgresUnbound   = "SCRAM-SHA-256\x00"
	postgresDoubtSize = postgresHeader + len(postgresUnbound) + 4 + 1
)

var errDoubt = errors.New("its SCRAM login insists that the server offers no channel binding (flag y), but inside TLS it does")

func (c *postgresClient) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if !c.checked && n > 0 && c.doubts(p[:n]) {
		partPostgres(c.Conn, "28000", "this client's SCRAM login can't pass a tunnel that does TLS in its place",
			"The client insists that the server offers no channel binding (SCRAM's flag \"y\"), and inside TLS the server does.",
			"Turn channel binding off in the client, use another password method, or let the client do TLS.")
		awaitEnd(c.Conn)
		n, err = 0, errDoubt
	}
	if err != nil && !c.gone {
		c.gone = true
		close(c.left)
	}
	return n, err
}

// doubts reports whether the client's first message, of which p is the next part, is a
// SASLInitialResponse that the server will not take.
func (c *postgresClient) doubts(p []byte) bool {
	c.seen = append(c.seen, p[:min(len(p), postgresDoubtSize-len(c.seen))]...)
	if len(c.seen) < postgresDoubtSize {
		return false
	}
	c.checked = true
	name := c.seen[postgresHeader:]
	said := string(c.seen[:1]) + string(name[:len(postgresUnbound)]) + string(c.seen[postgresDoubtSize-1:])
	c.seen = nil
	return said == postgresDoubt && c.unbound.Load()
}

func (c *postgresClient) CloseWrite() error { return closeWrite(c.Conn) }
