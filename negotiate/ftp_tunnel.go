package negotiate

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// FTP behind a tunnel. The client's side of it is in the clear and knows no TLS; the server's is
// protected, files too (RFC 4217):
//
//	client                        tunnel                                     server
//	                              PBSZ 0, PROT P, before or behind the login
//	FEAT                          the answer without AUTH, PBSZ, PROT
//	PASV, EPSV                    the answer names a port of the tunnel, which leads to the server's
//	PORT, EPRT                    names a port of the tunnel, which leads to the client's
//	AUTH, PBSZ, PROT, CCC         refused here
//
// The address that a server names for its data port is never used: it is the one that the tunnel is
// connected to. Commands are passed on one at a time, so that each reply belongs to the command
// before it, and to nothing else.

const (
	maxFTPLine = 8 << 10 // bytes in a line of the control connection; names of files have up to 4096
	maxFTPShow = 8 << 10 // bytes of replies that are shown at once
)

// ftpStart is what Upgrade and Lead leave for Ends.
type ftpStart struct {
	greeting []byte // the server's, said inside TLS; or ours
	late     bool   // PBSZ and PROT have to wait for the login
}

// leadFTP protects the data connections to come, and greets the client.
func leadFTP(l *Local, server *Conn) error {
	start, upgraded := l.state.(*ftpStart)
	if !upgraded {
		start = &ftpStart{}
		l.state = start
		server.Step(Greeting)
		greeting, err := greetFTP(server)
		if err != nil {
			if greeting.code != "" {
				l.sayLast(greeting.ftp())
			}
			return err
		}
		start.greeting = greeting.ftp()
		server.Step(Upgrade)
	}
	var err error
	if start.late, err = protectFTP(server); err != nil {
		l.sayLast([]byte(ftpUnprotected))
		return err
	}
	if upgraded {
		_, err = l.client.Write(start.greeting)
		start.greeting = nil
	}
	return err
}

// ftpUnprotected is the last a client hears whose data connections would be in the clear.
const ftpUnprotected = "421 The server refuses TLS for data connections\r\n"

// ftp is the reply as it is sent (RFC 959, 4.2).
func (r reply) ftp() []byte {
	last := len(r.lines) - 1
	if last == 0 {
		return []byte(r.code + " " + r.lines[0] + "\r\n")
	}
	return []byte(r.code + "-" + strings.Join(r.lines[:last], "\r\n") + "\r\n" + r.code + " " + r.lines[last] + "\r\n")
}

// protectFTP asks for protected data connections (RFC 4217, 9), and reports whether the server
// wants to hear that behind the login only.
func protectFTP(c *Conn) (late bool, err error) {
	var answer reply
	for _, command := range []string{"PBSZ 0", "PROT P"} { // what is said to PBSZ alone does not matter
		if err = c.WriteLine(command); err == nil {
			answer, err = readFTP(c)
		}
		if err != nil {
			return false, err
		}
	}
	if answer.code == "530" || answer.code == "503" {
		return true, nil
	}
	return false, answer.expect("200")
}

// endsFTP gives the control connection's ends.
func endsFTP(l *Local, client, server net.Conn) (net.Conn, net.Conn) {
	c := &ftpControl{
		l: l, client: client, server: server, gone: make(chan struct{}),
		commands: bufio.NewReaderSize(&clearConn{Conn: client}, maxFTPLine), replies: bufio.NewReaderSize(server, maxFTPLine),
	}
	c.changed.L = &c.mu
	if start, ok := l.state.(*ftpStart); ok {
		c.show, c.late = start.greeting, start.late
	}
	return ftpClientEnd{client, c}, ftpServerEnd{server, c}
}

// ftpControl is a control connection on its way through the tunnel. One goroutine carries commands,
// another replies.
type ftpControl struct {
	l                 *Local
	client, server    net.Conn
	commands, replies *bufio.Reader

	mu      sync.Mutex
	changed sync.Cond
	owed    []ftpCommand // whose final reply the client does not have yet
	ended   bool         // there will be no more replies
	data    *ftpData     // that the next transfer will use; nil for none

	open atomic.Int32 // data ports and connections

	// Of the goroutine that carries commands.
	pass []byte        // to be passed on
	quit bool          // the client has said QUIT, or has ended
	gone chan struct{} // closed when it has ended without a QUIT

	// Of the goroutine that carries replies.
	show    []byte // to be shown to the client
	settled int    // how many commands are answered with that
	code    string // of the reply whose lines are coming; "" between replies
	port    int    // what a passive reply names so far; 0 for none
	late    bool   // PBSZ and PROT are to be said behind the login
	held    string // the last line of the login's reply, until they are answered
}

// ftpCommand is a command that was passed on.
type ftpCommand struct {
	verb  string // as the client said it
	want  string // the code that opens a data port; "" for none
	ours  bool   // the tunnel's own, the client hears nothing of it
	begun bool   // a preliminary reply has come
}

// ftpTransfers are the commands that use a data connection, and ftpUrgent those that may be said
// while one does (RFC 959, 4.1.3).
var (
	ftpTransfers = []string{"RETR", "STOR", "STOU", "APPE", "LIST", "NLST", "MLSD"}
	ftpUrgent    = []string{"ABOR", "STAT", "QUIT"}
	ftpLogin     = []string{"USER", "PASS", "ACCT"}
)

// Commands that would take protection away or lead data past the tunnel, and what is said to them.
var (
	ftpSecurity = []string{"AUTH", "ADAT", "PBSZ", "PROT", "CCC", "MIC", "CONF", "ENC", "SSCN"} // RFC 2228
	ftpPast     = []string{"CPSV", "LPRT", "LPSV", "SPSV", "REIN"}
)

const (
	ftpOwnTLS     = "534 The tunnel speaks TLS in the client's place"
	ftpNotHere    = "502 Not through the tunnel"
	ftpNotTCP     = "502 No data connections: the client's connection has no address"
	ftpNoPorts    = "502 No data connections: the server's connection has no address"
	ftpOnlyPASV   = "502 The server can't connect to the tunnel, use PASV or EPSV"
	ftpOnlyEPSV   = "522 PASV is for IPv4, use EPSV"
	ftpSyntax     = "501 Syntax error in the argument"
	ftpNoFamily   = "522 Unknown network protocol, use (1,2)"
	ftpNotYours   = "501 The address has to be the client's own, the port over 1023"
	ftpNoCommand  = "500 That is no command"
	ftpNoListener = "425 The tunnel can't open a data port"
)

// nextCommand reads a line of the client's, and puts what it becomes into pass, or answers it.
func (c *ftpControl) nextCommand() error {
	line, err := readFTPLine(c.commands)
	if err == bufio.ErrBufferFull {
		return &LocalError{ErrTooLong}
	}
	if err != nil {
		if !c.quit {
			close(c.gone)
			c.quit = true
		}
		c.await(false) // a server that hears of the end may drop answers that it owes
		return err
	}
	verb, argument := splitFTP(line)
	c.await(slices.Contains(ftpUrgent, verb))
	command, answer := c.translate(verb, argument)
	if answer != "" {
		_, err := io.WriteString(c.client, answer+"\r\n")
		return err
	}
	c.quit = c.quit || verb == "QUIT"
	c.mu.Lock()
	c.owed = append(c.owed, ftpCommand{verb: verb, want: ftpOpens(command)})
	if c.data != nil && slices.Contains(ftpTransfers, verb) {
		c.data.used = true
	}
	c.mu.Unlock()
	c.pass = []byte(command + "\r\n")
	return nil
}

// readFTPLine reads a line and returns it without its end. One that is cut off is left out.
func readFTPLine(r *bufio.Reader) (string, error) {
	line, err := r.ReadSlice('\n')
	if err != nil {
		return "", err
	}
	return string(bytes.TrimSuffix(line[:len(line)-1], []byte("\r"))), nil
}

// splitFTP returns the verb in upper case, and what follows it; no verb for what is no command.
// Telnet's signals, with which an ABOR may begin (RFC 959, 4.1.3), are left out: TLS carries no
// urgent data.
func splitFTP(line string) (verb, argument string) {
	for len(line) > 0 && line[0] >= 0xf0 {
		line = line[1:]
	}
	verb, argument, _ = strings.Cut(line, " ")
	for _, b := range []byte(verb) {
		if b |= 0x20; b < 'a' || b > 'z' {
			return "", ""
		}
	}
	// A server might take a bare CR for the end of the line (RFC 854: CR is followed by LF or NUL).
	if strings.Contains(strings.ReplaceAll(argument, "\r\x00", ""), "\r") || strings.Contains(argument, "\n") {
		return "", ""
	}
	return strings.ToUpper(verb), argument
}

// translate returns the command that the server is sent, or what the client is answered.
func (c *ftpControl) translate(verb, argument string) (command, answer string) {
	command = verb
	if argument != "" {
		command += " " + argument
	}
	switch {
	case verb == "":
		return "", ftpNoCommand
	case slices.Contains(ftpSecurity, verb):
		return "", ftpOwnTLS
	case slices.Contains(ftpPast, verb):
		return "", ftpNotHere
	case verb == "EPSV" && strings.EqualFold(argument, "ALL"):
		return command, ""
	case verb == "PASV" || verb == "EPSV":
		return c.passive(verb)
	case verb == "PORT" || verb == "EPRT":
		return c.active(verb, argument)
	}
	return command, ""
}

// ftpOpens returns the code with which a command opens a data port of the server's.
func ftpOpens(command string) string {
	return map[string]string{"PASV": "227", "EPSV": "229"}[command]
}

// passive returns what asks the server for a data port: that is a matter of the server's family
// of addresses, not of the client's.
func (c *ftpControl) passive(verb string) (command, answer string) {
	local, _, ok := addresses(c.client)
	_, server, served := addresses(c.server)
	switch {
	case !ok:
		return "", ftpNotTCP
	case !served || c.l.Dial == nil || c.l.Go == nil:
		return "", ftpNoPorts
	case verb == "PASV" && !local.Is4():
		return "", ftpOnlyEPSV
	case !server.Is4():
		verb = "EPSV"
	}
	return verb, ""
}

// active opens a port for the server, and returns the command that names it.
func (c *ftpControl) active(verb, argument string) (command, answer string) {
	own, client, ok := addresses(c.client)
	local, server, served := addresses(c.server)
	switch {
	case !ok:
		return "", ftpNotTCP
	case !served || c.l.Secure == nil || c.l.Go == nil:
		return "", ftpNoPorts
	case c.l.Proxied:
		return "", ftpOnlyPASV
	}
	port, answer := parseFTPPort(verb, argument)
	switch {
	case answer != "":
		return "", answer
	case port.Addr() != client.WithZone("") || port.Port() < 1024:
		return "", ftpNotYours // a server that connects to others on demand can be abused (RFC 2577, 3)
	}
	opened, err := c.listen(local, server, c.toClient(own, netip.AddrPortFrom(client, port.Port())))
	switch {
	case err != nil:
		return "", ftpNoListener
	case opened.Addr().Is4():
		return "PORT " + commas(opened), ""
	}
	return fmt.Sprintf("EPRT |2|%s|%d|", opened.Addr().WithZone(""), opened.Port()), ""
}

// await waits until all is answered; or, for what may be said in one, until a transfer is under way.
func (c *ftpControl) await(urgent bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for !c.ended && len(c.owed) > 0 && !(urgent && slices.Contains(ftpTransfers, c.owed[0].verb)) {
		c.changed.Wait()
	}
}

// finish tells that no more replies will come.
func (c *ftpControl) finish() {
	c.mu.Lock()
	c.ended = true
	c.mu.Unlock()
	c.changed.Broadcast()
}

// settle takes the commands out that are answered.
func (c *ftpControl) settle() {
	if c.settled == 0 {
		return
	}
	c.mu.Lock()
	c.owed = c.owed[c.settled:]
	c.mu.Unlock()
	c.settled = 0
	c.changed.Broadcast()
}

// nextReply reads a line of the server's, and puts what it becomes into show.
func (c *ftpControl) nextReply() error {
	line, err := readFTPLine(c.replies)
	if err == bufio.ErrBufferFull {
		return ErrTooLong
	}
	if err != nil {
		return err
	}
	first := c.code == ""
	code, last := c.frame(line)
	if code == "" {
		c.shown(line) // no reply, which clients pass over
		return nil
	}
	final := last && code[0] != '1'
	command := c.answered(code, last)
	switch opens := code == "227" || code == "228" || code == "229"; {
	case command.ours:
	case opens && code == command.want:
		if c.port == 0 {
			c.port = parseFTPPassive(code, line)
		}
		if last {
			c.shown(c.openPassive(command.verb, line))
			c.port = 0
		}
	case opens:
		return Unexpected(line) // a client might connect to the server's own port, in the clear
	case command.verb == "FEAT" && !first && !last && ftpHides(line):
	case final && c.late && (code == "230" || code == "232") && slices.Contains(ftpLogin, command.verb):
		return c.protect(line)
	default:
		c.shown(line)
	}
	if !final {
		return nil
	}
	if command.verb != "" {
		c.settled++
	}
	if command.ours && command.verb == "PROT" {
		return c.protected(code, line)
	}
	return nil
}

// frame tells the code of the reply that a line belongs to, "" for none, and whether it is the
// reply's last.
func (c *ftpControl) frame(line string) (code string, last bool) {
	if c.code != "" {
		code = c.code
		last = line == code || strings.HasPrefix(line, code+" ")
	} else {
		more, ok := ftpReplyStart(line)
		if !ok {
			return "", false
		}
		code, last = line[:3], !more
	}
	c.code = code
	if last {
		c.code = ""
	}
	return code, last
}

// answered returns the command that a reply belongs to; none for one that the server sends by itself.
// With the last line of a refusal the data connection ends that was opened for it.
func (c *ftpControl) answered(code string, last bool) ftpCommand {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.owed) == 0 {
		return ftpCommand{}
	}
	command := &c.owed[0]
	if !last {
		return *command
	}
	command.begun = command.begun || code[0] == '1'
	switch opened := command.verb == "PORT" || command.verb == "EPRT"; {
	case code[0] < '4' || command.begun || c.data == nil:
	case opened || slices.Contains(ftpTransfers, command.verb):
		c.data.drop()
		c.data = nil
	}
	return *command
}

// shown adds a line to what is shown.
func (c *ftpControl) shown(line string) { c.show = append(c.show, line+"\r\n"...) }

// openPassive opens the tunnel's port in front of the one that the server has opened, and returns
// the reply that names it.
func (c *ftpControl) openPassive(verb, line string) string {
	if c.port == 0 {
		return "425 The server's answer names no port"
	}
	local, client, _ := addresses(c.client)
	opened, err := c.listen(local, client, c.toServer(c.port))
	switch {
	case err != nil:
		return ftpNoListener
	case verb == "PASV":
		return "227 Entering Passive Mode (" + commas(opened) + ")"
	}
	return fmt.Sprintf("229 Entering Extended Passive Mode (|||%d|)", opened.Port())
}

// protect asks for protected data connections behind the login, before the client hears of it.
func (c *ftpControl) protect(line string) error {
	c.late, c.held = false, line
	c.mu.Lock()
	c.owed = append([]ftpCommand{{verb: "PBSZ", ours: true}, {verb: "PROT", ours: true}}, c.owed...)
	c.mu.Unlock()
	_, err := io.WriteString(c.server, "PBSZ 0\r\nPROT P\r\n")
	return err
}

// protected meets the answer to that.
func (c *ftpControl) protected(code, line string) error {
	if code != "200" {
		c.l.sayLast([]byte(ftpUnprotected))
		return Refused(line)
	}
	c.shown(c.held)
	c.settled++ // the login
	return nil
}

// ftpHides reports whether a line of FEAT's answer (RFC 2389, 3.2) names what is refused here.
func ftpHides(line string) bool {
	line = strings.TrimLeft(strings.TrimPrefix(line, "211-"), " ")
	end := strings.IndexAny(line, " ;=")
	if end < 0 {
		end = len(line)
	}
	feature := strings.ToUpper(line[:end])
	return slices.Contains(ftpSecurity, feature) || slices.Contains(ftpPast, feature)
}

// ftpClientEnd is where the commands come from.
type ftpClientEnd struct {
	net.Conn
	*ftpControl
}

// Read returns what the server is to be sent.
func (e ftpClientEnd) Read(p []byte) (int, error) {
	for len(e.pass) == 0 {
		if err := e.nextCommand(); err != nil {
			return 0, err
		}
	}
	n := copy(p, e.pass)
	e.pass = e.pass[n:]
	return n, nil
}

// Write shows the client what ftpServerEnd's Read returned.
func (e ftpClientEnd) Write(p []byte) (int, error) {
	n, err := e.Conn.Write(p)
	if err != nil {
		e.finish()
	}
	return n, err
}

func (e ftpClientEnd) CloseWrite() error {
	return e.Conn.(interface{ CloseWrite() error }).CloseWrite()
}

// ftpServerEnd is where the replies come from.
type ftpServerEnd struct {
	net.Conn
	*ftpControl
}

// Read returns what the client is to be shown. It has been, when Read is called again.
func (e ftpServerEnd) Read(p []byte) (int, error) {
	if len(e.show) == 0 {
		e.settle()
	}
	for len(e.show) == 0 || e.code != "" && len(e.show) < maxFTPShow && e.holdsLine() {
		if err := e.nextReply(); err != nil {
			e.finish()
			return 0, err
		}
		if len(e.show) == 0 {
			e.settle()
		}
	}
	n := copy(p, e.show)
	e.show = e.show[n:]
	return n, nil
}

// holdsLine reports whether a whole line is there without waiting.
func (c *ftpControl) holdsLine() bool {
	buffered, _ := c.replies.Peek(c.replies.Buffered())
	return bytes.IndexByte(buffered, '\n') >= 0
}

func (e ftpServerEnd) CloseWrite() error {
	return e.Conn.(interface{ CloseWrite() error }).CloseWrite()
}

// Close closes the connection, and the data port that nobody has connected to.
func (e ftpServerEnd) Close() error {
	e.replaceData(nil)
	return e.Conn.Close()
}
