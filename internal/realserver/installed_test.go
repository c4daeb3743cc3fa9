package realserver

import "testing"

// TestInstalled says, in its messages, which protocols are not tried since their server
// is missing. In CI that is a failure.
func TestInstalled(t *testing.T) {
	for _, p := range programs {
		t.Run(p.name, func(t *testing.T) { p.find(t) })
	}
}
