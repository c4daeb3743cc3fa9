package suggest

import "testing"

func TestClosest(t *testing.T) {
	known := []string{"starttls", "starttls-proto", "starttls-after", "verify-hostname", "x509cafile", "x509certfile", "port", "p", "no-crlf", "list"}
	for word, want := range map[string]string{
		"starttsl":         "starttls",
		"STARTTLS":         "starttls",
		"start-tls":        "starttls",
		"starttls-prot":    "starttls-proto",
		"starttls-protcol": "starttls-proto",
		"x509-cafile":      "x509cafile",
		"x509":             "x509cafile",
		"x509c":            "x509cafile",
		"verify":           "verify-hostname",
		"prot":             "port",
		"lst":              "list",
		"nocrlf":           "no-crlf",
		"foo":              "",
		"q":                "",
		"":                 "",
		"po":               "",
		"insecure":         "",
		"häfen":            "",
	} {
		if got := Closest(word, known); got != want {
			t.Errorf("Closest(%q) = %q, want %q", word, got, want)
		}
	}
}
