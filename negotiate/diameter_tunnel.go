package negotiate

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// The capabilities of a tunnel's client, who knows nothing of TLS. Inband-Security-Id is the
// tunnel's: put in on the way there, left out on the way back, which means none.
//
//	client                                      server
//	C: Capabilities-Exchange-Request            C: Capabilities-Exchange-Request, TLS
//	                                            S: Capabilities-Exchange-Answer, TLS
//	                                            <TLS>
//	S: Capabilities-Exchange-Answer, of a relay
//
// The answer comes from the clear, and is not shown as it came: its Origin-Host and Origin-Realm
// are, which the client may have to compare, the rest is what a relay says.

// askDiameter reads the client's request, and returns what the server gets, and from whom it is.
func (l *Local) askDiameter(o *Options) (request []byte, says string, err error) {
	switch {
	case o.Name != "":
		return nil, "", &OptionError{"Name", fmt.Errorf("%q can't be sent: a tunnel's client has a name of its own", o.Name)}
	case o.From != "":
		return nil, "", &OptionError{"From", fmt.Errorf("%q can't be sent: a tunnel's client has a realm of its own", o.From)}
	}
	header, avps, err := readDiameter(l.client, true)
	switch {
	case errors.As(err, new(*AnswerError)):
		return nil, "", l.misspoken("Capabilities-Exchange-Request was due")
	case err != nil && !errors.As(err, new(*LocalError)):
		return nil, "", &LocalError{err}
	case err != nil:
		return nil, "", err
	}
	var sent []byte
	host, realm := "", ""
	for len(avps) > 0 {
		code, flags, data, rest, ok := nextAVP(avps)
		if !ok {
			return nil, "", l.misspoken("an AVP that does not fit its message")
		}
		if flags&avpVendor != 0 || code != avpInbandSecurityID {
			sent = append(sent, avps[:len(avps)-len(rest)]...)
		}
		switch {
		case flags&avpVendor != 0:
		case code == avpOriginHost:
			host = string(data)
		case code == avpOriginRealm:
			realm = string(data)
		}
		avps = rest
	}
	sent = appendAVP(sent, avpInbandSecurityID, avpMandatory, diameterWord(diameterTLS))
	hopByHop, endToEnd := binary.BigEndian.Uint32(header[12:]), binary.BigEndian.Uint32(header[16:])
	return diameterMessage(diameterRequest, hopByHop, endToEnd, sent), host + " of " + realm, nil
}

// keepDiameter keeps the answer for the client until TLS is there.
func (l *Local) keepDiameter(request []byte, a diameterAnswer) error {
	for _, name := range []string{a.host, a.realm} {
		if !isDiameterIdentity(name) {
			return Unexpected("Origin-Host " + a.host + ", Origin-Realm " + a.realm)
		}
	}
	avps := appendAVP(nil, avpResultCode, avpMandatory, diameterWord(diameterSuccess))
	avps = appendAVP(avps, avpOriginHost, avpMandatory, []byte(a.host))
	avps = appendAVP(avps, avpOriginRealm, avpMandatory, []byte(a.realm))
	avps = appendRelay(avps, l.Conn.LocalAddr())
	l.state = diameterMessage(0, binary.BigEndian.Uint32(request[12:]), binary.BigEndian.Uint32(request[16:]), avps)
	return nil
}

// leadDiameter answers the client.
func leadDiameter(l *Local, _ *Conn) error {
	_, err := l.client.Write(l.state.([]byte))
	return err
}
