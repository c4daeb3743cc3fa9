// Package gnutls is what a stand-in for gnutls-cli has to know of it: the options of its
// version 3.8 and how they are read, its priority strings, and the words that it says, on which
// other programs wait. It opens no connection and touches no terminal.
package gnutls

// Name is what the program is called that this one stands in for.
const Name = "gnutls-cli"

// A Standing says what becomes of an option here.
type Standing int

const (
	// Works: it does what it does there, if nothing else is said.
	Works Standing = iota
	// Never: crypto/tls can't do it, which ends the run with status 2.
	Never
)

// A Kind says what an option's value has to be.
type Kind int

const (
	Flag   Kind = iota // no value
	Text               // anything
	Number             // a decimal number, bounded by Option.Max if that is not 0
	File               // a file that exists
)

// An Option is an option of gnutls-cli.
type Option struct {
	Name  string // long, without dashes
	Short byte   // 0: none
	Kind  Kind
	Value string // what help calls the value
	Max   int
	No    bool   // --no-NAME is one, too
	Alias string // the option that it is another name of
	// Attached: the value may be left out, and else has to be attached.
	Attached bool

	Help string // what it is there for
	Standing
	// Here is how it differs here, or why it can't be used; a sentence without its full stop.
	Here string
}

// Options are all of gnutls-cli's, in the order of its help.
var Options = []Option{
	{Name: "debug", Short: 'd', Kind: Number, Value: "NUM", Max: 9999, Help: "enable debugging",
		Here: "from 1 on, the cleartext exchange of an upgrade and the reasons of failures are shown on standard error"},
	{Name: "verbose", Short: 'V', Help: "more verbose output"},
	{Name: "tofu", No: true, Help: "trust on first use", Here: "tlsup's known hosts are used, and for servers that are not among them GnuTLS's own are read; the question is asked on the terminal, and about another key than before it is not asked but refused"},
	{Name: "strict-tofu", No: true, Help: "fail if a certificate is unknown or has changed", Here: "by tlsup's known hosts, or GnuTLS's own"},
	{Name: "dane", No: true, Help: "verify by DANE",
		Here: "besides authorities, as there; the validation is left to the resolver, that of the system if it is on this machine or its file says trust-ad, or the one that TLSUP_RESOLVER names"},
	{Name: "local-dns", No: true, Help: "use the local DNS server for DNSSEC",
		Here: "it is always used; --no-local-dns can't be used with --dane"},
	{Name: "ca-verification", No: true, Help: "verify the certificate by authorities; the default"},
	{Name: "ocsp", No: true, Help: "verify by OCSP",
		Here: "the server's own certificate has to be proven good, by what it staples or by its responder; those above it must not be revoked"},
	{Name: "resume", Short: 'r', Help: "establish a session, and resume it",
		Here: "it can't be used with --starttls"},
	{Name: "earlydata", Kind: Text, Value: "FILE", Help: "send early data on resumption", Standing: Never,
		Here: "crypto/tls sends no early data to servers"},
	{Name: "rehandshake", Short: 'e', Help: "establish a session, and shake hands again", Standing: Never,
		Here: "crypto/tls begins neither a second handshake nor a key update; it follows the server's"},
	{Name: "sni-hostname", Kind: Text, Value: "NAME", Help: "the name to ask the server for",
		Here: "an address, which no server may be asked for, is refused"},
	{Name: "verify-hostname", Kind: Text, Value: "NAME", Help: "the name that the certificate has to be valid for"},
	{Name: "starttls", Short: 's', Help: "connect, and start TLS at the end of the input or at SIGALRM"},
	{Name: "app-proto", Kind: Text, Value: "PROTO", Alias: "starttls-proto", Help: "another name of --starttls-proto"},
	{Name: "starttls-proto", Kind: Text, Value: "PROTO", Help: "upgrade with this protocol",
		Here: "all protocols of tlsup are known, and imap2; the port is the protocol's own, for xmpp the clients'; ftps is ftp on port 990, as there"},
	{Name: "starttls-name", Kind: Text, Value: "NAME", Help: "the name that the upgrade sends",
		Here: "for all protocols that send one"},
	{Name: "udp", Short: 'u', Help: "use DTLS", Standing: Never, Here: "crypto/tls has no DTLS"},
	{Name: "mtu", Kind: Number, Value: "NUM", Max: 17000, Help: "the MTU of DTLS", Standing: Never, Here: "crypto/tls has no DTLS"},
	{Name: "crlf", Help: "send CR LF in place of LF", Here: "each LF is turned, and one with its CR left alone"},
	{Name: "fastopen", Help: "use TCP Fast Open", Here: "on Linux alone, elsewhere it is refused"},
	{Name: "x509fmtder", Help: "certificates and keys are read from DER"},
	{Name: "print-cert", Help: "print the peer's certificates as PEM"},
	{Name: "save-cert", Kind: Text, Value: "FILE", Help: "save the peer's chain as PEM"},
	{Name: "save-ocsp", Kind: Text, Value: "FILE", Help: "save the stapled OCSP response, as DER"},
	{Name: "save-ocsp-multi", Kind: Text, Value: "FILE", Help: "save all stapled OCSP responses, as PEM",
		Here: "crypto/tls hands over that of the server's own certificate alone"},
	{Name: "save-server-trace", Kind: Text, Value: "FILE", Help: "save what the server sends of TLS, as it comes"},
	{Name: "save-client-trace", Kind: Text, Value: "FILE", Help: "save what is sent of TLS"},
	{Name: "dh-bits", Kind: Number, Value: "NUM", Help: "the least number of bits for Diffie-Hellman",
		Here: "nothing has to be done for it: no finite field is offered"},
	{Name: "priority", Kind: Text, Value: "STRING", Help: "what is offered",
		Here: "see below"},
	{Name: "x509cafile", Kind: Text, Value: "FILE", Help: "trust the authorities in a file",
		Here: "a directory will do, too; PKCS #11 is refused"},
	{Name: "x509crlfile", Kind: File, Value: "FILE", Help: "a list of revoked certificates",
		Here: "PEM or DER; a list that is out of date refuses the certificates of its issuer"},
	{Name: "x509keyfile", Kind: Text, Value: "FILE", Help: "the client certificate's key",
		Here: "a key that is not the certificate's ends the run"},
	{Name: "x509certfile", Kind: Text, Value: "FILE", Help: "the client's certificate"},
	{Name: "rawpkkeyfile", Kind: Text, Value: "FILE", Help: "the key of a raw public key", Standing: Never, Here: noRawKeys},
	{Name: "rawpkfile", Kind: Text, Value: "FILE", Help: "a raw public key", Standing: Never, Here: noRawKeys},
	{Name: "rawkeyfile", Kind: Text, Value: "FILE", Help: "a raw public key, in older versions", Standing: Never, Here: noRawKeys},
	{Name: "srpusername", Kind: Text, Value: "NAME", Help: "the user's name for SRP", Standing: Never, Here: "crypto/tls has no SRP"},
	{Name: "srppasswd", Kind: Text, Value: "PASSWORD", Help: "the password for SRP", Standing: Never, Here: "crypto/tls has no SRP"},
	{Name: "pskusername", Kind: Text, Value: "NAME", Help: "the user's name for a pre-shared key", Standing: Never, Here: noPSK},
	{Name: "pskkey", Kind: Text, Value: "HEX", Help: "the pre-shared key", Standing: Never, Here: noPSK},
	{Name: "port", Short: 'p', Kind: Text, Value: "PORT", Help: "the port or service to connect to"},
	{Name: "insecure", Help: "go on though the certificate is not trusted"},
	{Name: "verify-allow-broken", Help: "allow broken algorithms in certificates",
		Here: "SHA-1, as there; but not by an authority that is found among the system's roots, or bounds the names beneath it"},
	{Name: "attime", Kind: Text, Value: "TIME", Help: "verify at another time than now",
		Here: "see below"},
	{Name: "ranges", Help: "pad records, to hide lengths", Standing: Never, Here: "crypto/tls pads no record"},
	{Name: "benchmark-ciphers", Help: "measure ciphers", Standing: Never, Here: noBenchmark},
	{Name: "benchmark-tls-kx", Help: "measure key exchanges", Standing: Never, Here: noBenchmark},
	{Name: "benchmark-tls-ciphers", Help: "measure ciphers in TLS", Standing: Never, Here: noBenchmark},
	{Name: "list", Short: 'l', Help: "list what can be offered, or what --priority offers"},
	{Name: "priority-list", Help: "list the words of priority strings"},
	{Name: "noticket", Help: "take no session tickets", Here: "with TLS 1.3 as well"},
	{Name: "srtp-profiles", Kind: Text, Value: "PROFILES", Help: "offer SRTP", Standing: Never, Here: "crypto/tls has no SRTP"},
	{Name: "alpn", Kind: Text, Value: "ID", Help: "offer an application protocol; repeatable"},
	{Name: "compress-cert", Kind: Text, Value: "METHOD", Help: "take a compressed certificate", Standing: Never,
		Here: "crypto/tls has no compression of certificates"},
	{Name: "heartbeat", Short: 'b', Help: "allow heartbeats", Standing: Never, Here: "crypto/tls has no heartbeats"},
	{Name: "recordsize", Kind: Number, Value: "NUM", Max: 4096, Help: "the largest record",
		Here: "512 at least, or 0; it bounds the records that are sent, and crypto/tls can't ask the server to do the same"},
	{Name: "disable-sni", Help: "ask the server for no name"},
	{Name: "disable-extensions", Help: "send no extensions of TLS", Standing: Never, Here: "crypto/tls can't leave them out"},
	{Name: "single-key-share", Help: "send one key share in TLS 1.3", Here: "no hybrid with a post-quantum mechanism is offered then"},
	{Name: "post-handshake-auth", Help: "allow the server to ask for a certificate later", Standing: Never,
		Here: "crypto/tls has no authentication behind the handshake"},
	{Name: "inline-commands", Help: "take commands from the input",
		Here: "see below"},
	{Name: "inline-commands-prefix", Kind: Text, Value: "CHAR", Help: "what stands around such a command, in place of ^"},
	{Name: "provider", Kind: File, Value: "FILE", Help: "the library for PKCS #11", Standing: Never, Here: "there is no PKCS #11 here"},
	{Name: "fips140-mode", Help: "tell whether FIPS 140 is in force", Here: "that of Go's own module"},
	{Name: "list-config", Help: "tell how the library was built", Here: "it is Go's"},
	{Name: "logfile", Kind: Text, Value: "FILE", Help: "write what is said about the session to a file, not to standard output"},
	{Name: "keymatexport", Kind: Text, Value: "LABEL", Help: "print keying material with this label"},
	{Name: "keymatexportsize", Kind: Number, Value: "NUM", Help: "how much of it, in bytes; 20"},
	{Name: "waitresumption", Help: "with --resume, wait for the ticket of TLS 1.3",
		Here: "without it a second is waited, with it half a minute"},
	{Name: "sslkeylogfile", Kind: Text, Value: "FILE", Help: "append the session's secrets to a file, as SSLKEYLOGFILE does"},
	{Name: "ca-auto-retrieve", No: true, Help: "fetch missing certificates of authorities",
		Here: "by http alone, four at most, each in DER or PEM; they are no trust anchors"},
	{Name: "version", Short: 'v', Kind: Text, Value: "MODE", Attached: true, Help: "print the version, and exit"},
	{Name: "help", Short: 'h', Help: "print help, and exit"},
	{Name: "more-help", Short: '!', Help: "print help, and exit", Here: "no pager is started"},
}

const (
	noRawKeys   = "crypto/tls has no raw public keys"
	noPSK       = "crypto/tls has no pre-shared keys but those of resumed sessions"
	noBenchmark = "this program measures no cryptography"
)

// find returns the option of that long name.
func find(name string) *Option {
	for i := range Options {
		if Options[i].Name == name {
			return &Options[i]
		}
	}
	return nil
}
