package testserver

import (
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Numbers of RPC (RFC 5531) and of NFS version 4 (RFC 7530).
const (
	rpcLastFragment = 1 << 31
	rpcCall         = 0
	rpcReply        = 1

	rpcAccepted, rpcDenied                                               = 0, 1
	rpcSuccess, rpcProgUnavail, rpcProgMismatch, rpcProcUnavail, rpcArgs = 0, 1, 2, 3, 4
	rpcAuthNone, rpcAuthTLS                                              = 0, 7
	rpcMismatch, rpcAuthError, rpcBadCredential                          = 0, 1, 1

	nfsProgram               = 100003
	nfsNull, nfsCompound     = 0, 1
	nfsPutRootFH, nfsGetFH   = 24, 10
	nfsNotSupported, nfsNoFH = 10004, 10020
)

// rpcMax is how long a record may be, in bytes.
const rpcMax = 4096

// nfsRoot is the handle of the only directory.
const nfsRoot = "root"

func nfsServers(servers map[string]protocol) {
	servers["nfs"] = protocol{
		upgrade:    nfsLoop,
		session:    nfsLoop,
		alpn:       []string{"sunrpc"},
		minVersion: tls.VersionTLS13,
		talk: []string{
			rpcRecord(1, rpcCall, 2, nfsProgram, 4, nfsNull, rpcAuthNone, 0, rpcAuthNone, 0),
			// No tag, minor version 0, two operations.
			rpcRecord(2, rpcCall, 2, nfsProgram, 4, nfsCompound, rpcAuthNone, 0, rpcAuthNone, 0, 0, 0, 2, nfsPutRootFH, nfsGetFH),
			rpcRecord(), // no call: there is none that ends a session
		},
		packets: &Packets{Split: rpcSplit, Name: rpcName},
	}
}

// rpcWords returns numbers as they are written.
func rpcWords(words ...uint32) string {
	var b []byte
	for _, w := range words {
		b = binary.BigEndian.AppendUint32(b, w)
	}
	return string(b)
}

// rpcRecord returns a record of one fragment, which holds numbers.
func rpcRecord(words ...uint32) string { return rpcRecordOf(rpcWords(words...)) }

func rpcRecordOf(data string) string {
	return rpcWords(rpcLastFragment|uint32(len(data))) + data
}

// rpcRead reads a record.
func rpcRead(c *conn) ([]byte, error) {
	var record []byte
	for {
		var mark [4]byte
		if _, err := io.ReadFull(c.r, mark[:]); err != nil {
			return nil, err
		}
		m := binary.BigEndian.Uint32(mark[:])
		n := int(m &^ rpcLastFragment)
		if n+len(record) > rpcMax || n == 0 {
			return nil, io.EOF
		}
		fragment := make([]byte, n)
		if _, err := io.ReadFull(c.r, fragment); err != nil {
			return nil, err
		}
		record = append(record, fragment...)
		if m&rpcLastFragment != 0 {
			return record, nil
		}
	}
}

// An rpcReader takes a record apart; what is not there is read as zero.
type rpcReader struct{ rest []byte }

func (r *rpcReader) word() uint32 {
	if len(r.rest) < 4 {
		r.rest = nil
		return 0
	}
	w := binary.BigEndian.Uint32(r.rest)
	r.rest = r.rest[4:]
	return w
}

// opaque skips data behind its length.
func (r *rpcReader) opaque() (length uint32) {
	length = r.word()
	r.rest = r.rest[min(uint64(len(r.rest)), (uint64(length)+3)/4*4):]
	return length
}

// nfsLoop answers calls in the clear up to the one with AUTH_TLS, or inside TLS until
// something comes that is none (RFC 9289, 4.1).
func nfsLoop(c *conn) error {
	for {
		record, err := rpcRead(c)
		if err != nil {
			return err
		}
		r := &rpcReader{record}
		id, kind, version := r.word(), r.word(), r.word()
		if kind != rpcCall {
			return errors.New("not a call")
		}
		program, programVersion, procedure := r.word(), r.word(), r.word()
		credential, credentialLength := r.word(), r.opaque()
		verifier, verifierLength := r.word(), r.opaque()
		secure := false
		reply := ""
		switch {
		case version != 2:
			reply = rpcRecord(id, rpcReply, rpcDenied, rpcMismatch, 2, 2)
		case credential == rpcAuthTLS && (c.inTLS() || procedure != nfsNull || credentialLength != 0 || verifier != rpcAuthNone || verifierLength != 0):
			reply = rpcRecord(id, rpcReply, rpcDenied, rpcAuthError, rpcBadCredential)
		case credential == rpcAuthTLS:
			secure = true
			reply = rpcRecordOf(rpcWords(id, rpcReply, rpcAccepted, rpcAuthNone, 8) + "STARTTLS" + nfsResult(r, program, programVersion, procedure))
		case !c.inTLS() && procedure != nfsNull: // TLS is wanted first (RFC 9289, 4.2)
			reply = rpcRecord(id, rpcReply, rpcDenied, rpcAuthError, 5) // AUTH_TOOWEAK
		default:
			reply = rpcRecordOf(rpcWords(id, rpcReply, rpcAccepted, rpcAuthNone, 0) + nfsResult(r, program, programVersion, procedure))
		}
		if _, err := io.WriteString(c.Conn, reply); err != nil || secure {
			return err
		}
	}
}

// nfsResult returns what became of a call, and its results.
func nfsResult(r *rpcReader, program, version, procedure uint32) string {
	switch {
	case program != nfsProgram:
		return rpcWords(rpcProgUnavail)
	case version != 4:
		return rpcWords(rpcProgMismatch, 4, 4)
	case procedure == nfsNull:
		return rpcWords(rpcSuccess)
	case procedure != nfsCompound:
		return rpcWords(rpcProcUnavail)
	}
	r.opaque() // the tag
	if minor, count := r.word(), r.word(); minor != 0 || uint64(count)*4 != uint64(len(r.rest)) {
		return rpcWords(rpcArgs)
	}
	var status, done uint32
	results, has := "", false
	for status == 0 && len(r.rest) > 0 {
		operation := r.word()
		result := ""
		switch {
		case operation == nfsPutRootFH:
			has = true
		case operation == nfsGetFH && has:
			result = rpcWords(uint32(len(nfsRoot))) + nfsRoot
		case operation == nfsGetFH:
			status = nfsNoFH
		default:
			status = nfsNotSupported
		}
		done++
		results += rpcWords(operation, status) + result
	}
	return rpcWords(rpcSuccess, status, 0, done) + results
}

// rpcSplit cuts records of one fragment.
func rpcSplit(data []byte, atEOF bool) (int, []byte, error) {
	n := 4
	if len(data) >= n {
		n += int(min(binary.BigEndian.Uint32(data)&^rpcLastFragment, rpcMax))
	}
	return cutPacket(data, n, atEOF)
}

// rpcName names a record of either side.
func rpcName(p []byte) string {
	if len(p) < 4 {
		return string(p)
	}
	r := &rpcReader{p[4:]}
	id, kind := r.word(), r.word()
	switch {
	case len(p) == 4:
		return "an empty record, which is no call"
	case kind == rpcReply && r.word() == rpcDenied:
		return fmt.Sprintf("reply %d: MSG_DENIED", id)
	case kind == rpcReply:
		r.word()
		r.opaque()
		if state := r.word(); state != rpcSuccess {
			return fmt.Sprintf("reply %d: error %d", id, state)
		}
		return fmt.Sprintf("reply %d: SUCCESS, %d bytes of results", id, len(r.rest))
	}
	r.word()
	r.word()
	r.word()
	if r.word() == nfsNull {
		return fmt.Sprintf("call %d: NULL", id)
	}
	return fmt.Sprintf("call %d: COMPOUND of PUTROOTFH, GETFH", id)
}
