package negotiate

import (
	"strings"
	"testing"
)

func FuzzMTQP(f *testing.F) { fuzzUpgrade(f, "mtqp") }

// TestMTQPBounds feeds options that never come to an end.
func TestMTQPBounds(t *testing.T) {
	checkBounds(t, "mtqp", "+OK+/MTQP x\r\n"+strings.Repeat("x\r\n", 2*MaxLines), ErrTooLong, 2*4096)
	checkBounds(t, "mtqp", "+OK+/MTQP "+strings.Repeat("x", 2*MaxBytes), ErrTooLong, MaxBytes)
}

func TestRecogniseMTQP(t *testing.T) {
	for greeting, want := range map[string]bool{
		"+OK/MTQP MTQP server ready\r\n":  true,
		"+OK+/MTQP MTQP server ready\r\n": true,
		"+ok+/mtqp\r\n":                   true,
		"+OK POP3 ready\r\n":              false,
		"+OK+/MTQPX\r\n":                  false,
		"":                                false,
	} {
		checkRecognised(t, "mtqp", greeting, want)
		if want {
			checkRecognised(t, "pop3", greeting, false)
		}
	}
}
