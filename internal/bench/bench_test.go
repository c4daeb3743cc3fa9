package main

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

// doNothing in the environment makes this program end at once.
const doNothing = "TLSUP_BENCH_DO_NOTHING"

func TestMain(m *testing.M) {
	asProcess(os.Args) // the server and the starters are this program too
	if os.Getenv(doNothing) != "" {
		return // in the place of tlsup
	}
	os.Exit(m.Run())
}

// walls returns samples that have taken so many milliseconds.
func walls(ms ...int) []sample {
	var all []sample
	for _, n := range ms {
		d := time.Duration(n) * time.Millisecond
		all = append(all, sample{Wall: d, CPU: d / 2, RSS: int64(n) << 20, P99: 2 * d})
	}
	return all
}

// TestBuildTags measures the program that "make" builds.
func TestBuildTags(t *testing.T) {
	makefile, err := os.ReadFile("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(makefile, []byte("\nTAGS = "+buildTags+"\n")) {
		t.Errorf("the Makefile has other tags than %s", buildTags)
	}
}

func TestMedian(t *testing.T) {
	for _, test := range []struct {
		samples []sample
		want    float64
	}{
		{walls(30), 0.030},
		{walls(30, 10), 0.020},
		{walls(90, 10, 30), 0.030},
		{walls(10, 40, 90, 20), 0.030},
	} {
		if got := median(test.samples, figures[0].of); math.Abs(got-test.want) > 1e-9 {
			t.Errorf("median of %v is %v, want %v", test.samples, got, test.want)
		}
	}
}

func TestRatios(t *testing.T) {
	rows := []row{
		{Client: subject, Samples: walls(20, 30, 40)},
		{Client: "slow", Samples: walls(100, 100, 100)},
		{Client: "best", Samples: walls(20, 20, 20)},
		{Client: "failed", Samples: walls(1), Failed: "in the second round"},
		{Client: "nothing known", Samples: walls(0, 0, 0)},
		{Client: "unable", NotMeasured: "can't"},
	}
	got := ratios(rows)
	if len(got) != len(figures) {
		t.Fatalf("ratios %v", got)
	}
	for i, r := range got {
		if want := (ratio{figures[i].Name, "best", 1.5, 1, 2}); r != want {
			t.Errorf("ratio %v, want %v", r, want)
		}
	}
	rows[0].Samples[0].RSS, rows[2].Samples = 0, walls(20, 20, 20)
	for i := range rows[2].Samples {
		rows[2].Samples[i].RSS, rows[1].Samples[i].RSS = 0, 0 // the system does not tell
	}
	if got := ratios(rows); len(got) != len(figures)-1 {
		t.Errorf("ratios %v", got)
	}
	if got := ratios(rows[1:]); got != nil {
		t.Errorf("ratios %v without %s", got, subject)
	}
	if got := ratios(rows[:1]); got != nil {
		t.Errorf("ratios %v without peers", got)
	}
}

func TestPrint(t *testing.T) {
	b := &bench{
		System: "plan9/mips", CPUs: 3, Rounds: 3, Size: 10 << 20, Sessions: 5, Missing: []string{"socat"},
		Clients: []client{{Name: subject, TLS: "tlsup HOST"}, {Name: "peer", Version: "peer 1.0", TLS: "peer HOST"}},
		Tunnels: []forwarder{{Name: "forwarder", Version: "1.2", Command: "forwarder $CONFIG", Config: "[a]\n\tto $WAY\n", Ways: map[string]string{"tls": "$PORT"}}},
		Works: []table{{work: works[0], Rows: []row{
			{Client: subject, Samples: walls(20, 30, 40), Suite: "TLS"},
			{Client: "peer", Samples: walls(20, 20, 20), Suite: "TLS"},
			{Client: "bad", Failed: "exit status 1"},
			{Client: "unable", NotMeasured: "can't"},
		}}, {work: idleWorks(100)[0], Rows: []row{{Client: subject, Samples: walls(20), Suite: "TLS"}}}},
	}
	b.Works[0].Ratios = ratios(b.Works[0].Rows)
	var out strings.Builder
	if err := b.print(&out); err != nil {
		t.Fatal(err)
	}
	want := `plan9/mips, 3 CPUs; medians of 3 rounds, 10.0 MiB in a transfer, 5 sessions in a round, 40 through a tunnel
not installed, so not measured: socat

tlsup      of this module
             tlsup HOST
peer       peer 1.0
             peer HOST
forwarder  1.2
             forwarder $CONFIG
             [a]
               to $PORT

upload: a file to the server
  by      wall     rate         CPU      CPU/GiB    peak RSS  server's CPU  
  tlsup   30.0 ms  333.3 MiB/s  15.0 ms  1536.0 ms  30.0 MiB  -             TLS
  peer    20.0 ms  500.0 MiB/s  10.0 ms  1024.0 ms  20.0 MiB  -             TLS
  bad     -        -            -        -          -         -             failed: exit status 1
  unable  -        -            -        -          -         -             not measured: can't

tunnel-idle-100: 100 connections on which nothing moves
  by     RSS over the empty tunnel  
  tlsup  20.0 MiB                   TLS

tlsup / best peer, in this run (lowest to highest of the rounds); less is better
  work             wall                      CPU                       RSS                       p99
  upload           1.50 (1.00 to 2.00) peer  1.50 (1.00 to 2.00) peer  1.50 (1.00 to 2.00) peer  1.50 (1.00 to 2.00) peer
  tunnel-idle-100  -                         -                         -                         -
`
	if out.String() != want {
		t.Errorf("printed\n%s\nwant\n%s", out.String(), want)
	}
	if err := b.failures(); err == nil || err.Error() != "upload: bad: exit status 1" {
		t.Errorf("failures: %v", err)
	}
}

// TestTargets: each is for a work and a figure that there are.
func TestTargets(t *testing.T) {
	all := slices.Concat(works, tunnelWorks)
	for _, target := range targets {
		if !slices.ContainsFunc(all, func(w work) bool { return w.Name == target.Work }) ||
			!slices.ContainsFunc(figures, func(f figure) bool { return f.Name == target.Figure }) || target.Goal >= target.Must {
			t.Errorf("%+v", target)
		}
	}
}

func TestVerdicts(t *testing.T) {
	b := &bench{Works: []table{{work: work{Name: "starttls"}, Rows: []row{
		{Client: subject, Samples: walls(20, 20)},
		{Client: "openssl", Samples: walls(10, 10)},
		{Client: "gnutls-cli", Samples: walls(100, 50)},
	}}, {work: work{Name: "tunnel-idle-100"}, Rows: []row{{Client: subject, Samples: walls(20)}}}}}
	b.Verdicts = b.verdicts()
	var out strings.Builder
	b.printVerdicts(&out)
	want := `
tlsup / best peer, medians of this run; less is better

| what                   | figure | tlsup / peer | of the rounds | peer       | must | goal |              |
| ---------------------- | ------ | ------------ | ------------- | ---------- | ---- | ---- | ------------ |
| e short session        | wall   | 0.27         | 0.20 to 0.40  | gnutls-cli | 0.25 | 0.17 | MISSED       |
| e short session        | CPU    | 0.27         | 0.20 to 0.40  | gnutls-cli | 1.20 | 1.00 | goal         |
| f 100 idle in a tunnel | RSS    | -            | -             |            | 1.40 | 1.15 | not measured |
`
	if out.String() != want {
		t.Errorf("printed\n%s\nwant\n%s", out.String(), want)
	}
}

// TestPlot is well-formed, and has a point for each figure.
func TestPlot(t *testing.T) {
	g := &growth{
		Connections: []load{{1, 1 << 20, 900, 1}, {1000, 30 << 20, 1000, 1}},
		Records:     []flow{{256, 10, 9000}, {16 << 10, 900, 900}},
		Chunks:      []flow{{256, 10, 9000}},
	}
	plot := g.plot()
	if err := xml.Unmarshal([]byte(plot), new(struct{})); err != nil {
		t.Error(err)
	}
	if n := strings.Count(plot, "<circle "); n != 7 || strings.Contains(plot, "NaN") || strings.Contains(plot, "Inf") {
		t.Errorf("%d points in\n%s", n, plot)
	}
	for _, label := range []string{">1000<", ">16 KiB<", ">256 B<"} {
		if !strings.Contains(plot, label) {
			t.Errorf("no %s in\n%s", label, plot)
		}
	}
}

func TestPayload(t *testing.T) {
	const size = 2*chunk + 1000
	var whole bytes.Buffer
	if n, err := io.Copy(&whole, &source{size: size}); n != size || err != nil {
		t.Fatal(n, err)
	}
	read, err := io.ReadAll(iotest.HalfReader(&source{size: size}))
	if err != nil || !bytes.Equal(read, whole.Bytes()) {
		t.Fatalf("%d bytes read, which are not those written, %v", len(read), err)
	}
	for _, test := range []struct {
		name   string
		change func([]byte) []byte
		want   string
	}{
		{"unchanged", func(b []byte) []byte { return b }, ""},
		{"short", func(b []byte) []byte { return b[1:] }, "525287 bytes have come, not 525288"},
		{"altered", func(b []byte) []byte { b[size-1]++; return b }, "the 525288 bytes that have come are not those that were sent"},
	} {
		var in sink
		in.Write(test.change(slices.Clone(read)))
		if err := in.check(size); test.want == "" && err != nil || test.want != "" && (err == nil || err.Error() != test.want) {
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
		}
	}
}

func TestArgs(t *testing.T) {
	got := args("openssl s_client -CAfile CA -connect h:PORT,cafile=CA", "prog", "/my dir/PORT", 25)
	want := []string{"prog", "s_client", "-CAfile", "/my dir/PORT", "-connect", "h:25,cafile=/my dir/PORT"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestRun lets everybody do every work once.
func TestRun(t *testing.T) {
	if testing.Short() {
		t.Skip("builds tlsup")
	}
	b := &bench{Rounds: 1, Size: 1 << 20, Sessions: 1, Idle: 100}
	if err := b.run(t.Context(), regexp.MustCompile(""), "", true); err != nil {
		t.Fatal(err)
	}
	if err := b.failures(); err != nil {
		t.Error(err)
	}
	if len(b.Missing) > 0 && os.Getenv("CI") == "true" {
		t.Errorf("not installed: %v", b.Missing)
	}
	for i, w := range slices.Concat(works, tunnelWorks) {
		if b.Works[i].Name != w.Name {
			t.Fatalf("%s in the place of %s", b.Works[i].Name, w.Name)
		}
		for _, r := range b.Works[i].Rows {
			checkRow(t, w, r)
		}
	}
	for _, v := range b.Verdicts {
		if v.Ratio == 0 && len(b.Missing) == 0 && v.Work != "tunnel-idle-1000" && v.Work != "tunnel-idle-5000" && runtime.GOOS == "linux" {
			t.Errorf("no ratio: %+v", v)
		}
	}
	if want := 3; runtime.GOOS == "linux" && len(b.Growth.Connections) != want || len(b.Growth.Records) != len(records) || len(b.Growth.Chunks) != len(chunks) {
		t.Errorf("growth %+v", b.Growth)
	}
	if len(b.Missing) > 0 && os.Getenv("CI") == "true" {
		t.Errorf("not installed: %v", b.Missing)
	}
	var back struct {
		Works []struct{ Name string }
	}
	if text, err := json.Marshal(b); err != nil || json.Unmarshal(text, &back) != nil || back.Works[0].Name != "upload" {
		t.Errorf("JSON %v, %+v", err, back)
	}
}

// checkRow asserts that there are figures where they are due.
func checkRow(t *testing.T, w work, r row) {
	t.Helper()
	suite := "TLS 1.3 TLS_AES_128_GCM_SHA256"
	if w.tunnel != nil && w.tunnel.way == "raw" {
		suite = "no TLS"
	}
	switch {
	case r.NotMeasured != "" && r.Client != subject || w.tunnel != nil && w.tunnel.atOnce > 100:
		return
	case r.NotMeasured == "this system does not tell" && w.kind == idle:
	case len(r.Samples) != 1 || !strings.HasPrefix(r.Suite, suite):
		t.Errorf("%s: %+v", w.Name, r)
	case w.kind == idle && r.Samples[0].RSS <= 0 || w.kind != idle && r.Samples[0].Wall <= 0:
		t.Errorf("%s: %+v", w.Name, r)
	}
}

// TestCall fills all places, in the configuration too.
func TestCall(t *testing.T) {
	f := forwarder{Name: "f", Command: "f -c $CONFIG $WAY", Config: "listen $LISTEN, $WAY", Ways: map[string]string{"tls": "to $PORT ca=$CA"}}
	argv, config := f.call("tls", places("/my dir/ca", "/c", 1, 2))
	if want := []string{"f", "-c", "/c", "to", "2", "ca=/my dir/ca"}; !slices.Equal(argv, want) {
		t.Errorf("%q, want %q", argv, want)
	}
	if want := "listen 1, to 2 ca=/my dir/ca"; config != want {
		t.Errorf("%q, want %q", config, want)
	}
}

// TestForwarderEnds: one that ends at once is named as what has failed, with its last words.
func TestForwarderEnds(t *testing.T) {
	b := &bench{Rounds: 1, Size: 1 << 20, Sessions: 1}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(doNothing, "1")
	if err := b.run(t.Context(), regexp.MustCompile("^tunnel-up-1$"), self, false); err != nil {
		t.Fatal(err)
	}
	if err := b.failures(); err == nil || !strings.Contains(err.Error(), "tunnel-up-1: tlsup: has ended: ") {
		t.Errorf("failures: %v", err)
	}
}

// TestFailure: a program that ends well but has not done the work has failed.
func TestFailure(t *testing.T) {
	b := &bench{Rounds: 1, Size: 1 << 20, Sessions: 1}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(doNothing, "1")
	if err := b.run(t.Context(), regexp.MustCompile("^upload$"), self, false); err != nil {
		t.Fatal(err)
	}
	if err := b.failures(); err == nil || !strings.Contains(err.Error(), "upload: tlsup: the answer is") {
		t.Errorf("failures: %v", err)
	}
	if r := b.Works[0].Ratios; r != nil {
		t.Errorf("ratios %v", r)
	}
}

func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	reason := errors.New("enough")
	cancel(reason)
	if err := (&bench{Rounds: 1, Size: 1, Sessions: 1}).run(ctx, regexp.MustCompile(""), "tlsup", false); !errors.Is(err, reason) {
		t.Errorf("error %v", err)
	}
}
