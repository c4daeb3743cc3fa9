package negotiate

import "testing"

func FuzzSMTP(f *testing.F) { fuzzUpgrade(f, "smtp") }
func FuzzLMTP(f *testing.F) { fuzzUpgrade(f, "lmtp") }

func TestSMTPRecognise(t *testing.T) {
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
			if Find(name).Recognise([]byte(test.greeting)) != want {
				t.Errorf("%q: recognised as %s: %v", test.greeting, name, !want)
			}
		}
	}
}
