package realserver

import (
	"strings"
	"testing"
)

// A turn is what the user says, and what is in the answer.
type turn struct{ say, hear string }

// tlsupTurns runs the program with all that is to be said at its stdin, and expects all answers.
// A server that has taken more than half a second for one, on a busy machine, is asked again.
func tlsupTurns(t *testing.T, turns []turn, args ...string) result {
	t.Helper()
	var said string
	for _, turn := range turns {
		said += turn.say
	}
	for tries := 5; ; tries-- {
		got := tlsup(t, said, args...)
		missing := unheard(got.stdout, turns)
		if missing == nil {
			return got
		}
		if tries == 0 {
			t.Errorf("%q is not answered with %q", missing.say, missing.hear)
			return got
		}
	}
}

// unheard returns the first turn whose answer is missing, or nil.
func unheard(answers string, turns []turn) *turn {
	for _, turn := range turns {
		_, rest, ok := strings.Cut(answers, turn.hear)
		if !ok {
			return &turn
		}
		answers = rest
	}
	return nil
}
