package trust

import (
	"crypto/tls"
	"fmt"
	"strings"
	"time"

	"tlsup/internal/quote"
)

// Describe says in one line what was agreed in a handshake with Client's settings: TLS
// version, cipher suite, key exchange group, ALPN, resumed or not, ECH, the certificate's
// subject, issuer and days left, and the name and trust anchor that it was verified
// against, or why it is not trusted. name is the one that Client was called with. What
// comes from certificates is escaped and cut.
func (c *Config) Describe(cs tls.ConnectionState, name string) string {
	session := []string{
		tls.VersionName(cs.Version),
		tls.CipherSuiteName(cs.CipherSuite),
		keyExchange(cs),
		"no ALPN",
		"new session",
	}
	if cs.NegotiatedProtocol != "" {
		session[3] = "ALPN " + value(cs.NegotiatedProtocol)
	}
	if cs.DidResume {
		session[4] = "resumed session"
	}
	if cs.ECHAccepted {
		session = append(session, "ECH accepted")
	}
	parts := []string{strings.Join(session, ", ")}
	if len(cs.PeerCertificates) > 0 {
		leaf := cs.PeerCertificates[0]
		parts = append(parts, fmt.Sprintf("certificate %s, issued by %s, %s", subject(leaf), issuer(leaf), expiry(leaf.NotAfter, time.Now())))
	}
	return strings.Join(append(parts, c.verdict(cs, c.reference(name))), "; ")
}

func keyExchange(cs tls.ConnectionState) string {
	if cs.CurveID == 0 {
		return "RSA key exchange"
	}
	return groupOf(cs.CurveID).names[0]
}

// verdict says what the certificate was verified against, or why it is not trusted.
func (c *Config) verdict(cs tls.ConnectionState, name string) string {
	a, err := c.verify(cs, name, nil)
	switch {
	case err != nil:
		return "NOT verified: " + err.Error()
	case a.chain == nil:
		return "verified by " + c.means(a)
	}
	if a.tlsa != nil {
		name = fitting(a.chain[0], c.names(c.server.DANE, name))
	}
	anchor := a.chain[len(a.chain)-1]
	source := "the system's roots"
	if file := c.fileOf(anchor); file != "" {
		source = pathText(file)
	}
	text := fmt.Sprintf("verified for %s, trust anchor %s from %s", value(name), subject(anchor), source)
	if a.tlsa != nil && a.tlsa.Usage == daneTA {
		text = fmt.Sprintf("verified for %s, trust anchor %s", value(name), subject(anchor))
	}
	if a.tlsa != nil {
		text += ", by " + c.means(a)
	}
	if c.pins.given() {
		text += ", and by its pin"
	}
	return text
}

// means is what stands in place of the chain, or decides besides; "" for nothing.
func (c *Config) means(a acceptance) string {
	switch {
	case a.tlsa != nil:
		return fmt.Sprintf("the TLSA record %s of %s", a.tlsa, quote.Escape(c.server.DANE.Owner))
	case c.known != nil:
		return "the known hosts in " + pathText(c.known.file)
	case c.pins.only:
		return "its pin alone"
	}
	return ""
}

// expiry says when a certificate ends, in whole days.
func expiry(end, now time.Time) string {
	if now.After(end) {
		return "expired " + ago(end, now)
	}
	if end.Sub(now) < 24*time.Hour {
		return "expires within a day"
	}
	return "expires in " + days(now, end)
}

// ago says how long ago something was, and ahead how far off it is.
func ago(past, now time.Time) string { return span(past, now) + " ago" }

func ahead(now, future time.Time) string { return "in " + span(now, future) }

// span is a length of time, rounded down: in days, and below one in hours or minutes.
func span(from, to time.Time) string {
	const hour, day = 60 * 60, 24 * 60 * 60
	switch seconds := to.Unix() - from.Unix(); {
	case seconds >= day:
		return days(from, to)
	case seconds >= hour:
		return count(seconds/hour, "hour")
	default:
		return count(seconds/60, "minute")
	}
}

func count(n int64, unit string) string {
	if n == 1 {
		return "1 " + unit
	}
	return fmt.Sprintf("%d %ss", n, unit)
}

// days counts whole days, rounded down, also where a [time.Duration] ends (292 years).
func days(from, to time.Time) string {
	return count((to.Unix()-from.Unix())/(24*60*60), "day")
}

// date is a day in UTC, as certificates count.
func date(t time.Time) string { return t.UTC().Format(time.DateOnly) }

// Moment is a date in UTC, with the time where that may make the difference.
func Moment(t, now time.Time) string { return moment(t, now) }

// moment is a date, with the time where a clock or a time zone may make the difference.
func moment(t, now time.Time) string {
	if t.Sub(now).Abs() < 48*time.Hour {
		return t.UTC().Format("2006-01-02 15:04 UTC")
	}
	return date(t)
}
