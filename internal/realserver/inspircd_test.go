package realserver

import (
	"testing"

	"tlsup/negotiate"
)

// inspircdUser registers by the name in $0, and leaves when it is welcome.
const inspircdUser = `printf 'NICK %s\r\nUSER test 0 * :test\r\n' "$0"
while read -r line; do
	echo "$line" >&2
	case $line in *' 001 '*) printf 'QUIT\r\n' ;; esac
done`

func TestInspIRCd(t *testing.T) {
	t.Parallel()
	s := InspIRCd(t)
	for _, scheme := range inspircd.schemes {
		t.Run(scheme, func(t *testing.T) {
			// A client that knows nothing of capabilities is let in: CAP LS does not hold it back.
			irc := open(t, s, scheme, Host)
			irc.askAll("NICK "+scheme+"\r\nUSER test 0 * :test", ":"+Host+" 001 "+scheme+" :")
			irc.askAll("PING hello", ":"+Host+" PONG "+Host+" :hello")
			irc.askAll("QUIT", "ERROR :")
			irc.end()

			// One that does gets what it asks for.
			irc = open(t, s, scheme, Host)
			irc.askAll("CAP LS 302\r\nNICK "+scheme+"\r\nUSER test 0 * :test", ":"+Host+" CAP * LS :")
			irc.askAll("CAP END", ":"+Host+" 001 "+scheme+" :")
			irc.askAll("QUIT", "ERROR :")
			irc.end()

			// QUIT has to wait for the welcome, which takes it up to a second.
			got := tlsup(t, "", "--x509cafile", s.CAFile(), "--verify-hostname", Host, s.target(scheme), "--", "sh", "-c", inspircdUser, "x"+scheme)
			got.must(t, 0, "", ":"+Host+" 001 x"+scheme+" :", "\nERROR :")
			tlsup(t, "", s.target(scheme)).must(t, 6, "", s.Addr(scheme)+": verify: ", "throwaway authority")
		})
	}
	t.Run("port of ircs", func(t *testing.T) {
		mustRefuse(t, &Server{Ports: map[string]int{"irc": s.Ports["ircs"]}}, "irc", Host, negotiate.ErrTLS, negotiate.Capabilities)
		got := tlsup(t, "", "irc://"+s.Addr("ircs"))
		got.must(t, 4, "", "server speaks TLS from the first byte", "hint: try tlsup "+s.target("ircs"))
	})
}

func TestInspIRCdWithoutTLS(t *testing.T) {
	t.Parallel()
	s := InspIRCd(t, InspIRCdNoTLS)
	mustRefuse(t, s, "irc", Host, negotiate.ErrNotOffered, negotiate.Capabilities)
	tlsup(t, "", s.target("irc")).must(t, 4, "", s.Addr("irc")+": capabilities: server does not offer STARTTLS", "hint: ")
}
