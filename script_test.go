package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/rogpeppe/go-internal/testscript"
)

// patience is how long a test waits for what has to come. Nothing that works takes so long.
const patience = 30 * time.Second

// scriptCommands are the commands that scripts have beyond testscript's own.
//
//	server NAME [CHANGE]...    starts internal/testserver's server of that name
//	serve FILE [CHANGE]...     starts a server that plays the dialogue in FILE
//	refuse                     an address where nobody listens
//	                           All three leave it in $ADDR, and in $HOST and $PORT. See
//	                           dialogue_test.go for dialogues and changes.
//	served                     waits for the end of one connection, which went as in the dialogue
//	status N PROGRAM ARG...    runs a program, which has to end with status N
//	message LINE...            stderr consists of the lines, each behind "tlsup: ", and no more
//	wrong ARG...               runs tlsup inside this process, which has to find the command line wrong
//	usage LINE                 stderr says so, and gives a hint
//	follow ARG...              runs the command that stderr's hint gives, with further arguments
//	start PROGRAM ARG...       starts a program whose input is kept open
//	send TEXT                  gives the program input; Go's escapes are understood
//	endinput                   ends its input
//	closeoutput                stops reading its stdout
//	expect out|err REGEXP      waits until its stdout or stderr matches, behind the last match
//	signal NAME                sends it a signal
//	ended N                    waits for its end, with status N
var scriptCommands = map[string]func(ts *testscript.TestScript, neg bool, args []string){
	"server":      scriptCommand(1, (*script).server),
	"serve":       scriptCommand(1, (*script).serve),
	"refuse":      scriptCommand(0, (*script).refuse),
	"served":      scriptCommand(0, (*script).served),
	"status":      scriptCommand(2, (*script).status),
	"message":     scriptCommand(1, (*script).message),
	"wrong":       scriptCommand(0, (*script).wrong),
	"usage":       scriptCommand(1, (*script).usage),
	"follow":      scriptCommand(0, (*script).follow),
	"start":       scriptCommand(1, (*script).start),
	"send":        scriptCommand(1, (*script).send),
	"endinput":    scriptCommand(0, (*script).endInput),
	"closeoutput": scriptCommand(0, (*script).closeOutput),
	"expect":      scriptCommand(2, (*script).expect),
	"signal":      scriptCommand(1, (*script).signal),
	"ended":       scriptCommand(1, (*script).ended),
}

// script is what the commands of one script share.
type script struct {
	env     *testscript.Env
	player  *player
	process *process
}

type scriptKey struct{}

// scriptCommand makes a command of a method that takes at least so many arguments.
func scriptCommand(least int, f func(*script, *testscript.TestScript, []string)) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		if neg || len(args) < least {
			ts.Fatalf("this command is not used so, see scriptCommands")
		}
		f(ts.Value(scriptKey{}).(*script), ts, args)
	}
}

func (s *script) status(ts *testscript.TestScript, args []string) {
	err := ts.Exec(args[1], args[2:]...)
	judge(ts, args[0], err, ts.ReadFile("stderr"))
}

// judge compares a program's status with the one that is wanted, and looks for what must
// never be on stderr.
func judge(ts *testscript.TestScript, want string, err error, stderr string) {
	got := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if strconv.Itoa(got) != want {
		ts.Fatalf("ended with status %d (%v), wanted %s", got, err, want)
	}
	for _, r := range stderr {
		if r != '\n' && !unicode.IsPrint(r) {
			ts.Fatalf("stderr contains %q", r)
		}
	}
	if strings.Contains(stderr, "goroutine ") {
		ts.Fatalf("stderr contains a stack trace")
	}
}

func (s *script) message(ts *testscript.TestScript, args []string) {
	want := ""
	for _, line := range args {
		want += "tlsup: " + line + "\n"
	}
	if got := ts.ReadFile("stderr"); got != want {
		ts.Fatalf("stderr is\n%swanted\n%s", got, want)
	}
}

// inProcess is held while the program runs inside the test: urfave/cli has one flag for
// --help, which all runs write to.
var inProcess sync.Mutex

func (s *script) wrong(ts *testscript.TestScript, args []string) {
	inProcess.Lock()
	defer inProcess.Unlock()
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	ts.Check(err)
	defer null.Close()
	p := &program{stdin: null, stdout: null, message: message{ts.Stderr()}}
	err = p.main(context.Background(), args)
	p.message.failure(err)
	if got := status(err); got != 2 {
		ts.Fatalf("ended with status %d (%v)", got, err)
	}
}

func (s *script) usage(ts *testscript.TestScript, args []string) {
	s.message(ts, append(args, "hint: see tlsup --help"))
}

var hintedCommand = regexp.MustCompile(`(?m)^tlsup: hint: .*\b(tlsup .*)$`)

func (s *script) follow(ts *testscript.TestScript, args []string) {
	m := hintedCommand.FindStringSubmatch(ts.ReadFile("stderr"))
	if m == nil {
		ts.Fatalf("no hint gives a command")
	}
	words := append(strings.Fields(m[1]), args...)
	err := ts.Exec(words[0], words[1:]...)
	judge(ts, "0", err, ts.ReadFile("stderr"))
}

// A process is a program that a test talks to.
type process struct {
	cmd      *exec.Cmd
	stdin    io.WriteCloser
	out, err *output
}

func (s *script) start(ts *testscript.TestScript, args []string) {
	if s.process != nil {
		ts.Fatalf("the last program has not been waited for")
	}
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir = ts.MkAbs(".")
	for _, variable := range s.env.Vars {
		name, _, _ := strings.Cut(variable, "=")
		cmd.Env = append(cmd.Env, name+"="+ts.Getenv(name))
	}
	p, err := startProcess(cmd)
	ts.Check(err)
	s.process = p
	ts.Defer(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
}

// startProcess starts a program with pipes at all ends.
func startProcess(cmd *exec.Cmd) (*process, error) {
	p := &process{cmd: cmd}
	var err error
	if p.stdin, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p.out, p.err = collect(stdout), collect(stderr)
	return p, nil
}

func (s *script) send(ts *testscript.TestScript, args []string) {
	text, err := unescape(strings.Join(args, " "))
	ts.Check(err)
	_, err = io.WriteString(s.process.stdin, text)
	ts.Check(err)
}

func (s *script) endInput(ts *testscript.TestScript, _ []string) { ts.Check(s.process.stdin.Close()) }

func (s *script) closeOutput(ts *testscript.TestScript, _ []string) {
	ts.Check(s.process.out.from.Close())
}

func (s *script) expect(ts *testscript.TestScript, args []string) {
	from := s.process.out
	if args[0] == "err" {
		from = s.process.err
	}
	re, err := regexp.Compile("(?m)" + args[1])
	ts.Check(err)
	if err := from.expect(re); err != nil {
		ts.Fatalf("%v\n[stdout]\n%s\n[stderr]\n%s", err, s.process.out.text(), s.process.err.text())
	}
}

func (s *script) signal(ts *testscript.TestScript, args []string) {
	ts.Check(exec.Command("kill", "-"+args[0], strconv.Itoa(s.process.cmd.Process.Pid)).Run())
}

func (s *script) ended(ts *testscript.TestScript, args []string) {
	p := s.process
	s.process = nil
	killer := time.AfterFunc(patience, func() { p.cmd.Process.Kill() })
	defer killer.Stop()
	<-p.out.ended
	<-p.err.ended
	err := p.cmd.Wait()
	io.WriteString(ts.Stdout(), p.out.text())
	io.WriteString(ts.Stderr(), p.err.text())
	judge(ts, args[0], err, p.err.text())
}

// output collects what a program writes.
type output struct {
	from  io.ReadCloser
	ended chan struct{}

	mu   sync.Mutex
	more *sync.Cond
	buf  bytes.Buffer
	at   int // behind the last match
	over bool
}

func collect(from io.ReadCloser) *output {
	o := &output{from: from, ended: make(chan struct{})}
	o.more = sync.NewCond(&o.mu)
	go func() {
		defer close(o.ended)
		buf := make([]byte, 4096)
		for {
			n, err := from.Read(buf)
			o.mu.Lock()
			o.buf.Write(buf[:n])
			o.over = err != nil
			o.more.Broadcast()
			o.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	return o
}

// expect waits until the output matches, and consumes it up to the end of the match.
func (o *output) expect(re *regexp.Regexp) error {
	deadline := time.Now().Add(patience)
	wake := time.AfterFunc(patience, o.more.Broadcast)
	defer wake.Stop()
	o.mu.Lock()
	defer o.mu.Unlock()
	for {
		if at := re.FindIndex(o.buf.Bytes()[o.at:]); at != nil {
			o.at += at[1]
			return nil
		}
		if o.over || time.Now().After(deadline) {
			return errors.New("does not match: " + re.String())
		}
		o.more.Wait()
	}
}

func (o *output) text() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// unescape understands the escapes of Go's strings.
func unescape(s string) (string, error) {
	return strconv.Unquote(`"` + strings.ReplaceAll(s, `"`, `\"`) + `"`)
}
