package negotiate

import "testing"

func FuzzSMTP(f *testing.F) { fuzzUpgrade(f, "smtp") }
func FuzzLMTP(f *testing.F) { fuzzUpgrade(f, "lmtp") }

func TestRecogniseSMTP(t *testing.T) {
	for _, test := range []struct {
		greeting   string
		smtp, lmtp bool
	}{
		{"220 mail.example.org ESMTP Postfix\r\n", true, false},
		{"220 mail.example.org ready\r\n", true, false},
		{"220 mail.example.org LMTP ready\r\n", false, true},
		{"220 FTP server ready\r\n", false, false},
		{"554 5.5.0 Error: SMTP protocol synchronization\r\n", true, false},
		{"554 no\r\n", false, false},
		{"* OK ready\r\n", false, false},
		{"", false, false},
	} {
		for name, want := range map[string]bool{"smtp": test.smtp, "lmtp": test.lmtp} {
			checkRecognised(t, name, test.greeting, want)
		}
	}
}
