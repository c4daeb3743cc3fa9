package gnutls

import (
	"errors"
	"reflect"
	"testing"
)

func TestParse(t *testing.T) {
	for _, test := range []struct {
		args     []string
		has      []string
		values   map[string]string
		operands []string
	}{
		{[]string{"localhost"}, nil, nil, []string{"localhost"}},
		{[]string{"-p7001", "localhost", "--insecure", "extra"}, []string{"insecure"}, map[string]string{"port": "7001"}, []string{"localhost", "extra"}},
		{[]string{"-p", "7001", "localhost"}, nil, map[string]string{"port": "7001"}, []string{"localhost"}},
		{[]string{"-srVp7001", "localhost"}, []string{"starttls", "resume", "verbose"}, map[string]string{"port": "7001"}, []string{"localhost"}},
		{[]string{"localhost", "--port=7001"}, nil, map[string]string{"port": "7001"}, []string{"localhost"}},
		{[]string{"--port", "-1", "localhost"}, nil, map[string]string{"port": "-1"}, []string{"localhost"}},
		{[]string{"--insec", "--starttls-pro", "smtp", "localhost"}, []string{"insecure"}, map[string]string{"starttls-proto": "smtp"}, []string{"localhost"}},
		{[]string{"--app-proto=imap", "localhost"}, nil, map[string]string{"starttls-proto": "imap"}, []string{"localhost"}},
		{[]string{"--starttls", "localhost"}, []string{"starttls"}, nil, []string{"localhost"}}, // though others begin so
		{[]string{"-p", "1", "localhost", "-p", "2"}, nil, map[string]string{"port": "2"}, []string{"localhost"}},
		{[]string{"--", "-p", "1"}, nil, map[string]string{"port": ""}, []string{"-p", "1"}},
		{[]string{"-", "--crlf", "--", "--insecure"}, []string{"crlf"}, nil, []string{"-", "--insecure"}},
		{[]string{"-d4711", "--alpn=", "x"}, []string{"debug", "alpn"}, map[string]string{"debug": "4711", "alpn": ""}, []string{"x"}},
		{[]string{"--version=c", "--udp"}, []string{"version"}, map[string]string{"version": "c"}, nil},
		{[]string{"-v", "c"}, []string{"version"}, map[string]string{"version": ""}, []string{"c"}},
		{[]string{"-!"}, []string{"more-help"}, nil, nil},
		{[]string{"--no-tofu", "--no-dane", "x"}, nil, nil, []string{"x"}},
	} {
		l, err := Parse(test.args)
		if err != nil {
			t.Errorf("%q: %v", test.args, err)
			continue
		}
		for _, name := range test.has {
			if !l.Has(name) {
				t.Errorf("%q: no --%s", test.args, name)
			}
		}
		for name, want := range test.values {
			if got := l.Value(name); got != want {
				t.Errorf("%q: --%s is %q, want %q", test.args, name, got, want)
			}
		}
		if !reflect.DeepEqual(l.Operands, test.operands) {
			t.Errorf("%q: operands %q, want %q", test.args, l.Operands, test.operands)
		}
	}
}

func TestParseNegation(t *testing.T) {
	l, err := Parse([]string{"--no-ca-verification", "x"})
	if err != nil || !l.No("ca-verification") || l.Has("ca-verification") {
		t.Errorf("%v, %v", l, err)
	}
	l, err = Parse([]string{"--no-ca-ver", "--ca-verification", "x"})
	if err != nil || l.No("ca-verification") || !l.Has("ca-verification") {
		t.Errorf("the last one counts: %v, %v", l, err)
	}
	l, err = Parse([]string{"--dane", "--no-dane", "x"})
	if err != nil || l.Has("dane") {
		t.Errorf("the last one counts: %v, %v", l, err)
	}
}

func TestParseErrors(t *testing.T) {
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"--bogus"}, "unrecognized option '--bogus'"},
		{[]string{"--no-insecure"}, "unrecognized option '--no-insecure'"},
		{[]string{"--x\x1b"}, `unrecognized option '--x\x1b'`},
		{[]string{"--sa", "x"}, "option '--sa' is ambiguous; possibilities: '--save-cert' '--save-ocsp' '--save-ocsp-multi' '--save-server-trace' '--save-client-trace'"},
		{[]string{"--crlf=1"}, "option '--crlf' doesn't allow an argument"},
		{[]string{"--port"}, "option '--port' requires an argument"},
		{[]string{"-sp"}, "option requires an argument -- 'p'"},
		{[]string{"-sxp"}, "invalid option -- 'x'"},
		{[]string{"-sé"}, "invalid option -- 'é'"},
		{[]string{"--recordsize", "5000", "x"}, "recordsize option value 5000 is out of range"},
		{[]string{"--recordsize", "-1", "x"}, "recordsize option value -1 is out of range"},
		{[]string{"--keymatexportsize", "99999999999999999999", "x"}, "keymatexportsize option value 99999999999999999999 is out of range"},
		{[]string{"-d", "x", "x"}, "'x' is not a recognizable number."},
		{[]string{"--starttls-proto", "smtp", "-s", "x"}, "the 'starttls-proto' and 'starttls' options conflict"},
		{[]string{"-l", "-p", "1"}, "the 'list' and 'port' options conflict"},
		{[]string{"--save-ocsp=a", "--save-ocsp-multi=b", "x"}, "the 'save-ocsp' and 'save-ocsp-multi' options conflict"},
		{[]string{"--x509certfile=a", "x"}, "x509certfile option requires the x509keyfile options"},
		{[]string{"--x509crlfile=no such file", "x"}, `x509crlfile option: file "no such file" does not exist`},
	} {
		_, err := Parse(test.args)
		var syntax *SyntaxError
		if !errors.As(err, &syntax) || err.Error() != test.want {
			t.Errorf("%q: error %v, want %s", test.args, err, test.want)
		}
	}
}

// TestEachOption: none is ignored, and none fails without its name.
func TestEachOption(t *testing.T) {
	for _, o := range Options {
		arg := "--" + o.Name
		switch {
		case o.Kind == Number:
			arg += "=1"
		case o.Kind == File:
			arg += "=line_test.go"
		case o.Kind == Text && !o.Attached:
			arg += "=x"
		}
		args := []string{arg, "localhost"}
		for _, pair := range needs {
			if pair[0] == o.Name {
				args = append(args, "--"+pair[1]+"=x")
			}
		}
		l, err := Parse(args)
		var unsupported *UnsupportedError
		name := o.Name
		if o.Alias != "" {
			name = o.Alias
		}
		switch {
		case o.Standing == Works && (err != nil || !l.Has(name)):
			t.Errorf("%q: %v", args, err)
		case o.Standing != Works && (!errors.As(err, &unsupported) || unsupported.Option != o.Name):
			t.Errorf("%q: error %v", args, err)
		case o.Standing == Never && o.Here == "":
			t.Errorf("--%s: no reason is given", o.Name)
		}
	}
	if _, err := Parse([]string{"--x509cafile", "pkcs11:model=x", "localhost"}); !errors.As(err, new(*UnsupportedError)) {
		t.Errorf("PKCS #11: %v", err)
	}
}

// FuzzParse: whatever is given ends in a line or in an error of a known kind.
func FuzzParse(f *testing.F) {
	f.Add("-sp25", "--insec", "localhost")
	f.Add("--", "-x", "--port")
	f.Add("-", "--=", "-v=")
	f.Fuzz(func(t *testing.T, a, b, c string) {
		l, err := Parse([]string{a, b, c})
		if err == nil && l == nil || err != nil && !errors.As(err, new(*SyntaxError)) && !errors.As(err, new(*UnsupportedError)) {
			t.Errorf("%v, %v", l, err)
		}
		if err == nil && len(l.Operands) > 3 {
			t.Errorf("%d operands", len(l.Operands))
		}
	})
}
