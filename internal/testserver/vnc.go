package testserver

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Numbers of RFB (RFC 6143) and of VeNCrypt.
const (
	vncVersion  = "RFB 003.008\n"
	vncVeNCrypt = 19
	vncX509None = 260

	vncSetPixelFormat, vncSetEncodings, vncUpdateRequest, vncKeyEvent, vncPointerEvent, vncCutText = 0, 2, 3, 4, 5, 6
)

// The desktop, of 32 bits a pixel.
const (
	vncWidth, vncHeight = 2, 1
	vncName             = "demo"
	vncPixels           = "\x00\x00\xff\x00\x00\xff\x00\x00"
)

// vncMaxText is how long what a client has cut may be, in bytes.
const vncMaxText = 1000

func vncServers(servers map[string]protocol) {
	servers["vnc"] = protocol{
		upgrade: vncUpgrade,
		session: vncSession,
		talk: []string{
			"\x01",                             // ClientInit: others may stay
			"\x02\x00\x00\x01\x00\x00\x00\x00", // SetEncodings: raw
			"\x03\x00\x00\x00\x00\x00\x00\x02\x00\x01", // FramebufferUpdateRequest: all of it
		},
		packets: &Packets{Split: vncSplit, Name: vncPacketName},
	}
}

func vncSend(c *conn, packet string) error {
	_, err := io.WriteString(c.Conn, packet)
	return err
}

// vncFail says why the connection ends here, behind what stands for the failure.
func vncFail(c *conn, failure, reason string) error {
	return errors.Join(vncSend(c, failure+string(binary.BigEndian.AppendUint32(nil, uint32(len(reason))))+reason), errors.New(reason))
}

// vncRead reads n bytes.
func vncRead(c *conn, n int) (string, error) {
	b := make([]byte, n)
	_, err := io.ReadFull(c.r, b)
	return string(b), err
}

// vncUpgrade offers VeNCrypt with the sub-type X509None alone.
func vncUpgrade(c *conn) error {
	if err := vncSend(c, vncVersion); err != nil {
		return err
	}
	version, err := vncRead(c, len(vncVersion))
	switch {
	case err != nil:
		return err
	case version == "RFB 003.003\n":
		return vncFail(c, "\x00\x00\x00\x00", "not without TLS")
	case version != vncVersion && version != "RFB 003.007\n":
		return errors.New("a version that is not known")
	}
	if err := vncSend(c, string([]byte{1, vncVeNCrypt})); err != nil {
		return err
	}
	if choice, err := vncRead(c, 1); err != nil || choice[0] != vncVeNCrypt {
		return errors.Join(err, errors.New("not the type that was offered"))
	}
	if err := vncSend(c, "\x00\x02"); err != nil {
		return err
	}
	if choice, err := vncRead(c, 2); err != nil || choice != "\x00\x02" {
		return errors.Join(err, vncSend(c, "\xff"), errors.New("not the version that was offered"))
	}
	offer := binary.BigEndian.AppendUint32([]byte{0, 1}, vncX509None)
	if err := vncSend(c, string(offer)); err != nil {
		return err
	}
	choice, err := vncRead(c, 4)
	if err != nil {
		return err
	}
	if binary.BigEndian.Uint32([]byte(choice)) != vncX509None {
		return vncFail(c, "\x00\x00\x00\x01", "no such sub-type")
	}
	return vncSend(c, "\x01")
}

// vncSession shows the desktop once, and ends.
func vncSession(c *conn) error {
	if err := vncSend(c, "\x00\x00\x00\x00"); err != nil { // SecurityResult
		return err
	}
	if _, err := vncRead(c, 1); err != nil { // ClientInit
		return err
	}
	b := binary.BigEndian.AppendUint16(nil, vncWidth)
	b = binary.BigEndian.AppendUint16(b, vncHeight)
	b = append(b, 32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 16, 8, 0, 0, 0, 0)
	b = binary.BigEndian.AppendUint32(b, uint32(len(vncName)))
	if err := vncSend(c, string(b)+vncName); err != nil {
		return err
	}
	for {
		kind, err := c.r.ReadByte()
		if err != nil {
			return err
		}
		switch kind {
		case vncSetPixelFormat:
			_, err = vncRead(c, 19)
		case vncSetEncodings:
			err = vncSkip(c, 1, 2, 4)
		case vncKeyEvent:
			_, err = vncRead(c, 7)
		case vncPointerEvent:
			_, err = vncRead(c, 5)
		case vncCutText:
			err = vncSkip(c, 3, 4, 1)
		case vncUpdateRequest:
			if _, err := vncRead(c, 9); err != nil {
				return err
			}
			update := binary.BigEndian.AppendUint16([]byte{0, 0, 0, 1, 0, 0, 0, 0}, vncWidth)
			update = binary.BigEndian.AppendUint16(update, vncHeight)
			return vncSend(c, string(update)+"\x00\x00\x00\x00"+vncPixels)
		default:
			err = errors.New("a message that is not known")
		}
		if err != nil {
			return err
		}
	}
}

// vncSkip skips padding, and elements of so many bytes behind their number.
func vncSkip(c *conn, padding, number, element int) error {
	b, err := vncRead(c, padding+number)
	if err != nil {
		return err
	}
	n := 0
	for _, digit := range []byte(b[padding:]) {
		n = n<<8 | int(digit)
	}
	if n > vncMaxText {
		return errors.New("a message that is too long")
	}
	_, err = vncRead(c, n*element)
	return err
}

// vncSplit cuts what the server says inside TLS: SecurityResult, ServerInit, which starts with
// the width, and FramebufferUpdate.
func vncSplit(data []byte, atEOF bool) (int, []byte, error) {
	n := 0
	switch {
	case len(data) < 4:
	case binary.BigEndian.Uint32(data) == 0:
		n = 4
	case binary.BigEndian.Uint16(data) == 0:
		n = 16 + len(vncPixels)
	case len(data) >= 24:
		n = 24 + int(binary.BigEndian.Uint32(data[20:]))
	}
	switch {
	case n > 0 && n <= len(data):
		return n, data[:n], nil
	case atEOF && len(data) > 0:
		return len(data), data, nil
	}
	return 0, nil, nil
}

// vncPacketName names a packet of either side.
func vncPacketName(p []byte) string {
	switch {
	case len(p) == 1:
		return "ClientInit: shared"
	case len(p) == 8 && p[0] == vncSetEncodings:
		return "SetEncodings: raw"
	case len(p) == 10 && p[0] == vncUpdateRequest:
		return "FramebufferUpdateRequest"
	case string(p) == "\x00\x00\x00\x00":
		return "SecurityResult: OK"
	case len(p) == 16+len(vncPixels) && p[1] == 0:
		return fmt.Sprintf("FramebufferUpdate: %x", p[16:])
	case len(p) > 24:
		return fmt.Sprintf("ServerInit: %dx%d, %s", binary.BigEndian.Uint16(p), binary.BigEndian.Uint16(p[2:]), p[24:])
	}
	return string(p)
}
