package negotiate

import (
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
)

// NFS, RPC-with-TLS (RFC 9289, 4.1; the messages are those of RFC 5531, 9 and 11):
//
//	C: 80000028                    the last fragment of a record, of 40 bytes
//	   746c7375 00000000 00000002  a transaction's number, a call, version 2 of RPC
//	   000186a3 00000004 00000000  the program 100003, NFS, in version 4, its procedure NULL
//	   00000007 00000000           the credential: AUTH_TLS, of no data
//	   00000000 00000000           the verifier: AUTH_NONE, of no data
//	S: 80000020
//	   746c7375 00000001 00000000  the same number, a reply, MSG_ACCEPTED
//	   00000000 00000008           the verifier: AUTH_NONE, of eight bytes
//	   "STARTTLS"
//	   00000000                    SUCCESS
//	   <TLS>
//
// The verifier is the go-ahead, whatever became of the call: a server of another program, or
// another version, says so behind it. MSG_DENIED in place of MSG_ACCEPTED refuses, and so
// does a verifier without the word. Inside TLS the client calls what it likes.
var nfs = &Protocol{
	Name:       "nfs",
	Aliases:    []string{"sunrpc"},
	Family:     Files,
	Title:      "files over the network, by RPC-with-TLS (NFS)",
	Port:       2049,
	ALPN:       []string{"sunrpc"},
	Specs:      []string{"RFC 9289"},
	Upgrade:    upgradeNFS,
	MinVersion: tls.VersionTLS13,
	Remarks: []Remark{
		{"C: NULL of program 100003", "a call that does nothing, with the credential AUTH_TLS"},
		{"S: STARTTLS", "the go-ahead, in the verifier of the reply; MSG_DENIED refuses, a verifier without it too"},
	},
	Note: "Inside TLS the server is silent: the client calls what it likes, in records as in the clear. What follows are packets, not lines. " +
		"Servers of other RPC programs do the same upgrade, and are asked about NFS all the same: the answer to that does not matter. " +
		"RFC 9289 wants TLS 1.3, and there is no session with less; it wants sunrpc agreed on too (ALPN), of which Linux's servers say nothing. " +
		"The server may want a certificate of the client. In the clear anybody on the way can take the word out: with tlsup there is no session then.",
}

var _ = register(nfs)

const (
	nfsTransaction = 0x746c7375
	nfsProgram     = 100003
	nfsVersion     = 4
	nfsAuthTLS     = 7
	nfsStartTLS    = "STARTTLS"

	rpcLast        = 1 << 31 // in the length of a record's last fragment
	rpcMaxVerifier = 400     // bytes (RFC 5531, 8.2)
	rpcMaxReply    = 24 + rpcMaxVerifier + 12
)

// rpcAuthErrors names why a credential is refused (RFC 5531, 9).
func rpcAuthErrors() map[uint32]string {
	return map[uint32]string{
		1: "AUTH_BADCRED", 2: "AUTH_REJECTEDCRED", 3: "AUTH_BADVERF", 4: "AUTH_REJECTEDVERF",
		5: "AUTH_TOOWEAK", 6: "AUTH_INVALIDRESP", 7: "AUTH_FAILED",
	}
}

// rpcAcceptStates names what became of a call that was accepted (RFC 5531, 9).
var rpcAcceptStates = []string{"SUCCESS", "PROG_UNAVAIL", "PROG_MISMATCH", "PROC_UNAVAIL", "GARBAGE_ARGS", "SYSTEM_ERR"}

func upgradeNFS(c *Conn, _ *Options) error {
	c.Step(Upgrade)
	call := binary.BigEndian.AppendUint32(nil, rpcLast|10*4)
	for _, word := range []uint32{nfsTransaction, 0, 2, nfsProgram, nfsVersion, 0, nfsAuthTLS, 0, 0, 0} {
		call = binary.BigEndian.AppendUint32(call, word)
	}
	if err := c.WritePacket(fmt.Sprintf("NULL of program %d, version %d: AUTH_TLS", nfsProgram, nfsVersion), call); err != nil {
		return err
	}
	record, err := readRPC(c)
	if err != nil {
		return err
	}
	reply := xdr{rest: record}
	if reply.number() != nfsTransaction || reply.number() != 1 {
		return c.unexpected()
	}
	switch reply.number() {
	case 0:
		return acceptedNFS(c, &reply)
	case 1:
		return deniedNFS(c, &reply)
	}
	return c.unexpected()
}

// acceptedNFS takes a reply apart that is MSG_ACCEPTED.
func acceptedNFS(c *Conn, reply *xdr) error {
	flavour := reply.number()
	verifier := reply.opaque(rpcMaxVerifier)
	state := reply.number()
	if state == 2 { // PROG_MISMATCH
		reply.number() // the lowest version that there is
		reply.number() // and the highest
	}
	if !reply.complete() || int(state) >= len(rpcAcceptStates) {
		return c.unexpected()
	}
	switch {
	case flavour == 0 && verifier == nfsStartTLS:
		c.Describe(nfsStartTLS + ", " + rpcAcceptStates[state])
		return nil
	case flavour == 0 && verifier == "":
		c.Describe("no " + nfsStartTLS + ", " + rpcAcceptStates[state])
		return Hinted(NotOffered("TLS"), "the server knows AUTH_TLS and has no TLS on this port")
	}
	return c.unexpected()
}

// deniedNFS takes a reply apart that is MSG_DENIED.
func deniedNFS(c *Conn, reply *xdr) error {
	why, first := reply.number(), reply.number()
	said, hint := "", ""
	switch why {
	case 0:
		said = fmt.Sprintf("RPC_MISMATCH: versions %d to %d of RPC", first, reply.number())
	case 1:
		if said = rpcAuthErrors()[first]; said == "" {
			said = fmt.Sprintf("error %d", first)
		}
		said = "AUTH_ERROR: " + said
		hint = "a server without RPC-with-TLS does not know the credential AUTH_TLS; Linux has had it since 6.4, FreeBSD since 13.0"
	}
	if said == "" || !reply.complete() {
		return c.unexpected()
	}
	c.Describe("MSG_DENIED, " + said)
	if hint != "" {
		return Hinted(Refused(said), hint)
	}
	return Refused(said)
}

// readRPC reads a record (RFC 5531, 11).
func readRPC(c *Conn) ([]byte, error) {
	var record []byte
	for last := false; !last; {
		if err := c.Count(); err != nil {
			return nil, err
		}
		var b [4]byte
		if _, err := io.ReadFull(c, b[:]); err != nil {
			return nil, err
		}
		mark := binary.BigEndian.Uint32(b[:])
		last = mark&rpcLast != 0
		length := int(mark &^ rpcLast)
		if len(record) == 0 && !last && length > MaxBytes {
			return nil, c.unexpected() // four letters of something else
		}
		if length > rpcMaxReply-len(record) {
			return nil, fmt.Errorf("%w: a reply of over %d bytes", ErrTooLong, rpcMaxReply)
		}
		fragment := make([]byte, length)
		if _, err := io.ReadFull(c, fragment); err != nil {
			return nil, err
		}
		record = append(record, fragment...)
	}
	return record, nil
}

// xdr takes data apart (RFC 4506). What is not there is read as zero, and remembered.
type xdr struct {
	rest []byte
	cut  bool
}

// number reads an unsigned integer.
func (x *xdr) number() uint32 {
	if len(x.rest) < 4 {
		x.rest, x.cut = nil, true
		return 0
	}
	n := binary.BigEndian.Uint32(x.rest)
	x.rest = x.rest[4:]
	return n
}

// opaque reads bytes of a length that precedes them, at most so many, and the zeroes that
// make it a multiple of four.
func (x *xdr) opaque(most uint32) string {
	n := x.number()
	padded := (uint64(n) + 3) &^ 3
	if n > most || padded > uint64(len(x.rest)) {
		x.rest, x.cut = nil, true
		return ""
	}
	s := string(x.rest[:n])
	x.rest = x.rest[padded:]
	return s
}

// complete reports whether all was there, and nothing more.
func (x *xdr) complete() bool { return !x.cut && len(x.rest) == 0 }
