package testserver

import (
	"io"
	"slices"
	"testing"

	"tlsup/negotiate"
)

// nfsCall returns a call of NFS version 4 without a credential.
func nfsCall(id, procedure uint32, arguments ...uint32) string {
	return "C: " + rpcRecord(append([]uint32{id, rpcCall, 2, nfsProgram, 4, procedure, rpcAuthNone, 0, rpcAuthNone, 0}, arguments...)...)
}

// nfsAccept returns the reply to a call that was accepted.
func nfsAccept(id uint32, results ...uint32) string {
	return "S: " + rpcRecord(append([]uint32{id, rpcReply, rpcAccepted, rpcAuthNone, 0}, results...)...)
}

const (
	nfsTestProbe   = "\x00\x00\x00\x09\x00\x00\x00\x00\x00\x00\x00\x02\x00\x01\x86\xa3\x00\x00\x00\x04\x00\x00\x00\x00\x00\x00\x00\x07\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
	nfsTestGoAhead = "S: \x80\x00\x00\x20\x00\x00\x00\x09\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x08STARTTLS\x00\x00\x00\x00"
)

// TestNFSClear makes calls in the clear.
func TestNFSClear(t *testing.T) {
	denied := "S: " + rpcRecord(9, rpcReply, rpcDenied, rpcAuthError, rpcBadCredential)
	for name, dialogue := range map[string][]string{
		"TLS":                  {"C: \x80\x00\x00\x28" + nfsTestProbe, nfsTestGoAhead},
		"TLS in two fragments": {"C: \x00\x00\x00\x04" + nfsTestProbe[:4] + "\x80\x00\x00\x24" + nfsTestProbe[4:], nfsTestGoAhead},
		"TLS, other version":   {"C: " + rpcRecord(9, rpcCall, 2, nfsProgram, 3, nfsNull, rpcAuthTLS, 0, 0, 0), "S: " + rpcRecordOf(rpcWords(9, rpcReply, rpcAccepted, rpcAuthNone, 8)+"STARTTLS"+rpcWords(rpcProgMismatch, 4, 4))},
		"TLS, other program":   {"C: " + rpcRecord(9, rpcCall, 2, 100000, 2, nfsNull, rpcAuthTLS, 0, 0, 0), "S: " + rpcRecordOf(rpcWords(9, rpcReply, rpcAccepted, rpcAuthNone, 8)+"STARTTLS"+rpcWords(rpcProgUnavail))},
		"TLS for COMPOUND":     {"C: " + rpcRecord(9, rpcCall, 2, nfsProgram, 4, nfsCompound, rpcAuthTLS, 0, 0, 0), denied},
		"TLS with data":        {"C: " + rpcRecord(9, rpcCall, 2, nfsProgram, 4, nfsNull, rpcAuthTLS, 4, 0, 0, 0), denied},
		"TLS with a verifier":  {"C: " + rpcRecord(9, rpcCall, 2, nfsProgram, 4, nfsNull, rpcAuthTLS, 0, 0, 4, 0), denied},
		"NULL":                 {nfsCall(7, nfsNull), nfsAccept(7, rpcSuccess)},
		"COMPOUND":             {nfsCall(7, nfsCompound, 0, 0, 0), "S: " + rpcRecord(7, rpcReply, rpcDenied, rpcAuthError, 5)},
		"other RPC":            {"C: " + rpcRecord(9, rpcCall, 3, nfsProgram, 4, nfsNull, 0, 0, 0, 0), "S: " + rpcRecord(9, rpcReply, rpcDenied, rpcMismatch, 2, 2)},
		"reply":                {"C: " + rpcRecord(9, rpcReply), "close"},
		"too long":             {"C: \xff\xff\xff\xff", "close"},
		"empty":                {"C: \x80\x00\x00\x00", "close"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, conn := dial(t, "nfs")
			conversePackets(t, conn, dialogue...)
		})
	}
}

// TestNFSInside makes calls inside TLS.
func TestNFSInside(t *testing.T) {
	session, _, _ := open(t, negotiate.Find("nfs"))
	root := "S: " + rpcRecordOf(rpcWords(4, rpcReply, rpcAccepted, rpcAuthNone, 0, rpcSuccess, 0, 0, 2, nfsPutRootFH, 0, nfsGetFH, 0, 4)+"root")
	conversePackets(t, session,
		nfsCall(1, nfsNull), nfsAccept(1, rpcSuccess),
		nfsCall(2, 99), nfsAccept(2, rpcProcUnavail),
		nfsCall(3, nfsCompound, 0, 0, 2), nfsAccept(3, rpcArgs),
		nfsCall(4, nfsCompound, 0, 0, 2, nfsPutRootFH, nfsGetFH), root,
		nfsCall(5, nfsCompound, 0, 0, 2, nfsGetFH, nfsPutRootFH), nfsAccept(5, rpcSuccess, nfsNoFH, 0, 1, nfsGetFH, nfsNoFH),
		nfsCall(6, nfsCompound, 0, 0, 1, 99), nfsAccept(6, rpcSuccess, nfsNotSupported, 0, 1, 99, nfsNotSupported),
		"C: \x80\x00\x00\x28"+nfsTestProbe, "S: "+rpcRecord(9, rpcReply, rpcDenied, rpcAuthError, rpcBadCredential),
		"C: "+rpcRecord(), "close")
}

// TestNFSCleartextBehindRequest checks that what comes in the clear behind the probe ends the
// connection.
func TestNFSCleartextBehindRequest(t *testing.T) {
	_, conn := dial(t, "nfs")
	conversePackets(t, conn, "C: \x80\x00\x00\x28"+nfsTestProbe+nfsCall(1, nfsNull)[3:], nfsTestGoAhead)
	if n, err := io.ReadFull(conn, make([]byte, 1)); err == nil {
		t.Errorf("the server goes on with %d bytes", n)
	}
}

func TestNFSSplit(t *testing.T) {
	p := PacketsOf("nfs")
	reply := nfsAccept(1, rpcSuccess)[3:]
	for said, want := range map[string][]string{
		reply + reply:      {reply, reply},
		reply[:7]:          {reply[:7]},
		"\xff\xff\xff\xff": {"\xff\xff\xff\xff"},
	} {
		if got := split(p, said); !slices.Equal(got, want) {
			t.Errorf("%q is cut into %q, want %q", said, got, want)
		}
	}
}
