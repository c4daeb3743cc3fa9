package main

import (
	"testing"
	"time"

	"tlsup/negotiate"
)

// TestQuiet: a server that takes turns is given time for its answers, unless the command line
// says that close_notify is to be sent at once.
func TestQuiet(t *testing.T) {
	for _, p := range append(negotiate.All(), nil) { // nil is manual mode
		name, want := "by hand", 500*time.Millisecond
		if p != nil {
			name = p.Name
		}
		if p == negotiate.TLS() {
			want = 0
		}
		if got := (&session{}).quiet(p); got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
		if got := (&session{halfClose: true}).quiet(p); got != 0 {
			t.Errorf("%s with --half-close: %v", name, got)
		}
	}
}
