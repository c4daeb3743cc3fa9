package dns

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// A message is a response to a question.
type message struct {
	rcode     dnsmessage.RCode
	truncated bool
	answer    *Answer
}

// exchange asks a server, by UDP and, where that is too small, by TCP. unchecked asks it not to
// validate.
func exchange(ctx context.Context, server string, q dnsmessage.Question, unchecked bool) (*message, error) {
	var id [2]byte
	rand.Read(id[:]) // never fails
	query, err := pack(binary.BigEndian.Uint16(id[:]), q, unchecked)
	if err != nil {
		return nil, err
	}
	m, err := roundTrip(ctx, "udp", server, query, q)
	if err == nil && m.truncated {
		m, err = roundTrip(ctx, "tcp", server, query, q)
	}
	if err == nil && m.truncated {
		return nil, errGarbled
	}
	return m, err
}

// pack makes a query. It asks for the AD bit twice, by its own (RFC 6840, 5.7) and by DO, which older
// resolvers want.
func pack(id uint16, q dnsmessage.Question, unchecked bool) ([]byte, error) {
	b := dnsmessage.NewBuilder(nil, dnsmessage.Header{
		ID: id, RecursionDesired: true, AuthenticData: true, CheckingDisabled: unchecked,
	})
	if err := b.StartQuestions(); err != nil {
		return nil, err
	}
	if err := b.Question(q); err != nil {
		return nil, err
	}
	if err := b.StartAdditionals(); err != nil {
		return nil, err
	}
	var options dnsmessage.ResourceHeader
	if err := options.SetEDNS0(udpSize, dnsmessage.RCodeSuccess, true); err != nil {
		return nil, err
	}
	if err := b.OPTResource(options, dnsmessage.OPTResource{}); err != nil {
		return nil, err
	}
	return b.Finish()
}

// roundTrip sends a query and reads the response to it. The socket is connected: the system drops what
// comes from elsewhere.
func roundTrip(ctx context.Context, network, server string, query []byte, q dnsmessage.Question) (*message, error) {
	ctx, stop := context.WithTimeout(ctx, patience)
	defer stop()
	conn, err := new(net.Dialer).DialContext(ctx, network, server)
	if err != nil {
		return nil, failure(err)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })()
	if network == "tcp" {
		query = append(binary.BigEndian.AppendUint16(nil, uint16(len(query))), query...)
	}
	if _, err := conn.Write(query); err != nil {
		return nil, failure(err)
	}
	if network == "tcp" {
		var length [2]byte
		if _, err := io.ReadFull(conn, length[:]); err != nil {
			return nil, failure(err)
		}
		response := make([]byte, binary.BigEndian.Uint16(length[:]))
		if _, err := io.ReadFull(conn, response); err != nil {
			return nil, failure(err)
		}
		return parse(response, binary.BigEndian.Uint16(query[2:]), q)
	}
	for response := make([]byte, 1<<16); ; {
		n, err := conn.Read(response)
		if err != nil {
			return nil, failure(err)
		}
		// What is no response to this query is somebody else's, or forged.
		if m, err := parse(response[:n], binary.BigEndian.Uint16(query), q); !errors.Is(err, errOther) {
			return m, err
		}
	}
}

// failure is an error of the network without what is known.
func failure(err error) error {
	var system *os.SyscallError
	switch {
	case os.IsTimeout(err), errors.Is(err, context.DeadlineExceeded):
		return errSilent
	case errors.As(err, &system):
		return system.Err
	}
	return err
}

// errOther tells that a message is no response to the query.
var errOther = errors.New("another message")

// parse reads the response to the query with that id and question.
func parse(response []byte, id uint16, q dnsmessage.Question) (*message, error) {
	var p dnsmessage.Parser
	h, err := p.Start(response)
	if err != nil || !h.Response || h.ID != id || h.OpCode != 0 {
		return nil, errOther
	}
	asked, err := p.AllQuestions()
	if err != nil || len(asked) != 1 || asked[0].Type != q.Type || asked[0].Class != q.Class || !sameName(asked[0].Name, q.Name) {
		return nil, errOther
	}
	m := &message{rcode: h.RCode, truncated: h.Truncated}
	if h.Truncated {
		return m, nil
	}
	resources, err := answers(&p)
	if err != nil {
		return nil, errGarbled
	}
	m.answer = &Answer{Secure: h.AuthenticData}
	name := q.Name
	for range resources { // as many steps as there can be: aliases may go round in circles
		target, ok := aliasOf(name, resources)
		if !ok {
			break
		}
		name, m.answer.Alias = target, true
	}
	if m.answer.Alias && !isHost(name) {
		return nil, errGarbled
	}
	m.answer.Name = strings.TrimSuffix(name.String(), ".")
	for _, r := range resources {
		if r.Header.Type == q.Type && r.Header.Class == q.Class && sameName(r.Header.Name, name) {
			m.answer.records = append(m.answer.records, r)
		}
	}
	return m, nil
}

// answers reads the records of the answer section that can be asked for, and aliases.
func answers(p *dnsmessage.Parser) (resources []dnsmessage.Resource, err error) {
	for {
		h, err := p.AnswerHeader()
		if errors.Is(err, dnsmessage.ErrSectionDone) {
			return resources, nil
		}
		if err != nil {
			return nil, err
		}
		switch h.Type {
		case dnsmessage.TypeA, dnsmessage.TypeAAAA, dnsmessage.TypeCNAME, dnsmessage.TypeMX, dnsmessage.TypeSRV, TypeTLSA:
		default: // a signature, or whatever else
			if err := p.SkipAnswer(); err != nil {
				return nil, err
			}
			continue
		}
		r, err := p.Answer()
		if err != nil {
			return nil, err
		}
		resources = append(resources, r)
	}
}

func aliasOf(name dnsmessage.Name, resources []dnsmessage.Resource) (dnsmessage.Name, bool) {
	for _, r := range resources {
		if alias, ok := r.Body.(*dnsmessage.CNAMEResource); ok && sameName(r.Header.Name, name) {
			return alias.CNAME, true
		}
	}
	return name, false
}

// sameName compares names without regard to the case of ASCII letters (RFC 4343).
func sameName(a, b dnsmessage.Name) bool {
	if a.Length != b.Length {
		return false
	}
	for i := range a.Length {
		if lower(a.Data[i]) != lower(b.Data[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}
