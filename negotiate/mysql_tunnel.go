package negotiate

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"

	"tlsup/internal/quote"
)

// The login of a tunnel's client (MySQL's source code documentation, "Connection Phase";
// MariaDB's "Connecting"). SSLRequest shifts the server's sequence numbers by one against those
// that the client knows, until OK or an error ends the login:
//
//	client                               server
//	S: 0 Handshake without CLIENT_SSL    S: 0 Handshake
//	C: 1 HandshakeResponse41             C: 1 SSLRequest, with what that packet begins with
//	                                     <TLS>
//	                                     C: 2 HandshakeResponse41
//	S: 2 AuthSwitchRequest               S: 3 AuthSwitchRequest
//	C: 3 answer                          C: 4 answer
//	S: 4 OK                              S: 5 OK
//
// Two plugins have a client that takes the line for cleartext ask for the server's RSA key, where
// one inside TLS says the password itself ("Caching_sha2_password information", "sha256_password"):
// the request is 02 behind AuthMoreData 04 of the one, and 01 for the other, be it in the login
// packet. It is given a key of the tunnel's, and the password goes on inside TLS:
//
//	S: 2 AuthMoreData 04                 S: 3 AuthMoreData 04
//	C: 3 02
//	S: 4 AuthMoreData, the tunnel's key
//	C: 5 password, encrypted             C: 4 password 00
//	S: 6 OK                              S: 5 OK
//
// Behind the login nothing is changed: COM_CHANGE_USER can't ask for a key.

const (
	mysqlMaxLogin   = MaxBytes // bytes in a packet of a login
	mysqlMaxText    = 512      // bytes in the text of an error
	mysqlScramble   = 20       // bytes of it that a password is mixed with
	mysqlBadLogin   = 1043     // ER_HANDSHAKE_ERROR
	mysqlBadState   = "08S01"
	mysqlCachingSHA = "caching_sha2_password"
	mysqlSHA256     = "sha256_password"
)

// mysqlPluginName is the form that names of plugins have.
var mysqlPluginName = lazy(`^[A-Za-z0-9_]{0,64}$`)

// withoutTLS is the packet for a client that is not to ask for TLS.
func (g mysqlGreeting) withoutTLS() ([]byte, error) {
	switch {
	case quote.Escape(g.version) != g.version:
		return nil, Unexpected("version " + g.version)
	case len(g.scramble) < mysqlScramble || len(g.scramble) > 254:
		return nil, Unexpected(fmt.Sprintf("scramble of %d bytes", len(g.scramble)))
	case !mysqlPluginName.get().MatchString(g.plugin):
		return nil, Unexpected("plugin " + g.plugin)
	}
	capabilities := g.capabilities &^ mysqlSSL
	p := append([]byte{10}, g.version+"\x00"...)
	p = binary.LittleEndian.AppendUint32(p, g.connection)
	p = append(append(p, g.scramble[:8]...), 0)
	p = binary.LittleEndian.AppendUint16(p, uint16(capabilities))
	p = append(p, g.charset)
	p = binary.LittleEndian.AppendUint16(p, g.status)
	p = binary.LittleEndian.AppendUint16(p, uint16(capabilities>>16))
	if capabilities&mysqlPluginAuth == 0 {
		p = append(p, 0)
	} else {
		p = append(p, byte(len(g.scramble)+1))
	}
	p = append(p, make([]byte, 6)...)
	p = binary.LittleEndian.AppendUint32(p, g.more)
	p = append(append(p, g.scramble[8:]...), 0)
	if capabilities&mysqlPluginAuth != 0 {
		p = append(p, g.plugin+"\x00"...)
	}
	return p, nil
}

// mysqlError is an error packet. The client of a server that has not heard its capabilities
// expects no SQLSTATE, nor does one of before MySQL 4.1: "" for none.
func mysqlError(code uint16, state, text string) []byte {
	p := binary.LittleEndian.AppendUint16([]byte{0xff}, code)
	if state != "" {
		p = append(p, "#"+state...)
	}
	return append(p, text[:min(len(text), mysqlMaxText)]...)
}

// toldByMySQL tells a client that waits for the server's first packet why there is none. It
// returns err.
func (l *Local) toldByMySQL(err error) error {
	var refusal *mysqlRefusal
	switch {
	case l == nil:
	case errors.As(err, &refusal) && refusal.code >= 1000:
		l.sayLast(mysqlPacket(0, mysqlError(refusal.code, "", quote.Escape(refusal.text))))
	case errors.Is(err, ErrRefused) || errors.Is(err, ErrNotOffered) || errors.Is(err, ErrUnexpected):
		l.sayLast(mysqlPacket(0, mysqlError(mysqlBadLogin, "", "tlsup: "+err.Error())))
	}
	return err
}

// A mysqlDenial is what a client is told that can't be served.
type mysqlDenial string

func (d mysqlDenial) Error() string { return string(d) }

const (
	mysqlDenyTLS = mysqlDenial("the client wants TLS, which the tunnel does: it has to be off in the client")
	mysqlDenyOld = mysqlDenial("the client speaks the protocol of before MySQL 4.1")
	mysqlDenyKey = mysqlDenial("the client encrypts the password with a key that the tunnel does not have: it must not be given the server's")
)

// deniedByMySQL says a denial to the client. It returns what the log is told.
func (l *Local) deniedByMySQL(sequence byte, state string, denial mysqlDenial) error {
	l.sayLast(mysqlPacket(sequence, mysqlError(mysqlBadLogin, state, "tlsup: "+string(denial))))
	err := l.misspoken(string(denial))
	if denial == mysqlDenyTLS {
		err = Hinted(err, localHint)
	}
	return err
}

// askMySQL shows the client the server's first packet, and returns what SSLRequest has to
// begin with: what the client's login packet does.
func (l *Local) askMySQL(g mysqlGreeting) (start mysqlLoginStart, err error) {
	shown, err := g.withoutTLS()
	if err != nil {
		return start, l.toldByMySQL(err)
	}
	if _, err := l.client.Write(mysqlPacket(0, shown)); err != nil {
		return start, err
	}
	packet, err := l.hearMySQL(1)
	switch {
	case err != nil:
		return start, err
	case len(packet) >= 2 && binary.LittleEndian.Uint16(packet)&mysqlProtocol41 == 0:
		return start, l.deniedByMySQL(2, "", mysqlDenyOld)
	case len(packet) >= mysqlLoginLen && binary.LittleEndian.Uint16(packet)&mysqlSSL != 0:
		return start, l.deniedByMySQL(2, mysqlBadState, mysqlDenyTLS)
	}
	login, ok := parseMySQLLogin(packet)
	if !ok {
		return start, l.misspoken(fmt.Sprintf("%d bytes that are no login packet", len(packet)))
	}
	m := &mysqlLogin{mysqlResponse: login, local: l, client: 1, plugin: login.plugin, scramble: g.scramble}
	m.factors = g.capabilities&login.start.capabilities&mysqlFactors != 0
	l.state = m
	return login.start, nil
}

// hearMySQL reads a packet of the client, which has to have the sequence number, and returns
// it without its header.
func (l *Local) hearMySQL(sequence byte) ([]byte, error) {
	var header [4]byte
	if _, err := io.ReadFull(l.client, header[:]); err != nil {
		return nil, err
	}
	n := mysqlLength(header[:])
	if n > mysqlMaxLogin || header[3] != sequence {
		return nil, l.outOfOrder(header[3], n, sequence)
	}
	packet := make([]byte, n)
	_, err := io.ReadFull(l.client, packet)
	return packet, err
}

func (l *Local) outOfOrder(sequence byte, n int, due byte) error {
	return l.misspoken(fmt.Sprintf("packet %d of %d bytes where packet %d is due", sequence, n, due))
}

// A mysqlResponse is a client's login packet (MySQL, "Protocol::HandshakeResponse41").
type mysqlResponse struct {
	start  mysqlLoginStart
	user   []byte // with its end
	answer []byte // to the scramble
	rest   []byte // database, plugin, and so on
	plugin string // "" if the packet names none
}

func parseMySQLLogin(packet []byte) (r mysqlResponse, ok bool) {
	if len(packet) < mysqlLoginLen {
		return r, false
	}
	r.start.capabilities = binary.LittleEndian.Uint32(packet)
	r.start.longest = binary.LittleEndian.Uint32(packet[4:])
	r.start.charset = packet[8]
	r.start.more = binary.LittleEndian.Uint32(packet[28:])
	rest := packet[mysqlLoginLen:]
	end := bytes.IndexByte(rest, 0)
	if end < 0 {
		return r, false
	}
	r.user, rest = rest[:end+1], rest[end+1:]
	if r.answer, r.rest, ok = r.start.cutAnswer(rest); !ok {
		return r, false
	}
	rest = r.rest
	if r.start.capabilities&mysqlConnectWithDB != 0 {
		_, rest, _ = bytes.Cut(rest, []byte{0})
	}
	if r.start.capabilities&mysqlPluginAuth != 0 {
		plugin, _, _ := bytes.Cut(rest, []byte{0})
		r.plugin = string(plugin)
	}
	return r, true
}

// cutAnswer cuts the answer to the scramble off the beginning of data, in one of three forms.
func (s mysqlLoginStart) cutAnswer(data []byte) (answer, rest []byte, ok bool) {
	if s.capabilities&(mysqlLongAnswer|mysqlSecureConnection) == 0 {
		return bytes.Cut(data, []byte{0})
	}
	if len(data) == 0 {
		return nil, nil, false
	}
	n, data := int(data[0]), data[1:]
	if s.capabilities&mysqlLongAnswer != 0 && n > 250 { // a number of more bytes
		if n != 0xfc || len(data) < 2 { // no packet here is so long that it needs more than two
			return nil, nil, false
		}
		n, data = int(binary.LittleEndian.Uint16(data)), data[2:]
	}
	if n > len(data) {
		return nil, nil, false
	}
	return data[:n], data[n:], true
}

// packet is the packet for the server, with another answer.
func (r mysqlResponse) packet(answer []byte) []byte {
	start := r.start
	start.capabilities |= mysqlSSL
	p := append(start.bytes(), r.user...)
	n := len(answer)
	switch {
	case start.capabilities&(mysqlLongAnswer|mysqlSecureConnection) == 0:
		return append(append(append(p, bytes.TrimSuffix(answer, []byte{0})...), 0), r.rest...)
	case start.capabilities&mysqlLongAnswer != 0 && n > 250:
		p = append(p, 0xfc, byte(n), byte(n>>8))
	default:
		p = append(p, byte(n)) // one from the client's own packet, or a password, which RSA bounds
	}
	return append(append(p, answer...), r.rest...)
}

// leadMySQL logs the client in, or begins to.
func leadMySQL(l *Local, server *Conn) error {
	m := l.state.(*mysqlLogin)
	told, err := m.respond(m.answer)
	if err == nil && m.keyed {
		if err := m.giveKey(); err != nil {
			return err
		}
		encrypted, err := l.hearMySQL(m.client + 1)
		if err != nil {
			return err
		}
		m.client++
		if told, err = m.respond(encrypted); err != nil {
			return err
		}
	}
	if denial := mysqlDenial(""); errors.As(err, &denial) {
		return l.deniedByMySQL(m.client+1, mysqlBadState, denial)
	} else if err != nil {
		return err
	}
	m.server = 2
	return server.WritePacket("HandshakeResponse41: "+m.start.String(), mysqlPacket(m.server, m.packet(told)))
}

// mysqlLogin is where a client's login stands.
type mysqlLogin struct {
	mysqlResponse
	local   *Local
	factors bool // more than one may be wanted

	mu             sync.Mutex // both ends are read at once
	client, server byte       // sequence number of the last packet on either side
	over, failed   bool       // OK or an error has come; an error
	plugin         string     // that the client logs in by
	scramble       []byte     // that the server gave for it
	full           bool       // caching_sha2_password: the server wants the password itself
	keyed          bool       // the client has been given a key, and owes the password
}

// respond takes what the client answers its plugin, and returns what the server is told. If keyed
// is set behind it, the client is to be given a key in place of that.
func (m *mysqlLogin) respond(answer []byte) ([]byte, error) {
	wantsPassword := m.plugin == mysqlSHA256 || m.full
	switch {
	case m.keyed:
		m.keyed, m.full = false, false
		return m.decrypt(answer)
	case m.full && string(answer) == "\x02" || m.plugin == mysqlSHA256 && string(answer) == "\x01":
		m.keyed = true
		return nil, nil
	case wantsPassword && len(answer) > 0 && answer[len(answer)-1] != 0:
		return nil, mysqlDenyKey
	}
	m.full = false
	return answer, nil
}

// mysqlKey is the tunnel's RSA key, made when a client first asks for one.
var mysqlKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

// giveKey sends the client the tunnel's key.
func (m *mysqlLogin) giveKey() error {
	key, err := mysqlKey()
	if err != nil {
		return err
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return err
	}
	m.client++
	text := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})
	_, err = m.local.Conn.Write(mysqlPacket(m.client, append([]byte{1}, text...)))
	return err
}

// decrypt returns a password, with the zero byte at its end, that was mixed with the scramble and
// encrypted with the tunnel's key.
func (m *mysqlLogin) decrypt(encrypted []byte) ([]byte, error) {
	key, err := mysqlKey()
	if err != nil {
		return nil, err
	}
	if len(m.scramble) < mysqlScramble {
		return nil, Unexpected(fmt.Sprintf("scramble of %d bytes", len(m.scramble)))
	}
	password, err := rsa.DecryptOAEP(sha1.New(), nil, key, encrypted, nil)
	for i := range password {
		password[i] ^= m.scramble[i%mysqlScramble]
	}
	if err != nil || len(password) == 0 || password[len(password)-1] != 0 {
		return nil, m.local.misspoken("a password that is not encrypted with the tunnel's key")
	}
	return password, nil
}

// fromClient takes a packet of the client, and returns the one for the server, if there is one.
func (m *mysqlLogin) fromClient(payload []byte) ([]byte, error) {
	m.client++
	told, err := m.respond(payload)
	if denial := mysqlDenial(""); errors.As(err, &denial) {
		return nil, m.local.deniedByMySQL(m.client+1, mysqlBadState, denial)
	} else if err != nil {
		return nil, err
	}
	if m.keyed {
		return nil, m.giveKey()
	}
	m.server++
	return mysqlPacket(m.server, told), nil
}

// fromServer takes a packet of the server, and returns the one for the client.
func (m *mysqlLogin) fromServer(sequence byte, payload []byte) []byte {
	kind := -1
	if len(payload) > 0 {
		kind = int(payload[0])
	}
	switch {
	case kind == 0x00 || kind == 0xff: // OK, or an error
		m.over, m.failed = true, kind == 0xff
	case kind == 0xfe || kind == 0x02 && m.factors: // AuthSwitchRequest, AuthNextFactor
		plugin, data, _ := bytes.Cut(payload[1:], []byte{0})
		m.plugin, m.full = string(plugin), false
		if len(data) > 0 {
			m.scramble = bytes.Clone(data)
		}
	case m.plugin == mysqlCachingSHA && string(payload) == "\x01\x04":
		m.full = true
	}
	m.server = sequence
	m.client++
	return mysqlPacket(m.client, payload)
}

// mysqlEnds gives the ends of a session that begins with what is left of the login, which may
// wait for a person.
func mysqlEnds(l *Local, client, server net.Conn) (net.Conn, net.Conn) {
	m := l.state.(*mysqlLogin)
	fromClient := func(packets []byte) (int, []byte, bool, error) {
		sequence, n := packets[3], mysqlLength(packets)
		switch due := m.client + 1; {
		case m.over || sequence == 0 && due != 0:
			return 0, nil, true, nil // commands, which some clients send ahead
		case sequence != due || n > mysqlMaxLogin:
			return 0, nil, false, l.outOfOrder(sequence, n, due)
		case len(packets) < 4+n:
			return 0, nil, false, nil
		}
		out, err := m.fromClient(packets[4 : 4+n])
		return 4 + n, out, false, err
	}
	fromServer := func(packets []byte) (int, []byte, bool, error) {
		sequence, n := packets[3], mysqlLength(packets)
		switch {
		case m.over:
			return 0, nil, true, nil
		case n > mysqlMaxLogin:
			return 0, nil, false, fmt.Errorf("%w: a packet of %d bytes in the login", ErrTooLong, n)
		case len(packets) < 4+n:
			return 0, nil, false, nil
		}
		return 4 + n, m.fromServer(sequence, packets[4:4+n]), m.over, nil
	}
	return &mysqlEnd{Conn: client, mu: &m.mu, take: fromClient}, &mysqlServerEnd{mysqlEnd: mysqlEnd{Conn: server, mu: &m.mu, take: fromServer}, login: m}
}

// mysqlEnd is one end of a session, whose packets are changed until the login is over.
type mysqlEnd struct {
	net.Conn
	mu *sync.Mutex
	// take is called with a packet's header at least, and mu held. It returns how many bytes it has
	// taken, 0 if it waits for more, what stands in their place, and whether the rest is passed on
	// as it is.
	take   func(packets []byte) (n int, out []byte, done bool, err error)
	in     []byte // was read and not taken
	out    []byte // is to be handed out
	err    error  // of take, behind out
	passes bool   // what comes is passed on as it is
}

// Read reads what the other side is told.
func (e *mysqlEnd) Read(p []byte) (int, error) {
	for len(e.out) == 0 {
		switch {
		case e.err != nil:
			return 0, e.err
		case e.passes:
			return e.Conn.Read(p)
		}
		if err := e.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(p, e.out)
	e.out = e.out[n:]
	return n, nil
}

func (e *mysqlEnd) fill() error {
	var chunk [4096]byte
	n, err := e.Conn.Read(chunk[:])
	if n == 0 && err == io.EOF && len(e.in) > 0 {
		return io.ErrUnexpectedEOF
	}
	if n == 0 {
		return err
	}
	e.in = append(e.in, chunk[:n]...)
	e.mu.Lock()
	defer e.mu.Unlock()
	for more := true; more && len(e.in) >= 4; {
		var out []byte
		n, out, e.passes, e.err = e.take(e.in)
		e.in, e.out = e.in[n:], append(e.out, out...)
		more = n > 0 && !e.passes && e.err == nil
	}
	if e.passes {
		e.in, e.out = nil, append(e.out, e.in...)
	}
	return nil
}

// CloseWrite ends the side that is written to.
func (e *mysqlEnd) CloseWrite() error {
	return e.Conn.(interface{ CloseWrite() error }).CloseWrite()
}

// mysqlServerEnd is the server's end.
type mysqlServerEnd struct {
	mysqlEnd
	login *mysqlLogin
	last  string // bytes that were sent, as many as COM_QUIT has
}

const mysqlQuit = "\x01\x00\x00\x00\x01"

// Write sends what the client says.
func (e *mysqlServerEnd) Write(p []byte) (int, error) {
	e.last += string(p[max(0, len(p)-len(mysqlQuit)):])
	e.last = e.last[max(0, len(e.last)-len(mysqlQuit)):]
	return e.Conn.Write(p)
}

// CloseWrite ends the side that is written to. Behind COM_QUIT, and when it has refused the login, the
// server closes by itself, and would answer close_notify, which it does not wait for, with a reset.
func (e *mysqlServerEnd) CloseWrite() error {
	e.mu.Lock()
	failed := e.login.failed
	e.mu.Unlock()
	if failed || e.last == mysqlQuit {
		return nil
	}
	return e.mysqlEnd.CloseWrite()
}
