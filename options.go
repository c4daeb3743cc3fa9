package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"tlsup/internal/connect"
	"tlsup/internal/dns"
	"tlsup/internal/quote"
	"tlsup/internal/trust"
	"tlsup/negotiate"
)

// pipeFlags are the options of the pipe: names, help and defaults. A backquoted word is
// what help calls the value.
func pipeFlags() []cli.Flag {
	return slices.Concat(
		upgradeFlags(),
		[]cli.Flag{
			&cli.BoolFlag{Name: "starttls", Aliases: []string{"s"}, Usage: "manual mode: pipe in the clear, start TLS on end of file or SIGALRM, pipe on"},
			&cli.StringFlag{Name: "starttls-after", Usage: "manual mode that starts TLS behind the first line from the server that matches `REGEXP`"},
			&cli.StringFlag{Name: "starttls-fd", Usage: "start TLS at a byte from the file descriptor `N`, too"},
			&cli.StringFlag{Name: "port", Aliases: []string{"p"}, Usage: "`PORT` to connect to, a number or a service's name"},
		},
		wayFlags(),
		[]cli.Flag{
			&cli.BoolFlag{Name: "crlf", Usage: "turn LF of the input into CRLF (default on a terminal, for line protocols)"},
			&cli.BoolFlag{Name: "no-crlf", Usage: "send the input as it is, from a terminal too"},
			&cli.GenericFlag{Name: "linger", Aliases: []string{"q"}, Value: newSeconds(-1), DefaultText: "until the server closes", Usage: "wait for the server at most `SECONDS` after the end of the input; negative: for ever"},
			&cli.BoolFlag{Name: "half-close", Aliases: []string{"N"}, Usage: "send close_notify at the end of the input at once (default: when the server has been quiet; for tls, at once)"},
			&cli.BoolFlag{Name: "no-half-close", Usage: "send close_notify only when the server has closed, for servers that drop a late answer at ours"},
			&cli.BoolFlag{Name: "progress", Usage: "show bytes, rate and time on standard error, if that is a terminal"},
		},
		trustFlags(),
		[]cli.Flag{
			&cli.StringFlag{Name: "session", Usage: "keep the TLS session in `FILE`, and resume one from there"},
			traceFlag(),
			&cli.BoolFlag{Name: "verbose", Aliases: []string{"v", "V"}, Usage: "print the cleartext exchange and a line on the TLS session to standard error"},
			&cli.BoolFlag{Name: "list", Aliases: []string{"l"}, Usage: "list the protocols"},
			&cli.StringFlag{Name: "status-fd", Usage: "write a JSON line on each event to the file descriptor `N`"},
			&cli.StringFlag{Name: "as", Usage: "in front of all else: behave as `NAME` does, gnutls-cli"},
			&cli.BoolFlag{Name: "version", Usage: "print the version"},
		},
	)
}

// traceFlag is an option of the pipe and of check.
func traceFlag() cli.Flag {
	return &cli.StringFlag{Name: "trace", Usage: "write what happens to `FILE`, for a bug report: the cleartext exchange, TLS records and times, no secrets"}
}

// upgradeFlags choose the upgrade and what follows it.
func upgradeFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "starttls-proto", Usage: "upgrade with `PROTO`, the same as a scheme; see --list"},
		&cli.StringFlag{Name: "starttls-name", Usage: "`NAME` to send: our own to mail servers, the domain wanted to chat servers"},
		&cli.StringFlag{Name: "starttls-from", Usage: "our own `DOMAIN`, where a server calls a server"},
		&cli.BoolFlag{Name: "raw", Usage: "perform the cleartext upgrade alone, for another program's TLS"},
	}
}

// wayFlags say how the server is found and reached.
func wayFlags() []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{Name: "ipv4", Aliases: []string{"4"}, Usage: "use IPv4 addresses only"},
		&cli.BoolFlag{Name: "ipv6", Aliases: []string{"6"}, Usage: "use IPv6 addresses only"},
		&cli.StringFlag{Name: "resolver", Usage: "look names up at the resolver `ADDR[:PORT]`, which is trusted to validate for --dane"},
		&cli.BoolFlag{Name: "srv", Usage: "the target is a domain: find its server by SRV records (chat)"},
		&cli.BoolFlag{Name: "mx", Usage: "the target is a domain: find its server by MX records (mail)"},
		&cli.StringFlag{Name: "proxy", Usage: "connect through the proxy `URL`: http://, socks5:// or socks5h://[USER@]HOST:PORT, or env"},
		&cli.StringFlag{Name: "proxy-password-file", Usage: "`FILE` with the proxy's password, in place of TLSUP_PROXY_PASSWORD"},
		&cli.StringFlag{Name: "proxy-protocol", Usage: "send the PROXY protocol's header first, in `VERSION` v1 or v2"},
		&cli.GenericFlag{Name: "timeout", Value: newSeconds(30 * time.Second), Usage: "bound connect, upgrade and handshake to `SECONDS`, or a duration like 1m30s"},
		&cli.GenericFlag{Name: "idle-timeout", Value: newSeconds(0), DefaultText: "none", Usage: "end a session in which nothing moves for `SECONDS`"},
	}
}

// trustFlags say whom to trust, and what the TLS session may be like.
func trustFlags() []cli.Flag {
	return []cli.Flag{
		&cli.GenericFlag{Name: "x509cafile", Value: new(listValue), Usage: "trust the authorities in `FILE` (PEM, or a directory) in place of the system's; repeatable"},
		&cli.StringFlag{Name: "x509certfile", Usage: "client certificate `FILE`: PEM, with --x509keyfile, or PKCS#12"},
		&cli.StringFlag{Name: "x509keyfile", Usage: "the client certificate's key `FILE` (PEM)"},
		&cli.StringFlag{Name: "verify-hostname", Usage: "`NAME` that the certificate has to be valid for, in place of the target's"},
		&cli.StringFlag{Name: "sni-hostname", Usage: "`NAME` to ask the server for; '' for none"},
		&cli.BoolFlag{Name: "insecure", Usage: "go on with a certificate that is not trusted, with a warning"},
		&cli.GenericFlag{Name: "pin", Value: new(listValue), Usage: "accept the server's key with this `PIN` only, sha256//BASE64, besides the chain; repeatable"},
		&cli.GenericFlag{Name: "pin-cert", Value: new(listValue), Usage: "accept the certificate with this SHA-256 fingerprint `HEX` only; repeatable"},
		&cli.BoolFlag{Name: "pin-only", Usage: "let the pins decide alone, without a chain"},
		&cli.BoolFlag{Name: "dane", Usage: "let the server's signed TLSA records decide, which have to exist (RFC 6698)"},
		&cli.BoolFlag{Name: "ocsp", Usage: "ask the certificate's OCSP responder whether it was revoked"},
		&cli.GenericFlag{Name: "x509crlfile", Value: new(listValue), Usage: "refuse certificates on the list of revoked ones in `FILE` (PEM or DER); repeatable"},
		&cli.BoolFlag{Name: "tofu", Usage: "trust the key that the server had before, in place of the chain; ask about one that is new"},
		&cli.BoolFlag{Name: "strict-tofu", Usage: "the same, and refuse one that is new"},
		&cli.StringFlag{Name: "keylog", Usage: "append the session's keys to `FILE`, for Wireshark (default: SSLKEYLOGFILE)"},
		&cli.GenericFlag{Name: "alpn", Value: new(listValue), Usage: "offer the application protocol `ID`; repeatable"},
		&cli.StringFlag{Name: "ech", Usage: "encrypt the name that the server is asked for (ECH) with `CONFIG`: an ECHConfigList in base64, or a file with it"},
		&cli.BoolFlag{Name: "legacy", Usage: "offer what old servers need too, with a warning: TLS 1.0, key exchange by RSA, 3DES, SHA-1"},
		&cli.StringFlag{Name: "tls-min", Usage: "lowest TLS `VERSION`, 1.0 to 1.3", DefaultText: "1.2"},
		&cli.StringFlag{Name: "tls-max", Usage: "highest TLS `VERSION`", DefaultText: "1.3"},
		&cli.StringFlag{Name: "ciphers", Usage: "`LIST` of cipher suites for TLS 1.2 and below, separated by commas"},
		&cli.StringFlag{Name: "groups", Usage: "`LIST` of key exchange groups, separated by commas"},
	}
}

// conflicts are options that exclude each other.
var conflicts = [][2]string{
	{"starttls", "starttls-proto"},
	{"starttls-after", "starttls-proto"},
	{"starttls", "starttls-name"},
	{"starttls-after", "starttls-name"},
	{"starttls", "starttls-from"},
	{"starttls-after", "starttls-from"},
	{"ipv4", "ipv6"},
	{"srv", "mx"},
	{"srv", "port"},
	{"list", "version"},
	{"list", "port"},
	{"proxy", "proxy-protocol"},
	{"proxy", "ipv4"},
	{"proxy", "ipv6"},
	{"crlf", "no-crlf"},
	{"half-close", "no-half-close"},
	{"raw", "starttls"},
	{"raw", "starttls-after"},
	{"jobs", "verbose"},
	{"insecure", "pin"},
	{"insecure", "pin-cert"},
	{"insecure", "pin-only"},
	{"pin-only", "x509cafile"},
	{"insecure", "ocsp"},
	{"proxy", "ocsp"},
	{"insecure", "tofu"},
	{"insecure", "strict-tofu"},
	{"pin-only", "tofu"},
	{"pin-only", "strict-tofu"},
	{"tofu", "strict-tofu"},
	{"ech", "legacy"},
	{"ech", "ciphers"},
	{"ech", "scan"},
	{"insecure", "dane"},
	{"pin-only", "dane"},
	{"tofu", "dane"},
	{"strict-tofu", "dane"},
	{"scan", "trace"},
}

// idleWithRaw are the options that would do nothing with --raw: the TLS session is another program's.
func idleWithRaw() (names []string) {
	for _, flag := range trustFlags() {
		names = append(names, flag.Names()[0])
	}
	return append(names, "session", "half-close", "no-half-close", "crlf", "no-crlf")
}

// needs are options that mean nothing without another.
var needs = [][2]string{
	{"x509keyfile", "x509certfile"},
	{"proxy-password-file", "proxy"},
	{"starttls-fd", "starttls"},
	{"password-file", "user"},
}

// notEmpty are options whose empty value would mean what leaving them out means.
var notEmpty = []string{
	"starttls-after", "starttls-name", "starttls-from", "x509certfile", "x509keyfile", "verify-hostname",
	"tls-min", "tls-max", "ciphers", "groups", "keylog", "ech", "trace",
	"session",
}

// checkConflicts refuses contradictions before anything is opened.
func checkConflicts(c *cli.Context) error {
	names := c.FlagNames() // IsSet walks all options at each call
	isSet := func(name string) bool { return slices.Contains(names, name) }
	for _, pair := range conflicts {
		if isSet(pair[0]) && isSet(pair[1]) {
			return usagef("options --%s and --%s exclude each other", pair[0], pair[1])
		}
	}
	if c.Bool("raw") {
		if at := slices.IndexFunc(idleWithRaw(), isSet); at >= 0 {
			return usagef("option --%s can't be used with --raw: the TLS session is another program's", idleWithRaw()[at])
		}
	}
	for _, pair := range needs {
		if isSet(pair[0]) && !isSet(pair[1]) {
			return usagef("option --%s needs --%s", pair[0], pair[1])
		}
	}
	for _, name := range notEmpty {
		if isSet(name) && c.String(name) == "" {
			return usagef("option --%s needs a value that is not empty", name)
		}
	}
	return nil
}

// A plan is what the command line asks the pipe to do.
type plan struct {
	target  connect.Target
	connect connect.Options
	manual  bool
	after   *regexp.Regexp // of --starttls-after
	start   *os.File       // of --starttls-fd
	timeout time.Duration
	linger  time.Duration
	idle    time.Duration
}

// plan reads the options and operands. It opens files, but no connection. Its errors are
// usageErrors.
func (p *program) plan(c *cli.Context) (*plan, error) {
	pl := &plan{manual: c.IsSet("starttls") || c.IsSet("starttls-after")}
	err := pl.times(c)
	if err != nil {
		return nil, err
	}
	if c.IsSet("starttls-after") {
		if pl.after, err = regexp.Compile(c.String("starttls-after")); err != nil {
			return nil, usagef("option --starttls-after: %w", err)
		}
	}
	if pl.target, err = parseTarget(c, pl.manual); err != nil {
		return nil, usageError{err}
	}
	if pl.connect, err = connection(c, pl.target, sentNames(c)); err != nil {
		return nil, err
	}
	settings, err := p.trust(c, p.askHost(c, pl.timeout))
	if err != nil {
		return nil, usageError{err}
	}
	if err := useTrust(&pl.connect, settings, pl.target); err != nil {
		return nil, err
	}
	pl.connect.Notice = func(text string) { p.message.line("%s: warning: %s", pl.target.Address(), text) }
	if c.Bool("verbose") {
		pl.connect.Trace = p.message.exchange
		pl.connect.Recognised = func(q *negotiate.Protocol, why string) { p.message.line("taken for %s: %s", q.Name, why) }
		pl.connect.Dialing = func(address string) { p.message.line("connecting to %s", quote.Escape(address)) }
		pl.connect.TLSA = func(d *trust.DANE) { p.message.line("%s", d) }
	}
	if stderr, ok := p.message.w.(*os.File); ok && isTerminal(stderr) {
		pl.connect.Waiting = func(hint string) { p.message.line("%s: no greeting yet; %s", pl.target.Address(), hint) }
	}
	return pl, nil
}

// sentNames are what the upgrade sends.
func sentNames(c *cli.Context) (o connect.Options) {
	return connect.Options{Name: c.String("starttls-name"), From: c.String("starttls-from")}
}

// connection reads the options on how to connect to a target, beyond what o has. Its errors are
// usageErrors.
func connection(c *cli.Context, target connect.Target, o connect.Options) (connect.Options, error) {
	o.Network = "tcp"
	switch {
	case c.Bool("ipv4"):
		o.Network = "tcp4"
	case c.Bool("ipv6"):
		o.Network = "tcp6"
	}
	if target.Socket != "" && o.Network != "tcp" {
		return o, usagef("options -4 and -6 can't be used with a Unix socket")
	}
	if err := target.Protocol.Check(&negotiate.Options{Host: target.ServerName(), Name: o.Name, From: o.From}); err != nil {
		return o, optionError(err)
	}
	if err := way(c, target, &o); err != nil {
		return o, usageError{err}
	}
	return o, nil
}

// useTrust adds the settings on trust and tuning, which have to fit the target's protocol.
func useTrust(o *connect.Options, settings *trust.Config, target connect.Target) error {
	o.Trust = settings
	if err := o.CheckTrust(target.Protocol); err != nil {
		return usageError{err}
	}
	return nil
}

// optionError makes an error that names the option of a *negotiate.OptionError.
func optionError(err error) error {
	var own *negotiate.OptionError
	if !errors.As(err, &own) {
		return err
	}
	switch own.Field {
	case "Name":
		return usagef("option --starttls-name: %w", err)
	case "From":
		return usagef("option --starttls-from: %w", err)
	}
	return usagef("%w, name another with --starttls-name", err)
}

// way reads the options on how the server is found and reached.
func way(c *cli.Context, target connect.Target, o *connect.Options) (err error) {
	protocol, socket := target.Protocol, target.Socket != ""
	for _, name := range []string{"resolver", "srv", "mx", "proxy", "proxy-protocol", "dane"} {
		if socket && c.IsSet(name) {
			return fmt.Errorf("option --%s can't be used with a Unix socket", name)
		}
	}
	if err := resolvers(c, target, o); err != nil {
		return err
	}
	switch {
	case c.Bool("srv") && protocol.Service == "":
		return fmt.Errorf("option --srv: %s servers are not found by SRV records", protocol.Name)
	case c.Bool("mx") && !protocol.MX:
		return fmt.Errorf("option --mx: %s servers are not found by MX records", protocol.Name)
	case c.Bool("srv") && target.PortGiven:
		return fmt.Errorf("option --srv: the record names the port, %d can't be used", target.Port)
	case c.Bool("srv"):
		o.Lookup = connect.SRV
	case c.Bool("mx"):
		o.Lookup = connect.MX
	}
	switch version := c.String("proxy-protocol"); {
	case version == "v1" || version == "v2":
		o.ProxyHeader = version[1] - '0'
	case c.IsSet("proxy-protocol"):
		return fmt.Errorf("option --proxy-protocol: %s is neither v1 nor v2", quote.Short(version))
	}
	if c.IsSet("proxy") {
		o.Proxy, err = theProxy(c)
	}
	return err
}

// theProxy reads --proxy, and its password if it has a user.
func theProxy(c *cli.Context) (*connect.Proxy, error) {
	asked, unread := false, error(nil)
	proxy, err := connect.ParseProxy(c.String("proxy"), func() (password string, err error) {
		asked = true
		password, unread = secret(c, "proxy-password-file", "TLSUP_PROXY_PASSWORD")
		return password, unread
	})
	switch {
	case unread != nil:
		return nil, unread
	case err != nil:
		return nil, fmt.Errorf("option --proxy: %w", err)
	case !asked && c.IsSet("proxy-password-file"):
		return nil, errors.New("option --proxy-password-file needs a user in --proxy, as in http://USER@HOST:PORT")
	}
	return proxy, nil
}

// resolvers reads the options on who is asked for names.
func resolvers(c *cli.Context, target connect.Target, o *connect.Options) (err error) {
	o.Resolver = net.DefaultResolver
	var named *dns.Resolver
	if c.IsSet("resolver") {
		if named, err = dns.At(c.String("resolver")); err != nil {
			return fmt.Errorf("option --resolver: %w", err)
		}
		o.Resolver = named.Plain()
	}
	if !c.Bool("dane") {
		return nil
	}
	if _, err := netip.ParseAddr(target.ServerName()); err == nil {
		return fmt.Errorf("option --dane: %s is an address, and TLSA records belong to names", target.ServerName())
	}
	if o.DANE = named; named != nil {
		return nil
	}
	if o.DANE, err = dns.System(); err != nil {
		return fmt.Errorf("option --dane: %w; or name one that you trust with --resolver", err)
	}
	return nil
}

// times reads the options that are lengths of time.
func (pl *plan) times(c *cli.Context) (err error) {
	if pl.timeout, err = seconds(c, "timeout"); err != nil {
		return err
	}
	if pl.timeout <= 0 {
		return usagef("option --timeout: has to be more than nothing")
	}
	if pl.linger, err = seconds(c, "linger"); err != nil {
		return err
	}
	if pl.idle, err = seconds(c, "idle-timeout"); err == nil && pl.idle < 0 {
		return usagef("option --idle-timeout: can't be negative")
	}
	return err
}

// parseTarget reads TARGET [PORT], --port and the options that choose the protocol.
func parseTarget(c *cli.Context, manual bool) (connect.Target, error) {
	operands := c.Args().Slice()
	if len(operands) == 0 {
		return connect.Target{}, fmt.Errorf("no target: tlsup [options] TARGET [PORT]")
	}
	if len(operands) > 2 {
		return connect.Target{}, fmt.Errorf("%s is one operand too many, a command stands behind --", quote.Short(operands[2]))
	}
	port := c.String("port")
	if len(operands) == 2 {
		if port != "" {
			return connect.Target{}, fmt.Errorf("two ports, --port %s and %s", quote.Escape(port), quote.Escape(operands[1]))
		}
		port = operands[1]
	}
	if port == "" && (c.IsSet("port") || len(operands) == 2) {
		return connect.Target{}, fmt.Errorf("port %q is not between 1 and 65535", port)
	}
	protocol, err := starttlsProto(c)
	if err != nil {
		return connect.Target{}, err
	}
	if manual {
		protocol = negotiate.TLS() // refuses a scheme, which would choose an upgrade
	}
	return connect.ParseTarget(operands[0], port, protocol)
}

// starttlsProto is the protocol that --starttls-proto names; nil without it.
func starttlsProto(c *cli.Context) (*negotiate.Protocol, error) {
	if !c.IsSet("starttls-proto") {
		return nil, nil
	}
	protocol, err := connect.FindProtocol(c.String("starttls-proto"))
	if err != nil {
		return nil, usagef("option --starttls-proto: %w", err)
	}
	return protocol, nil
}

// trust reads the options on trust and tuning. ask is asked about servers that are not known; nil:
// none is accepted.
func (p *program) trust(c *cli.Context, ask func(string) (bool, error)) (*trust.Config, error) {
	s, err := trustSettings(c)
	if err != nil {
		return nil, err
	}
	s.Passphrase = func(file string) ([]byte, error) { return askPassphrase(c.Context, file) }
	s.Ask = ask
	settings, err := trust.Load(s)
	if err != nil {
		return nil, err
	}
	for _, warning := range trustWarnings(c) {
		p.message.line("warning: %s", warning)
	}
	return settings, p.useLegacy(c)
}

// trustWarnings are what a person should know of options that make each session weaker.
func trustWarnings(c *cli.Context) (warnings []string) {
	if c.Bool("legacy") {
		warnings = append(warnings, "--legacy allows old cryptography, which whoever is on the way may break")
	}
	if file := keyLogFile(c); file != "" {
		warnings = append(warnings, "the keys of all sessions are written to "+quote.Escape(file)+": whoever reads it can read what they carry")
	}
	return warnings
}

// keyLogFile is the file that sessions' keys are written to; "" for none.
func keyLogFile(c *cli.Context) string {
	switch {
	case c.IsSet("keylog"):
		return c.String("keylog")
	case c.Bool("raw"):
		return ""
	}
	return os.Getenv("SSLKEYLOGFILE")
}

// trustSettings are the options on trust and tuning, without anybody to ask.
func trustSettings(c *cli.Context) (s trust.Settings, err error) {
	s = trust.Settings{
		CAFiles:    given(c, "x509cafile"),
		CertFile:   c.String("x509certfile"),
		KeyFile:    c.String("x509keyfile"),
		VerifyName: c.String("verify-hostname"),
		Insecure:   c.Bool("insecure"),
		TLSMin:     c.String("tls-min"),
		TLSMax:     c.String("tls-max"),
		Ciphers:    c.String("ciphers"),
		Groups:     c.String("groups"),
		Legacy:     c.Bool("legacy"),
		ECH:        c.String("ech"),
		Pins:       given(c, "pin"),
		CertPins:   given(c, "pin-cert"),
		PinOnly:    c.Bool("pin-only"),
		DANE:       c.Bool("dane"),
		OCSP:       c.Bool("ocsp"),
		CRLFiles:   given(c, "x509crlfile"),
		KeyLog:     keyLogFile(c),

		SessionFile: c.String("session"),
	}
	for _, ids := range given(c, "alpn") {
		s.ALPN = append(s.ALPN, strings.Split(ids, ",")...)
	}
	if c.IsSet("sni-hostname") {
		sni := c.String("sni-hostname")
		s.SNI = &sni
	}
	if c.Bool("tofu") || c.Bool("strict-tofu") {
		s.KnownHosts, err = stateFile("known_hosts")
	}
	return s, err
}

// seconds reads an option of type secondsValue.
func seconds(c *cli.Context, name string) (time.Duration, error) {
	v := c.Generic(name).(*secondsValue)
	if v.bad != nil {
		return 0, usagef("option --%s: %w", name, v.bad)
	}
	return v.Duration, nil
}

// secondsValue is a length of time: seconds as a number, or a duration with units.
type secondsValue struct {
	time.Duration
	bad error // what was wrong with the text; package flag's words would not name the option as we do
}

func newSeconds(d time.Duration) *secondsValue { return &secondsValue{Duration: d} }

// Set reads a value from the command line.
func (v *secondsValue) Set(s string) error {
	n, err := strconv.ParseFloat(s, 64)
	d := time.Duration(n * float64(time.Second))
	if err != nil {
		d, err = time.ParseDuration(s)
	}
	const most = 10 * 365 * 24 * time.Hour
	switch {
	case err != nil || n != n:
		v.bad = fmt.Errorf("%s is neither a number of seconds nor a duration like 1m30s", quote.Short(s))
		return nil
	case n > most.Seconds() || n < -most.Seconds() || d > most || d < -most:
		v.bad = fmt.Errorf("%s is longer than ten years", quote.Short(s))
		return nil
	}
	v.Duration = d
	return nil
}

func (v *secondsValue) String() string {
	if v == nil {
		return ""
	}
	return v.Duration.String()
}

// isTerminal reports whether f is a terminal.
func isTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

// given reads an option of type listValue.
func given(c *cli.Context, name string) []string {
	if v, ok := c.Generic(name).(*listValue); ok {
		return *v
	}
	return nil
}

// listValue is what an option that may be repeated was given, in order.
type listValue []string

// Set adds a value from the command line.
func (v *listValue) Set(s string) error {
	*v = append(*v, s)
	return nil
}

func (v *listValue) String() string { return "" }
