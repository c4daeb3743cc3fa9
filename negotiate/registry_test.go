package negotiate

import (
	"strings"
	"testing"
)

// TestNamesAreUnique has no two protocols share a name or an alias, in any case.
func TestNamesAreUnique(t *testing.T) {
	owner := make(map[string]string)
	for _, p := range All() {
		for _, name := range append([]string{p.Name}, p.Aliases...) {
			key := strings.ToLower(name)
			if other, taken := owner[key]; taken {
				t.Errorf("%s and %s are both called %q", other, p.Name, name)
			}
			owner[key] = p.Name
		}
	}
}
