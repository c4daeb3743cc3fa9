// Package testdns is a DNS server for tests, on loopback, which says what it is told to.
package testdns

import (
	"encoding/binary"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// Start starts a server that answers each query, by "udp" or "tcp", with the messages that answer returns,
// one query at a time. It returns its address, HOST:PORT, and is stopped at the end of the test.
func Start(t testing.TB, answer func(query dnsmessage.Message, network string) []dnsmessage.Message) string {
	t.Helper()
	tcp, udp, err := listen()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tcp.Close(); udp.Close() })
	var one sync.Mutex
	respond := func(query []byte, network string, write func([]byte)) {
		one.Lock()
		defer one.Unlock()
		var q dnsmessage.Message
		if err := q.Unpack(query); err != nil {
			t.Errorf("query: %v", err)
			return
		}
		for _, m := range answer(q, network) {
			packed, err := m.Pack()
			if err != nil {
				t.Error(err)
			}
			write(packed)
		}
	}
	go func() {
		buf := make([]byte, 1500)
		for {
			n, from, err := udp.ReadFrom(buf)
			if err != nil {
				return
			}
			respond(buf[:n], "udp", func(m []byte) { udp.WriteTo(m, from) })
		}
	}()
	go func() {
		for {
			conn, err := tcp.Accept()
			if err != nil {
				return
			}
			if query, err := readQuery(conn); err == nil {
				respond(query, "tcp", func(m []byte) {
					conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(m))), m...))
				})
			}
			conn.Close()
		}
	}()
	return tcp.Addr().String()
}

// listen listens on one port for both.
func listen() (tcp net.Listener, udp net.PacketConn, err error) {
	for range 10 { // the port may be another one's for UDP
		if tcp, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			return nil, nil, err
		}
		if udp, err = net.ListenPacket("udp", tcp.Addr().String()); err == nil {
			return tcp, udp, nil
		}
		tcp.Close()
	}
	return nil, nil, err
}

func readQuery(conn net.Conn) ([]byte, error) {
	var length [2]byte
	if _, err := io.ReadFull(conn, length[:]); err != nil {
		return nil, err
	}
	query := make([]byte, binary.BigEndian.Uint16(length[:]))
	_, err := io.ReadFull(conn, query)
	return query, err
}

// Response is the answer to a query with these records; secure tells that they were validated.
func Response(query dnsmessage.Message, secure bool, records ...dnsmessage.Resource) dnsmessage.Message {
	return dnsmessage.Message{
		Header:    dnsmessage.Header{ID: query.ID, Response: true, RecursionAvailable: true, AuthenticData: secure},
		Questions: query.Questions, Answers: records,
	}
}

// Records are what a resolver knows of all names; of others it knows for sure that they have none. One
// with a TTL of 0 was not validated.
type Records []dnsmessage.Resource

// Start starts a server that answers by them.
func (r Records) Start(t testing.TB) string {
	t.Helper()
	return Start(t, func(q dnsmessage.Message, _ string) []dnsmessage.Message {
		return []dnsmessage.Message{r.Answer(q)}
	})
}

// Answer is the answer to a query. It follows aliases.
func (r Records) Answer(query dnsmessage.Message) dnsmessage.Message {
	name, kind := query.Questions[0].Name.String(), query.Questions[0].Type
	var found []dnsmessage.Resource
	secure := true
	for range r {
		next := ""
		for _, record := range r {
			if !strings.EqualFold(record.Header.Name.String(), name) || record.Header.Type != kind && record.Header.Type != dnsmessage.TypeCNAME {
				continue
			}
			found = append(found, record)
			secure = secure && record.Header.TTL != 0
			if alias, ok := record.Body.(*dnsmessage.CNAMEResource); ok {
				next = alias.CNAME.String()
			}
		}
		if next == "" {
			break
		}
		name = next
	}
	return Response(query, secure, found...)
}

// Unvalidated is the record as one that was not validated.
func Unvalidated(r dnsmessage.Resource) dnsmessage.Resource {
	r.Header.TTL = 0
	return r
}

// Name is a domain name, with its final dot.
func Name(name string) dnsmessage.Name { return dnsmessage.MustNewName(name) }

// typeTLSA is the type of TLSA records.
const typeTLSA dnsmessage.Type = 52

// TLSA, CNAME, A, MX and SRV are records of a name. All names have their final dot.
func TLSA(owner string, data ...byte) dnsmessage.Resource {
	return record(owner, typeTLSA, &dnsmessage.UnknownResource{Type: typeTLSA, Data: data})
}

func CNAME(owner, target string) dnsmessage.Resource {
	return record(owner, dnsmessage.TypeCNAME, &dnsmessage.CNAMEResource{CNAME: Name(target)})
}

func A(owner string, address [4]byte) dnsmessage.Resource {
	return record(owner, dnsmessage.TypeA, &dnsmessage.AResource{A: address})
}

func MX(owner string, preference uint16, host string) dnsmessage.Resource {
	return record(owner, dnsmessage.TypeMX, &dnsmessage.MXResource{Pref: preference, MX: Name(host)})
}

func SRV(owner string, priority, weight, port uint16, host string) dnsmessage.Resource {
	return record(owner, dnsmessage.TypeSRV, &dnsmessage.SRVResource{Priority: priority, Weight: weight, Port: port, Target: Name(host)})
}

func record(owner string, kind dnsmessage.Type, body dnsmessage.ResourceBody) dnsmessage.Resource {
	return dnsmessage.Resource{Header: dnsmessage.ResourceHeader{Name: Name(owner), Type: kind, Class: dnsmessage.ClassINET, TTL: 60}, Body: body}
}
