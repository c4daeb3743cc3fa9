package negotiate

import (
	"encoding/binary"
	"strings"
	"testing"
)

func FuzzMySQL(f *testing.F)  { fuzzUpgrade(f, "mysql") }
func FuzzMySQLX(f *testing.F) { fuzzUpgrade(f, "mysqlx") }

// TestMySQLReasons checks that a caller can tell why there was no upgrade.
func TestMySQLReasons(t *testing.T) {
	checkReasons(t, "mysql", map[string]error{
		"not-offered":          ErrNotOffered,
		"not-offered-4.0":      ErrNotOffered,
		"protocol-9":           ErrNotOffered,
		"too-many-connections": ErrRefused,
		"host-blocked":         ErrRefused,
		"error-unknown":        ErrRefused,
		"error-no-code":        ErrUnexpected,
		"length-huge":          ErrUnexpected,
		"text":                 ErrUnexpected,
		"closed-in-packet":     ErrClosed,
		"tls-alert":            ErrTLS,
	})
	checkReasons(t, "mysqlx", map[string]error{
		"off":             ErrRefused,
		"error-malformed": ErrUnexpected,
		"other-message":   ErrUnexpected,
		"length-huge":     ErrUnexpected,
		"closed":          ErrClosed,
		"tls-alert":       ErrTLS,
	})
}

// TestMySQLBounds: no packet is read whose length is no first packet's, and notices come to
// an end.
func TestMySQLBounds(t *testing.T) {
	long := strings.Repeat("x", 2*MaxBytes)
	checkBounds(t, "mysql", "\xff\xff\xff\x00\x0a"+long, ErrUnexpected, 4096)
	checkBounds(t, "mysql", "\x01\x10\x00\x00\x0a"+long, ErrUnexpected, 4096)
	checkBounds(t, "mysqlx", "\x01\x40\x00\x00\x0b"+long, ErrUnexpected, 4096)
	checkBounds(t, "mysqlx", strings.Repeat("\x03\x00\x00\x00\x0b\x08\x01", MaxLines+1), ErrTooLong, MaxBytes)
	checkBounds(t, "mysqlx", strings.Repeat("\x00\x10\x00\x00\x0b\x1a\xfc\x1f"+strings.Repeat("x", 4092), 17), ErrTooLong, MaxBytes)
}

func TestRecogniseMySQL(t *testing.T) {
	for greeting, want := range map[string]bool{
		"J\x00\x00\x00\x0a":                    true,
		"J\x00\x00\x00\x0a8.0.40\x00":          true,
		"d\x00\x00\x00\x0a5.5.5-10.11.19-M":    true,
		"\x00\x01\x00\x00\x0a11.4.2-Maria":     true,
		"\x17\x00\x00\x00\xff\x10\x04Too m":    true,
		"\x17\x00\x00\x00\xff\x6a\x04Host":     true,
		"J\x00\x00\x00":                        false,
		"J\x00\x00\x01\x0a8.0.40\x00":          false, // not the first packet
		"\x10\x00\x00\x00\x0a8.0.40\x00":       false, // too short for one
		"J\x00\x01\x00\x0a8.0.40\x00":          false,
		"\xff\xff\x00\x00\x0a8.0.40\x00":       false,
		"J\x00\x00\x00\x0aHTTP":                false,
		"\x17\x00\x00\x00\xff":                 false, // it could be anything
		"\x17\x00\x00\x00\xff\x01\x00":         false,
		"\x17\x00\x00\x00\xff\xff\xff":         false,
		"\x05\x00\x00\x00\x0b\x08\x05\x1a\x00": false,
		"+OK\r\n":                              false,
		"220\n\n":                              false,
		"":                                     false,
	} {
		checkRecognised(t, "mysql", greeting, want)
	}
	for greeting, want := range map[string]bool{
		"\x05\x00\x00\x00\x0b\x08":             true,
		"\x05\x00\x00\x00\x0b\x08\x05\x1a\x00": true,
		"\x05\x00\x00\x00\x0b":                 false,
		"\x01\x00\x00\x00\x0b\x08":             false,
		"\x05\x00\x00\x00\x00\x08":             false,
		"\x05\x00\x01\x00\x0b\x08":             false,
		"J\x00\x00\x00\x0a8.0.40\x00":          false,
		"":                                     false,
	} {
		checkRecognised(t, "mysqlx", greeting, want)
	}
}

// FuzzMySQLGreeting checks that what is read of a packet was in it.
func FuzzMySQLGreeting(f *testing.F) {
	for _, name := range []string{"ok-mysql-8", "ok-mysql-4.1", "ok-short", "ok-mariadb"} {
		f.Add([]byte(readExchange(f, "testdata/mysql/"+name+".txt").moves[0].text)[4:])
	}
	f.Fuzz(func(t *testing.T, packet []byte) {
		if len(packet) == 0 {
			return
		}
		whole := string(packet)
		g, ok := parseMySQLGreeting(packet)
		if string(packet) != whole {
			t.Error("the packet was changed")
		}
		if !ok {
			return
		}
		if !strings.Contains(whole, g.version+"\x00") || !strings.Contains(whole, g.plugin) || len(g.scramble) < 8 || len(g.scramble) > len(packet) {
			t.Errorf("%q: %+v", packet, g)
		}
		if g.capabilities>>16 == 0 && !strings.Contains(whole, string(binary.LittleEndian.AppendUint16(nil, uint16(g.capabilities)))) {
			t.Errorf("%q: capabilities %x", packet, g.capabilities)
		}
	})
}

// FuzzProtobuf checks that the fields of a message are no longer than the message.
func FuzzProtobuf(f *testing.F) {
	f.Add(mysqlxSetTLS[5:])
	f.Add([]byte("\x08\x00\x10\x89\x27\x1a\x02no\x22\x05HY000"))
	f.Add([]byte("\x0d1234\x0912345678"))
	f.Fuzz(func(t *testing.T, message []byte) {
		fields, ok := parseProtobuf(message)
		if !ok && fields != nil {
			t.Errorf("%q: %v in spite of the error", message, fields)
		}
		total := 0
		for number, field := range fields {
			total += len(field.text)
			if number < 1 || number >= 1<<29 || !strings.Contains(string(message), field.text) {
				t.Errorf("%q: field %d is %v", message, number, field)
			}
		}
		if total > len(message) {
			t.Errorf("%q: fields of %d bytes", message, total)
		}
	})
}

// FuzzMySQLRefusal reads what stands where TLS is due. An error is all of it.
func FuzzMySQLRefusal(f *testing.F) {
	for _, x := range exchanges(f, Find("mysql")) {
		if last := x.moves[len(x.moves)-1]; last.server {
			f.Add([]byte(last.text))
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		words, _, ok := refusedInMySQLsTLS(text)
		if ok && (mysqlLength(text) != len(text)-4 || text[3] != 2 || text[4] != 0xff) {
			t.Errorf("%q is taken for %q", text, words)
		}
		if len(words) > len(text)+64 {
			t.Errorf("%q says more than was said in %q", words, text)
		}
	})
}
