package negotiate

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"syscall"
	"unicode/utf16"
)

// A SQL Server client of a tunnel says in its own PRELOGIN that it does without encryption, and is
// told that there is none. T is the tunnel.
//
//	C: PRELOGIN, ENCRYPTION off or not supported
//	T: PRELOGIN, ENCRYPTION on               to the server, with the client's other options
//	S: PRELOGIN, ENCRYPTION on or required
//	   <TLS>
//	T: PRELOGIN, ENCRYPTION not supported    to the client, with the server's other options
//	C: LOGIN7                                inside TLS
//
// Clients from before SQL Server 2000 say no PRELOGIN: they begin with LOGIN7.

// tdsLogin7 is the type of a packet.
const tdsLogin7 = 0x10

// preloginLengths is how long the value of each option may be, in bytes: VERSION, ENCRYPTION,
// INSTOPT, THREADID, MARS, TRACEID, FEDAUTHREQUIRED, NONCEOPT. Others are not passed on.
var preloginLengths = []int{6, 1, 255, 4, 1, 36, 1, 32}

// encryptMask leaves out of ENCRYPTION whether a client has a certificate.
const encryptMask = 0x7f

// A tdsClient is a tunnel's client, and what it is to be told.
type tdsClient struct {
	asked map[byte][]byte // the options of its PRELOGIN; nil if it said none
	reply []byte          // the message to answer with
}

// request is the message to ask the server with.
func (t *tdsClient) request() []byte { return prelogin(t.asked, t.asked, encryptOn) }

// answered keeps the server's options for the client.
func (t *tdsClient) answered(options map[byte][]byte) {
	t.reply = prelogin(options, t.asked, encryptNotSup)
}

// prelogin builds a PRELOGIN message of those options that are allowed, if their form is right.
func prelogin(options, allowed map[byte][]byte, encryption byte) []byte {
	type option struct {
		token byte
		value []byte
	}
	var list []option
	for token, most := range preloginLengths {
		value, there := options[byte(token)]
		_, ok := allowed[byte(token)]
		switch token {
		case preloginVersion:
			value, there, ok = append(slices.Clone(value), make([]byte, most)...)[:most], true, true
		case preloginEncryption:
			value, there, ok = []byte{encryption}, true, true
		}
		if there && ok && len(value) <= most {
			list = append(list, option{byte(token), value})
		}
	}
	var message, values []byte
	offset := 5*len(list) + 1
	for _, o := range list {
		message = binary.BigEndian.AppendUint16(append(message, o.token), uint16(offset+len(values)))
		message = binary.BigEndian.AppendUint16(message, uint16(len(o.value)))
		values = append(values, o.value...)
	}
	return append(append(message, preloginEnd), values...)
}

// readTDSClient reads the client's PRELOGIN, unless it begins with LOGIN7. One that demands
// encryption is refused.
func readTDSClient(l *Local) (*tdsClient, error) {
	first, err := l.client.ReadByte()
	if err != nil {
		return nil, err
	}
	l.client.at--
	if first == tdsLogin7 {
		return &tdsClient{}, nil
	}
	message, err := readTDSMessage(l.client, tdsPrelogin)
	if err != nil {
		return nil, err
	}
	options, ok := parsePrelogin(message)
	if !ok {
		return nil, l.client.unexpected()
	}
	l.client.TraceRead()
	t := &tdsClient{asked: options}
	if t.encryption() == encryptReq {
		const text = "the tunnel does TLS in the client's place, and the client demands to do it: turn encryption off in the client"
		l.sayLast(tdsMessage(tdsReply, tdsErrorMessage(text)))
		return nil, Hinted(l.misspoken("it demands encryption (ENCRYPT_REQ)"), localHint)
	}
	return t, nil
}

// encryption is the client's wish.
func (t *tdsClient) encryption() byte {
	if value := t.asked[preloginEncryption]; len(value) == 1 {
		return value[0] & encryptMask
	}
	return encryptNotSup
}

// tell answers the client's PRELOGIN. A client that wants encryption may leave then, and the log says
// why.
func (t *tdsClient) tell(l *Local) error {
	if t.asked == nil {
		return nil
	}
	if _, err := l.client.Write(tdsMessage(tdsReply, t.reply)); err != nil || t.encryption() != encryptOn {
		return err
	}
	_, err := l.client.ReadByte()
	if errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) {
		return Hinted(&LocalError{errors.New("it wants encryption (ENCRYPT_ON), and left when it was told that there is none")}, localHint)
	} else if err == nil {
		l.client.at--
	}
	return err
}

// leadMSSQL answers the client's PRELOGIN, which Upgrade has read.
func leadMSSQL(l *Local, _ *Conn) error { return l.state.(*tdsClient).tell(l) }

// leadTDS8 exchanges the client's PRELOGIN inside TLS.
func leadTDS8(l *Local, server *Conn) error {
	t, err := readTDSClient(l)
	if err != nil || t.asked == nil {
		return err
	}
	if err := server.WritePacket("PRELOGIN: ENCRYPTION on", tdsMessage(tdsPrelogin, t.request())); err != nil {
		return err
	}
	options, err := readPreloginReply(server)
	if err != nil {
		return err
	}
	t.answered(options)
	return t.tell(l)
}

// tdsErrorMessage is an ERROR, of a severity that ends the connection, and DONE behind it
// (MS-TDS 2.2.7.10, 2.2.7.6).
func tdsErrorMessage(text string) []byte {
	units := utf16.Encode([]rune(text))
	data := append(make([]byte, 4), 1, 20) // number, state, class
	data = binary.LittleEndian.AppendUint16(data, uint16(len(units)))
	for _, unit := range units {
		data = binary.LittleEndian.AppendUint16(data, unit)
	}
	data = append(data, 0, 0, 0, 0, 0, 0) // no server, no procedure, line 0
	message := binary.LittleEndian.AppendUint16([]byte{tdsErrorToken}, uint16(len(data)))
	return append(append(message, data...), "\xfd\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"...)
}

// rawTDS carries somebody else's handshake in packets, and sees its end by itself, in each
// direction: behind the first record after ChangeCipherSpec there are no packets any more, be the
// session new or resumed.
type rawTDS struct {
	*tdsWrapper
	in, out tlsHandshake
	held    []byte // of a flight that is being written
	begun   bool   // the first flight is written
}

func newRawTDS(conn net.Conn) net.Conn { return &rawTDS{tdsWrapper: &tdsWrapper{Conn: conn}} }

// Read reads from packets until the server's side of the handshake is done.
func (r *rawTDS) Read(p []byte) (int, error) {
	if r.in.done && r.left == 0 {
		return r.Conn.Read(p)
	}
	n, err := r.tdsWrapper.Read(p)
	if _, bad := r.in.pass(p[:n]); bad != nil {
		if errors.Is(bad, errNotTLS) {
			bad = cleartext(r.Conn, p[:n], true)
		}
		return 0, bad
	}
	return n, err
}

// Write sends each flight of the client's side of the handshake as one message.
func (r *rawTDS) Write(p []byte) (int, error) {
	if r.out.done {
		return r.Conn.Write(p)
	}
	n, err := r.out.pass(p)
	if err != nil {
		return 0, fmt.Errorf("the local program: %w", err)
	}
	r.held = append(r.held, p[:n]...)
	if len(r.held) > MaxBytes {
		return 0, fmt.Errorf("the local program: a handshake of over %d bytes", MaxBytes)
	}
	if r.out.done || r.out.between() && (r.out.alert || !r.begun) {
		if err := r.flush(); err != nil {
			return 0, err
		}
	}
	if n == len(p) {
		return n, nil
	}
	m, err := r.Conn.Write(p[n:])
	return n + m, err
}

func (r *rawTDS) flush() error {
	if len(r.held) == 0 {
		return nil
	}
	_, err := r.tdsWrapper.Write(r.held)
	r.held, r.begun = nil, true
	return err
}

// CloseWrite sends what there is of a flight, and shuts down the writing side.
func (r *rawTDS) CloseWrite() error {
	return errors.Join(r.flush(), r.tdsWrapper.CloseWrite())
}

// tlsHandshake follows the records of one direction of a handshake of TLS 1.2 or older to its end
// (RFC 5246, 6.2.1 and 7.1).
type tlsHandshake struct {
	header  []byte // of a record, not whole
	left    int    // bytes of a record's content that are to come
	changed bool   // ChangeCipherSpec was there
	last    bool   // this record is the last
	alert   bool   // an alert was there
	done    bool
}

// Content types of TLS records beside those of a server's first.
const (
	recordChange      = 20
	recordApplication = 23
)

var (
	errNotTLS = errors.New("no TLS record in the handshake")
	errTLS13  = errors.New("TLS 1.3 can't be carried in TDS packets: the TLS program has to be held to 1.2")
)

// pass takes the next bytes, and returns how many of them belong to the handshake.
func (h *tlsHandshake) pass(p []byte) (n int, err error) {
	for n < len(p) && !h.done {
		if h.left == 0 {
			missing := min(5-len(h.header), len(p)-n)
			h.header = append(h.header, p[n:n+missing]...)
			n += missing
			if err := h.begin(); err != nil {
				return n, err
			}
			continue
		}
		m := min(h.left, len(p)-n)
		n, h.left = n+m, h.left-m
		h.done = h.last && h.left == 0
	}
	return n, nil
}

// begin looks at a record's header, as far as it is there.
func (h *tlsHandshake) begin() error {
	if h.header[0] < recordChange || h.header[0] > recordApplication || len(h.header) > 1 && h.header[1] != 3 {
		return errNotTLS
	}
	if len(h.header) < 5 {
		return nil
	}
	if h.header[0] == recordApplication {
		return errTLS13
	}
	h.left = int(binary.BigEndian.Uint16(h.header[3:]))
	if h.left == 0 {
		return errNotTLS
	}
	h.last = h.changed && h.header[0] == recordHandshake
	h.changed = h.changed || h.header[0] == recordChange
	h.alert = h.alert || h.header[0] == recordAlert
	h.header = h.header[:0]
	return nil
}

// between reports whether the next byte begins a record.
func (h *tlsHandshake) between() bool { return h.left == 0 && len(h.header) == 0 }
