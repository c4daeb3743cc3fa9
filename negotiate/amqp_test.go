package negotiate

import (
	"strings"
	"testing"
)

func FuzzAMQP(f *testing.F) { fuzzUpgrade(f, "amqp") }

// TestAMQPReasons checks that a caller can tell why there was no upgrade.
func TestAMQPReasons(t *testing.T) {
	checkReasons(t, "amqp", map[string]error{
		"0-9-1":            ErrNotOffered,
		"sasl":             ErrNotOffered,
		"other-version":    ErrNotOffered,
		"almost":           ErrUnexpected,
		"closed-in-header": ErrClosed,
		"tls-alert":        ErrTLS,
	})
}

// TestAMQPBounds feeds what is no header.
func TestAMQPBounds(t *testing.T) {
	checkBounds(t, "amqp", strings.Repeat("x", 2*MaxBytes), ErrUnexpected, 4096)
	checkBounds(t, "amqp", "AMQP"+strings.Repeat("x", 2*MaxBytes), ErrNotOffered, 4096)
}
