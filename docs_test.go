package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"

	"tlsup/internal/realserver"
	"tlsup/internal/testca"
	"tlsup/internal/testserver"
	"tlsup/negotiate"
)

// The manual and the README are compared with the program: options, protocols, exit
// statuses, and each example.

var update = flag.Bool("update", false, "rewrite what the manual and the README say of each protocol")

const (
	manualFile = "man/tlsup.1"
	readmeFile = "README.md"
)

func readDoc(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// manualSection returns the lines of a section of the manual.
func manualSection(t *testing.T, name string) []string {
	t.Helper()
	_, rest, ok := strings.Cut(readDoc(t, manualFile), "\n.Sh "+name+"\n")
	if !ok {
		t.Fatalf("%s has no section %s", manualFile, name)
	}
	section, _, _ := strings.Cut(rest, "\n.Sh ")
	return strings.Split(section, "\n")
}

// A manualOption is one entry of the manual's list of options.
type manualOption struct {
	names []string // with their dashes
	value bool     // it takes one
	text  []string // the lines below
}

// mentions reports whether the entry's text says the words and, behind them, names the
// option.
func (o manualOption) mentions(words, option string) bool {
	_, rest, ok := strings.Cut(strings.Join(o.text, "\n"), words)
	return ok && slices.ContainsFunc(strings.Split(rest, "\n"), func(line string) bool {
		return slices.Contains(macroOptions(line), option)
	})
}

func manualOptions(t *testing.T) []manualOption {
	t.Helper()
	var options []manualOption
	for _, line := range manualSection(t, "OPTIONS") {
		if strings.HasPrefix(line, ".It Fl ") {
			options = append(options, manualOption{names: macroOptions(line), value: strings.Contains(line, " Ar ")})
		} else if len(options) > 0 {
			last := &options[len(options)-1]
			last.text = append(last.text, line)
		}
	}
	if len(options) == 0 {
		t.Fatalf("%s has no options", manualFile)
	}
	return options
}

var macroName = regexp.MustCompile(`^[A-Z][a-z]$`)

// macroOptions returns the options that a line of the manual names with the macro Fl,
// with their dashes.
func macroOptions(line string) []string {
	if !strings.HasPrefix(line, ".") {
		return nil
	}
	var options []string
	inside := false
	for _, word := range strings.Fields(line[1:]) {
		switch {
		case word == "Fl":
			inside = true
		case macroName.MatchString(word):
			inside = false
		case inside && word != "-" && !strings.Contains(",.;:()", word):
			options = append(options, "-"+word)
		}
	}
	return options
}

// dashed returns the names of an option as they are typed.
func dashed(f cli.Flag) []string {
	var names []string
	for _, name := range f.Names() {
		if len(name) > 1 {
			name = "-" + name
		}
		names = append(names, "-"+name)
	}
	return names
}

// programFlags are the options of the program and of its subcommands.
func programFlags() []cli.Flag {
	app := new(program).app(nil)
	flags := append(slices.Clone(app.Flags), cli.HelpFlag)
	for _, command := range app.Commands {
		flags = append(flags, command.Flags...)
	}
	return flags
}

func TestManualOptions(t *testing.T) {
	options := manualOptions(t)
	entry := func(name string) manualOption {
		i := slices.IndexFunc(options, func(o manualOption) bool { return slices.Contains(o.names, name) })
		if i < 0 {
			t.Errorf("the manual's OPTIONS lack %s", name)
			return manualOption{}
		}
		return options[i]
	}
	known := []string{"-N"}
	for _, f := range programFlags() {
		for _, name := range dashed(f) {
			known = append(known, name)
			if o := entry(name); !slices.Equal(sorted(o.names), sorted(dashed(f))) || o.value != takesValue(f) {
				t.Errorf("the manual has %v (takes a value: %v), the program %v (%v)", o.names, o.value, dashed(f), takesValue(f))
			}
		}
	}
	for _, line := range strings.Split(readDoc(t, manualFile), "\n") {
		for _, name := range macroOptions(line) {
			// -sv is the example of two short options put together.
			if !slices.Contains(known, name) && name != "-sv" {
				t.Errorf("the manual names %s, which does not exist: %s", name, line)
			}
		}
	}
	for _, pair := range conflicts {
		for _, p := range [][2]string{pair, {pair[1], pair[0]}} {
			if !entry("--"+p[0]).mentions("Cannot be used with", "--"+p[1]) {
				t.Errorf("the manual does not say that --%s cannot be used with --%s", p[0], p[1])
			}
		}
	}
	for _, pair := range needs {
		if !entry("--"+pair[0]).mentions("Needs", "--"+pair[1]) {
			t.Errorf("the manual does not say that --%s needs --%s", pair[0], pair[1])
		}
	}
	long := func(o manualOption) string { return o.names[len(o.names)-1] }
	if !slices.IsSortedFunc(options, func(a, b manualOption) int { return cmp.Compare(long(a), long(b)) }) {
		t.Errorf("the manual's options are not in alphabetical order")
	}
}

func sorted(s []string) []string { return slices.Sorted(slices.Values(s)) }

// TestDocCommands reads each command line in the documents as the program does.
func TestDocCommands(t *testing.T) {
	lines := map[string][]string{readmeFile: readmeCommands(t)}
	manual := strings.NewReplacer(`\-`, `-`, "\\e\n", " ", "|\n", "| ", `\e`, `\`).Replace(strings.Join(manualSection(t, "EXAMPLES"), "\n"))
	for _, line := range strings.Split(manual, "\n") {
		if command, ok := strings.CutPrefix(strings.TrimPrefix(line, ".Dl "), "$ "); ok {
			lines[manualFile] = append(lines[manualFile], command)
		}
	}
	for file, lines := range lines {
		read := 0
		for _, line := range lines {
			for _, command := range shellCommands(line) {
				if command[0] != "tlsup" {
					continue
				}
				read++
				if _, _, err := sortArguments(new(program).app(nil), command[1:]); err != nil {
					t.Errorf("%s: %s: %v", file, line, err)
				}
			}
		}
		if read == 0 {
			t.Errorf("%s has no example", file)
		}
	}
	for _, command := range new(program).app(nil).Commands {
		for _, file := range []string{manualFile, readmeFile} {
			if text := strings.ReplaceAll(readDoc(t, file), ".Cm ", "tlsup "); !strings.Contains(text, "tlsup "+command.Name) {
				t.Errorf("%s does not have the command %s", file, command.Name)
			}
		}
	}
}

var shellWord = regexp.MustCompile(`'[^']*'|"[^"]*"|[|&;]+|[<>]\S+|[^\s'"|&;<>]+`)

// shellCommands returns the simple commands in a line of shell, without redirections.
func shellCommands(line string) (commands [][]string) {
	var command []string
	for _, word := range append(shellWord.FindAllString(line, -1), ";") {
		switch {
		case strings.ContainsAny(word[:1], "|&;"):
			if len(command) > 0 {
				commands = append(commands, command)
			}
			command = nil
		case word[0] != '<' && word[0] != '>':
			command = append(command, strings.Trim(word, `'"`))
		}
	}
	return commands
}

// starts says how TLS starts.
func starts(p *negotiate.Protocol) string {
	switch {
	case p == negotiate.Auto():
		return "recognised"
	case p.Upgrade == nil:
		return "first byte"
	}
	return "upgrade"
}

func portText(p *negotiate.Protocol) string {
	if p.Port == 0 {
		return "-"
	}
	return strconv.Itoa(p.Port)
}

func sibling(p *negotiate.Protocol) string { return cmp.Or(p.Implicit, p.Sibling, "-") }

func TestManualProtocols(t *testing.T) {
	rows := []string{`.Bl -column "0123456789abcdef" "65535" "recognised" "sibling"`, ".It Em name Ta Em port Ta Em TLS Ta Em sibling"}
	var aliases []string
	for _, p := range negotiate.All() {
		rows = append(rows, fmt.Sprintf(".It Cm %s Ta %s Ta %s Ta %s", p.Name, portText(p), starts(p), sibling(p)))
		for _, alias := range p.Aliases {
			aliases = append(aliases, fmt.Sprintf("%s is %s", alias, p.Name))
		}
	}
	rows = append(rows, ".El", ".Pp", "Other names:")
	compareLines(t, manualFile, `.\" protocols: begin`, `.\" protocols: end`, append(rows, strings.Split(strings.Join(aliases, ",\n")+".", "\n")...))
}

func TestManualStandards(t *testing.T) {
	names := map[string][]string{} // of the protocols, by specification
	for _, p := range negotiate.All() {
		for _, spec := range p.Specs {
			names[spec] = append(names[spec], p.Name)
		}
	}
	rows := []string{`.Bl -tag -width "RFC 0000" -compact`}
	for _, spec := range slices.Sorted(maps.Keys(names)) {
		rows = append(rows, ".It "+spec, strings.Join(names[spec], ", "))
	}
	compareLines(t, manualFile, `.\" standards: begin`, `.\" standards: end`, append(rows, ".El"))
}

func TestReadmeProtocols(t *testing.T) {
	rows := []string{"| name | port | TLS | sibling | ALPN | specification | what it is | tested against |", "| --- | --- | --- | --- | --- | --- | --- | --- |"}
	for _, p := range negotiate.All() {
		cells := []string{
			"`" + strings.Join(append([]string{p.Name}, p.Aliases...), "`, `") + "`",
			portText(p), starts(p), sibling(p), cmp.Or(strings.Join(p.ALPN, ", "), "-"),
			cmp.Or(specLinks(p.Specs), "-"), p.Title, list(p.Servers),
		}
		rows = append(rows, "| "+strings.Join(cells, " | ")+" |")
	}
	compareLines(t, readmeFile, "<!-- protocols: begin", "<!-- protocols: end", rows)
}

// specLinks turns RFCs and XEPs into links.
func specLinks(specs []string) string {
	var links []string
	for _, spec := range specs {
		if n, ok := strings.CutPrefix(spec, "RFC "); ok {
			spec = fmt.Sprintf("[%s](https://www.rfc-editor.org/rfc/rfc%s)", spec, n)
		} else if n, ok := strings.CutPrefix(spec, "XEP-"); ok {
			spec = fmt.Sprintf("[%s](https://xmpp.org/extensions/xep-%s.html)", spec, n)
		}
		links = append(links, spec)
	}
	return strings.Join(links, ", ")
}

// realServer is a server's name and schemes.
var realServer = regexp.MustCompile(`\n\tname:\s+"([^"]+)",(?:\n\t\S.*)*?\n\tschemes:\s+\[\]string\{(.*)\}`)

// TestServers: the registry names the servers that internal/realserver starts, and no others.
func TestServers(t *testing.T) {
	servers := realServers(t)
	for _, p := range negotiate.All() {
		if want := slices.Sorted(slices.Values(servers[p.Name])); !slices.Equal(slices.Sorted(slices.Values(p.Servers)), want) {
			t.Errorf("%s: tested against %v, not %v", p.Name, want, p.Servers)
		}
	}
}

// realServers returns which servers internal/realserver starts for each protocol.
func realServers(t *testing.T) map[string][]string {
	t.Helper()
	files, err := filepath.Glob("internal/realserver/*.go")
	if err != nil {
		t.Fatal(err)
	}
	servers := map[string][]string{}
	for _, file := range files {
		source := readDoc(t, file)
		for _, server := range realServer.FindAllStringSubmatch(source, -1) {
			for _, scheme := range strings.Split(server[2], ",") {
				scheme = strings.Trim(scheme, ` "`)
				servers[scheme] = append(servers[scheme], server[1])
			}
		}
	}
	return servers
}

// compareLines compares what is generated between two lines of a file, given by their
// beginnings, or rewrites it.
func compareLines(t *testing.T, file, begin, end string, rows []string) {
	t.Helper()
	lines := strings.Split(readDoc(t, file), "\n")
	starting := func(s string) int {
		return slices.IndexFunc(lines, func(line string) bool { return strings.HasPrefix(line, s) })
	}
	from, to := starting(begin)+1, starting(end)
	if from == 0 || to < from {
		t.Fatalf("%s lacks the lines %q and %q", file, begin, end)
	}
	if slices.Equal(lines[from:to], rows) {
		return
	}
	if !*update {
		t.Fatalf("%s: what is between %q and the end is out of date: go test -run 'Protocols|Standards' -update .", file, begin)
	}
	text := strings.Join(slices.Replace(lines, from, to, rows...), "\n")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// exitStatuses are the constants of internal/connect, as the documents write them.
func exitStatuses(t *testing.T) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "internal/connect/error.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var statuses []string
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || !strings.HasPrefix(spec.Names[0].Name, "Status") {
			return true
		}
		value := spec.Values[0].(*ast.BasicLit).Value
		if spec.Names[0].Name == "StatusSignal" {
			value += "+N"
		}
		statuses = append(statuses, value)
		return true
	})
	if len(statuses) == 0 {
		t.Fatal("internal/connect/error.go has no statuses")
	}
	return statuses
}

func TestDocExitStatuses(t *testing.T) {
	want := exitStatuses(t)
	var manual, readme []string
	for _, line := range manualSection(t, "EXIT STATUS") {
		if status, ok := strings.CutPrefix(line, ".It "); ok {
			manual = append(manual, status)
		}
	}
	for _, m := range regexp.MustCompile(`(?m)^\| (\d\S*) \|`).FindAllStringSubmatch(readDoc(t, readmeFile), -1) {
		readme = append(readme, m[1])
	}
	if !slices.Equal(manual, want) {
		t.Errorf("the manual's exit statuses are %v, the program's %v", manual, want)
	}
	if !slices.Equal(readme, want) {
		t.Errorf("the README's exit statuses are %v, the program's %v", readme, want)
	}
}

func TestManualLint(t *testing.T) {
	mandoc := realserver.Tool(t, "mandoc")
	out, _ := exec.Command(mandoc, "-Tlint", "-W", "style", manualFile).CombinedOutput()
	for _, line := range strings.Split(string(out), "\n") {
		// Which other manuals are installed is no matter of this one.
		if strings.Contains(line, manualFile+":") && !strings.Contains(line, "referenced manual not found") {
			t.Error(line)
		}
	}
}

// A block is a fenced block of the README.
type block struct {
	line   int
	kind   string
	text   string
	output string // what has to come out, of the block "output" behind it
}

var fence = regexp.MustCompile("(?ms)^```(\\S*)\n(.*?)^```$")

func readmeBlocks(t *testing.T) []block {
	t.Helper()
	text := readDoc(t, readmeFile)
	var blocks []block
	for _, m := range fence.FindAllStringSubmatchIndex(text, -1) {
		b := block{line: 1 + strings.Count(text[:m[0]], "\n"), kind: text[m[2]:m[3]], text: text[m[4]:m[5]]}
		if b.kind == "output" && len(blocks) > 0 && blocks[len(blocks)-1].kind == "sh" {
			blocks[len(blocks)-1].output = b.text
			continue
		}
		if !slices.Contains([]string{"sh", "text", "go"}, b.kind) {
			t.Errorf("%s:%d: a block of kind %q, known are sh, output behind sh, text and go", readmeFile, b.line, b.kind)
		}
		blocks = append(blocks, b)
	}
	return blocks
}

// readmeCommands returns the lines of the README's examples.
func readmeCommands(t *testing.T) (lines []string) {
	for _, b := range readmeBlocks(t) {
		if b.kind == "sh" {
			lines = append(lines, strings.Split(b.text, "\n")...)
		}
	}
	return lines
}

// TestReadmeExamples runs each block sh of the README against servers in the process, and
// compares what comes out with the block output behind it. A block without one must not
// make tlsup say anything. In an output, a line of ... stands for any lines, and ... in a
// line for any text.
func TestReadmeExamples(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the README's examples are not run: they are for a Unix shell")
	}
	e := newExamples(t)
	ran := 0
	for _, b := range readmeBlocks(t) {
		if b.kind != "sh" {
			continue
		}
		t.Run(fmt.Sprintf("line %d", b.line), func(t *testing.T) { e.run(t, b) })
		ran++
	}
	if want := strings.Count(readDoc(t, readmeFile), "\n```sh\n"); ran != want || ran == 0 {
		t.Errorf("ran %d of %d examples", ran, want)
	}
}

// examples are where the README's examples run.
type examples struct {
	dir     string
	servers map[string]*testserver.Server // by scheme
	names   []string                      // old and new, for strings.NewReplacer: what servers are called in the README
}

// newExamples makes a directory with the files that the examples use, and with a command
// tlsup that trusts the servers' authorities.
func newExamples(t *testing.T) *examples {
	t.Helper()
	e := &examples{dir: t.TempDir(), servers: map[string]*testserver.Server{}}
	ca, err := testca.New("an authority")
	if err != nil {
		t.Fatal(err)
	}
	own, err := ca.Issue([]string{"client.example.org"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	cert, key, err := testca.EncodePEM(own)
	if err != nil {
		t.Fatal(err)
	}
	program, err := exec.LookPath("tlsup") // testscript.Main has put it there
	if err != nil {
		t.Fatal(err)
	}
	wrapper := fmt.Sprintf(`#!/bin/sh
case $1 in
explain|demo) exec '%[1]s' "$@" ;;
*) exec '%[1]s' --x509cafile '%[2]s' "$@" ;;
esac
`, program, filepath.Join(e.dir, "ca.pem"))
	for name, data := range map[string][]byte{
		"ca.pem": ca.PEM(), "me.pem": cert, "key.pem": key, "big.file": bytes.Repeat([]byte("line\n"), 1000), "bin/tlsup": []byte(wrapper),
	} {
		path := filepath.Join(e.dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		for _, s := range e.servers {
			s.Close()
		}
	})
	return e
}

// addr returns the address of a server for a scheme, which the README calls name.
func (e *examples) addr(t *testing.T, scheme, name string) string {
	t.Helper()
	s := e.servers[scheme]
	if s == nil {
		var err error
		s, err = testserver.Start(scheme, func(config *tls.Config) { config.ClientAuth = tls.RequestClientCert })
		if err != nil {
			t.Fatal(err)
		}
		e.servers[scheme] = s
		e.trust(t, s.CA.PEM())
	}
	e.names = append(e.names, "connecting to "+s.Addr.String(), "connecting to 192.0.2.25"+portOf(scheme), s.Addr.String(), name+portOf(scheme))
	return s.Addr.String()
}

func portOf(scheme string) string { return ":" + strconv.Itoa(negotiate.Find(scheme).Port) }

// onPort returns the scheme that a port belongs to.
func onPort(port string) string {
	n, _ := strconv.Atoi(port)
	return negotiate.OnPort(n).Name
}

// trust adds an authority to the file that the command tlsup uses.
func (e *examples) trust(t *testing.T, pem []byte) {
	t.Helper()
	f, err := os.OpenFile(filepath.Join(e.dir, "ca.pem"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Write(pem); err != nil {
		t.Fatal(err)
	}
}

var (
	exampleURL  = regexp.MustCompile(`([a-z0-9-]+)://([a-z0-9.]+)(?::(\d+))?`)
	exampleHost = regexp.MustCompile(`(mail\.example\.org)([ :])(\d+)`)
)

// run runs a block, with the README's servers replaced by those in the process.
func (e *examples) run(t *testing.T, b block) {
	script := strings.ReplaceAll(b.text, "go run .", "tlsup")
	script = exampleURL.ReplaceAllStringFunc(script, func(url string) string {
		m := exampleURL.FindStringSubmatch(url)
		scheme := m[1]
		if negotiate.Find(scheme) == negotiate.Auto() {
			scheme = onPort(m[3])
		}
		return m[1] + "://" + e.addr(t, scheme, m[2])
	})
	script = exampleHost.ReplaceAllStringFunc(script, func(target string) string {
		m := exampleHost.FindStringSubmatch(target)
		host, port, _ := strings.Cut(e.addr(t, onPort(m[3]), m[1]), ":")
		return host + m[2] + port
	})
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, "sh", "-e", "-c", script)
	cmd.Dir = e.dir
	cmd.Env = append(os.Environ(), "PATH="+filepath.Join(e.dir, "bin")+string(os.PathListSeparator)+os.Getenv("PATH"), "GORACE="+gorace)
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s\n%s", err, script, out.String())
	}
	got := strings.NewReplacer(append(e.names, "127.0.0.1", "mail.example.org", "\r\n", "\n")...).Replace(out.String())
	switch {
	case b.output == "" && strings.Contains(got, "tlsup: "):
		t.Errorf("an output that the README does not show:\n%s", got)
	case b.output != "" && !outputPattern(b.output).MatchString(got):
		t.Errorf("the output is\n%s\nin the README it is\n%s", got, b.output)
	}
}

// outputPattern matches what an output stands for.
func outputPattern(output string) *regexp.Regexp {
	pattern := "(?m)^" + regexp.QuoteMeta(output)
	pattern = strings.ReplaceAll(pattern, "\n\\.\\.\\.\n", "\n(?:.*\n)*?")
	return regexp.MustCompile(strings.ReplaceAll(pattern, `\.\.\.`, ".*") + `\z`)
}

// TestReadmeLibrary compares the README's Go code with the package's example, which runs.
func TestReadmeLibrary(t *testing.T) {
	example := strings.Split(readDoc(t, "negotiate/example_test.go"), "\n")
	compared := 0
	for _, b := range readmeBlocks(t) {
		if b.kind != "go" {
			continue
		}
		rest := example
		for _, line := range strings.Split(strings.TrimSpace(b.text), "\n") {
			i := slices.IndexFunc(rest, func(l string) bool { return l == "\t"+line })
			if i < 0 {
				t.Fatalf("%s:%d: the example in negotiate lacks, at its place, %q", readmeFile, b.line, line)
			}
			rest = rest[i+1:]
			compared++
		}
	}
	if compared == 0 {
		t.Error("the README has no Go code")
	}
}

// TestReadmeLinks looks for the files that the README links to.
func TestReadmeLinks(t *testing.T) {
	text := readDoc(t, readmeFile)
	links := regexp.MustCompile(`\]\(([^):]+)\)`).FindAllStringSubmatch(text, -1)
	if len(links) == 0 {
		t.Error("the README links to nothing")
	}
	for _, m := range links {
		if _, err := os.Stat(m[1]); err != nil {
			t.Error(err)
		}
	}
}

// TestReadmeMake looks for the target that the README has the tests run with.
func TestReadmeMake(t *testing.T) {
	makefile, err := os.ReadFile("Makefile")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains("\n"+string(makefile), "\ntest:") {
		t.Error("the Makefile has no target test")
	}
}
