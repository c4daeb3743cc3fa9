package negotiate

import "testing"

func FuzzSMTP(f *testing.F) { fuzzUpgrade(f, "smtp") }
func FuzzLMTP(f *testing.F) { fuzzUpgrade(f, "lmtp") }
