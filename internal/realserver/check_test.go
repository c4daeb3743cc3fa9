package realserver

import (
	"encoding/json"
	"encoding/pem"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tlsup/internal/jsontest"
	"tlsup/internal/report"
)

// TestCheck checks many servers side by side.
func TestCheck(t *testing.T) {
	t.Parallel()
	var schemes, targets []string
	args := []string{"--starttls-name", Domain}
	servers := []*Server{Postfix(t), Dovecot(t), Prosody(t), Slapd(t), Upsd(t), NATS(t), Vsftpd(t)}
	for _, s := range servers {
		for _, scheme := range s.program.schemes {
			if s.Ports[scheme] != 0 { // it has no port of its own here
				schemes, targets = append(schemes, scheme), append(targets, s.target(scheme))
			}
		}
		args = append(args, "--x509cafile", s.CAFile())
	}
	with := func(options ...string) []string { return slices.Concat([]string{"check"}, args, options) }

	t.Run("json", func(t *testing.T) {
		got := tlsup(t, "", with(append(targets, "--json", "--timeline", "--jobs", "6")...)...)
		got.must(t, 0, `{"format":1,`)
		jsontest.Compile(t, report.Schema).Lines(t, got.stdout, len(targets))
		i := 0
		for line := range strings.Lines(got.stdout) {
			var r report.Report
			if err := json.Unmarshal([]byte(line), &r); err != nil {
				t.Fatal(err)
			}
			upgraded := find(t, schemes[i]).Upgrade != nil
			if r.Target != targets[i] || r.Protocol != schemes[i] || !r.Verification.Trusted || r.TLS.Version != "TLS 1.3" || upgraded != (r.Milliseconds.Upgrade != nil) {
				t.Errorf("%s: the report is %s", targets[i], line)
			}
			if n := len(r.Timeline); n < 5 || !slices.ContainsFunc(r.Timeline, func(e report.Event) bool { return strings.HasPrefix(e.Text, "ClientHello, ") }) {
				t.Errorf("%s: %d events of the timeline: %+v", targets[i], n, r.Timeline)
			}
			i++
		}
	})
	t.Run("table", func(t *testing.T) {
		port, err := freePort(servers[0].Ports)
		if err != nil {
			t.Fatal(err)
		}
		list := filepath.Join(t.TempDir(), "list")
		if err := os.WriteFile(list, []byte("# ours\n"+strings.Join(targets, "\n")+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		closed := (&Server{Ports: map[string]int{"imaps": port}}).target("imaps")
		got := tlsup(t, "", with("--targets", list, closed)...)
		got.must(t, 3, "TARGET ")
		lines := strings.Split(strings.TrimSpace(got.stdout), "\n")
		if len(lines) != len(targets)+2 || !strings.HasPrefix(lines[1], closed) || !strings.HasSuffix(lines[1], "connect: connection refused") {
			t.Errorf("the table is\n%s", got.stdout)
		}
		for _, line := range lines[2:] {
			if !strings.HasSuffix(line, "  trusted") {
				t.Error(line)
			}
		}
	})
	t.Run("print-cert", func(t *testing.T) {
		got := tlsup(t, strings.Join(targets, "\n"), with("--print-cert", "--targets", "-")...)
		got.must(t, 0, "# "+targets[0]+": CN="+Host+", issued by CN=tlsup throwaway authority\n")
		var n int
		for block, rest := pem.Decode([]byte(got.stdout)); block != nil; block, rest = pem.Decode(rest) {
			n++
		}
		if n != len(targets) {
			t.Errorf("%d certificates of %d servers", n, len(targets))
		}
	})
	t.Run("expires-in", func(t *testing.T) {
		got := tlsup(t, "", with(append(targets, "--expires-in", "2d")...)...)
		got.must(t, 6, "verify: certificate CN="+Host+" ends on ")
		if n := strings.Count(got.stdout, "sooner than in 2d"); n != len(targets) {
			t.Errorf("%d of %d end too soon:\n%s", n, len(targets), got.stdout)
		}
	})
	t.Run("scan", func(t *testing.T) {
		got := tlsup(t, "", with("--scan", "--json", servers[0].target("smtp"))...)
		got.must(t, 0, `"accepted":true`)
		jsontest.Compile(t, report.Schema).Lines(t, got.stdout, 1)
		var r report.Report
		if err := json.Unmarshal([]byte(got.stdout), &r); err != nil {
			t.Fatal(err)
		}
		for _, try := range r.Scan.Versions {
			if modern := try.Name >= "TLS 1.2"; try.Accepted == nil || modern && !*try.Accepted || try.Weak == modern {
				t.Errorf("%+v", try)
			}
		}
		if r.Scan.Incomplete != nil || r.Scan.Chosen13 == nil {
			t.Errorf("%+v", r.Scan)
		}
	})
}
