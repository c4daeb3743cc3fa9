package testserver

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Numbers of the NBD protocol.
const (
	nbdMagic       = "NBDMAGIC"
	nbdOption      = "IHAVEOPT"
	nbdReplyMagic  = 0x3e889045565a9
	nbdRequest     = 0x25609513
	nbdSimpleReply = 0x67446698

	nbdOptAbort, nbdOptList, nbdOptStartTLS, nbdOptInfo, nbdOptGo = 2, 3, 5, 6, 7
	nbdRepAck, nbdRepServer, nbdRepInfo                           = 1, 2, 3
	nbdErrUnsupported, nbdErrInvalid, nbdErrTLS, nbdErrUnknown    = 1<<31 | 1, 1<<31 | 3, 1<<31 | 5, 1<<31 | 6
	nbdCmdRead, nbdCmdWrite, nbdCmdDisconnect                     = 0, 1, 2
	nbdEPERM, nbdEINVAL                                           = 1, 22
)

// nbdMax is how long the data of an option may be, in bytes.
const nbdMax = 5000

// The only export, which can be read alone.
const nbdExport = "disk"

// nbdDisk is what is on it.
func nbdDisk() string { return strings.Repeat("what is on disk ", 32) }

// nbdTalkRead is how much of it a client reads in a demonstration.
const nbdTalkRead = 16

func nbdServers(servers map[string]protocol) {
	servers["nbd"] = protocol{
		upgrade: nbdClear,
		session: nbdSession,
		talk: []string{
			nbdOptionOf(nbdOptList, ""),
			nbdOptionOf(nbdOptGo, nbdChoice(nbdExport)),
			nbdCommand(nbdCmdRead, 1, 0, nbdTalkRead),
			nbdCommand(nbdCmdDisconnect, 2, 0, 0),
		},
		packets: &Packets{Split: nbdSplit, Name: nbdName},
	}
}

// nbdOptionOf returns what a client says to set an option.
func nbdOptionOf(option uint32, data string) string {
	b := binary.BigEndian.AppendUint32([]byte(nbdOption), option)
	return string(binary.BigEndian.AppendUint32(b, uint32(len(data)))) + data
}

// nbdChoice is the data of NBD_OPT_GO: an export, and no more information asked for.
func nbdChoice(export string) string {
	return string(binary.BigEndian.AppendUint32(nil, uint32(len(export)))) + export + "\x00\x00"
}

// nbdReply returns a reply to an option.
func nbdReply(option, kind uint32, data string) string {
	b := binary.BigEndian.AppendUint64(nil, nbdReplyMagic)
	b = binary.BigEndian.AppendUint32(b, option)
	b = binary.BigEndian.AppendUint32(b, kind)
	return string(binary.BigEndian.AppendUint32(b, uint32(len(data)))) + data
}

// nbdCommand returns a request of the transmission phase.
func nbdCommand(command uint16, cookie, offset uint64, length uint32) string {
	b := binary.BigEndian.AppendUint32(nil, nbdRequest)
	b = binary.BigEndian.AppendUint16(b, 0) // flags
	b = binary.BigEndian.AppendUint16(b, command)
	b = binary.BigEndian.AppendUint64(b, cookie)
	b = binary.BigEndian.AppendUint64(b, offset)
	return string(binary.BigEndian.AppendUint32(b, length))
}

// nbdAnswer returns the reply to a request.
func nbdAnswer(cookie uint64, code uint32, data string) string {
	b := binary.BigEndian.AppendUint32(nil, nbdSimpleReply)
	b = binary.BigEndian.AppendUint32(b, code)
	return string(binary.BigEndian.AppendUint64(b, cookie)) + data
}

// readNBDOption reads an option.
func readNBDOption(c *conn) (option uint32, data string, err error) {
	var header [16]byte
	if _, err := io.ReadFull(c.r, header[:]); err != nil {
		return 0, "", err
	}
	length := binary.BigEndian.Uint32(header[12:])
	if string(header[:8]) != nbdOption || length > nbdMax {
		return 0, "", errors.New("not an option")
	}
	b := make([]byte, length)
	_, err = io.ReadFull(c.r, b)
	return binary.BigEndian.Uint32(header[8:]), string(b), err
}

// nbdClear greets and answers options in the clear until the one for TLS. Every other but the
// end has to come inside TLS (the mode FORCEDTLS).
func nbdClear(c *conn) error {
	const fixed, noZeroes = 1, 2
	if err := nbdSend(c, nbdMagic+nbdOption, string([]byte{0, fixed | noZeroes})); err != nil {
		return err
	}
	var flags [4]byte
	if _, err := io.ReadFull(c.r, flags[:]); err != nil {
		return err
	}
	if f := binary.BigEndian.Uint32(flags[:]); f&^(fixed|noZeroes) != 0 || f&fixed == 0 {
		return errors.New("flags that are not known")
	}
	for {
		option, data, err := readNBDOption(c)
		switch {
		case err != nil:
			return err
		case option == nbdOptStartTLS && data == "":
			return nbdSend(c, nbdReply(option, nbdRepAck, ""))
		case option == nbdOptStartTLS:
			err = nbdSend(c, nbdReply(option, nbdErrInvalid, "NBD_OPT_STARTTLS has no data"))
		case option == nbdOptAbort:
			return errors.Join(nbdSend(c, nbdReply(option, nbdRepAck, "")), io.EOF)
		case option == 1: // NBD_OPT_EXPORT_NAME, to which there is no reply
			return io.EOF
		default:
			err = nbdSend(c, nbdReply(option, nbdErrTLS, "say NBD_OPT_STARTTLS first"))
		}
		if err != nil {
			return err
		}
	}
}

// nbdSession answers options inside TLS until the client has chosen the export, and then
// requests until it disconnects.
func nbdSession(c *conn) error {
	for {
		option, data, err := readNBDOption(c)
		if err != nil {
			return err
		}
		switch option {
		case nbdOptAbort:
			return nbdSend(c, nbdReply(option, nbdRepAck, ""))
		case nbdOptStartTLS:
			err = nbdSend(c, nbdReply(option, nbdErrInvalid, "TLS is there"))
		case nbdOptList:
			err = nbdSend(c, nbdReply(option, nbdRepServer, nbdChoice(nbdExport)[:4+len(nbdExport)]), nbdReply(option, nbdRepAck, ""))
		case nbdOptInfo, nbdOptGo:
			if data != nbdChoice(nbdExport) {
				err = nbdSend(c, nbdReply(option, nbdErrUnknown, "there is "+nbdExport))
				break
			}
			// NBD_INFO_EXPORT, the size, and the flags: there are flags, and it is for reading.
			info := binary.BigEndian.AppendUint64([]byte{0, 0}, uint64(len(nbdDisk())))
			err = nbdSend(c, nbdReply(option, nbdRepInfo, string(append(info, 0, 3))), nbdReply(option, nbdRepAck, ""))
			if err == nil && option == nbdOptGo {
				return nbdTransmit(c)
			}
		default:
			err = nbdSend(c, nbdReply(option, nbdErrUnsupported, ""))
		}
		if err != nil {
			return err
		}
	}
}

// nbdTransmit answers requests.
func nbdTransmit(c *conn) error {
	for {
		var request [28]byte
		if _, err := io.ReadFull(c.r, request[:]); err != nil {
			return err
		}
		if binary.BigEndian.Uint32(request[:]) != nbdRequest {
			return errors.New("not a request")
		}
		command, cookie := binary.BigEndian.Uint16(request[6:]), binary.BigEndian.Uint64(request[8:])
		offset, length := binary.BigEndian.Uint64(request[16:]), uint64(binary.BigEndian.Uint32(request[24:]))
		answer := nbdAnswer(cookie, nbdEINVAL, "")
		switch size := uint64(len(nbdDisk())); {
		case command == nbdCmdDisconnect:
			return nil
		case command == nbdCmdWrite:
			if _, err := io.CopyN(io.Discard, c.r, int64(length)); err != nil {
				return err
			}
			answer = nbdAnswer(cookie, nbdEPERM, "")
		case command == nbdCmdRead && offset <= size && length <= size-offset:
			answer = nbdAnswer(cookie, 0, nbdDisk()[offset:offset+length])
		}
		if err := nbdSend(c, answer); err != nil {
			return err
		}
	}
}

func nbdSend(c *conn, packets ...string) error {
	_, err := io.WriteString(c.Conn, strings.Join(packets, ""))
	return err
}

// nbdSplit cuts replies to options, and to the request of a demonstration.
func nbdSplit(data []byte, atEOF bool) (int, []byte, error) {
	n := 16 + nbdTalkRead
	if len(data) >= 20 && binary.BigEndian.Uint64(data) == nbdReplyMagic {
		n = 20 + int(binary.BigEndian.Uint32(data[16:]))
	}
	switch {
	case n >= 20 && n <= len(data):
		return n, data[:n], nil
	case atEOF && len(data) > 0:
		return len(data), data, nil
	}
	return 0, nil, nil
}

// nbdName names a packet of either side.
func nbdName(p []byte) string {
	switch {
	case len(p) >= 16 && string(p[:8]) == nbdOption:
		name := map[uint32]string{nbdOptAbort: "NBD_OPT_ABORT", nbdOptList: "NBD_OPT_LIST", nbdOptGo: "NBD_OPT_GO"}[binary.BigEndian.Uint32(p[8:])]
		if len(p) >= 22 {
			name += ": " + string(p[20:len(p)-2])
		}
		return name
	case len(p) >= 20 && binary.BigEndian.Uint64(p) == nbdReplyMagic:
		switch kind := binary.BigEndian.Uint32(p[12:]); {
		case kind == nbdRepAck:
			return "NBD_REP_ACK"
		case kind == nbdRepServer && len(p) >= 24:
			return "NBD_REP_SERVER: " + string(p[24:])
		case kind == nbdRepInfo && len(p) >= 30:
			return fmt.Sprintf("NBD_REP_INFO: %d bytes", binary.BigEndian.Uint64(p[22:]))
		}
	case len(p) >= 28 && binary.BigEndian.Uint32(p) == nbdRequest:
		if binary.BigEndian.Uint16(p[6:]) == nbdCmdDisconnect {
			return "NBD_CMD_DISC"
		}
		return fmt.Sprintf("NBD_CMD_READ: %d bytes from %d", binary.BigEndian.Uint32(p[24:]), binary.BigEndian.Uint64(p[16:]))
	case len(p) >= 16 && binary.BigEndian.Uint32(p) == nbdSimpleReply:
		return "simple reply: " + string(p[16:])
	}
	return string(p)
}
