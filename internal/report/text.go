package report

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"tlsup/internal/trust"
)

// A Style says how reports for a person look.
type Style struct {
	// Width is how many columns a line may have; 0: lines are not broken.
	Width int
	// Colour tells that the terminal understands colours.
	Colour bool
}

// Colours, as SGR parameters.
const (
	plain  = ""
	bold   = "1"
	red    = "31"
	green  = "32"
	yellow = "33"
	faint  = "2"
)

func (s Style) paint(colour, text string) string {
	if !s.Colour || colour == plain || text == "" {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}

// A page is a report that is being written.
type page struct {
	Style
	b strings.Builder
}

// Widths of the labels.
const (
	labelIndent = 2
	labelWidth  = 13
)

// row writes a label and a text in lines that fit.
func (p *page) row(label, colour, text string) {
	fmt.Fprintf(&p.b, "%*s%s", labelIndent, "", p.paint(faint, fmt.Sprintf("%-*s", labelWidth-labelIndent, label)))
	p.words(colour, text, labelWidth, labelWidth)
}

// words writes text, of which the first line begins in column first and the others in column indent.
func (p *page) words(colour, text string, first, indent int) {
	for i, line := range fold(text, p.Width, first, indent) {
		if i > 0 {
			fmt.Fprintf(&p.b, "%*s", indent, "")
		}
		p.b.WriteString(p.paint(colour, line) + "\n")
	}
}

// fold breaks a text between words into lines that end before width, of which the first begins at
// column first and the others at indent. A word that does not fit is broken.
func fold(text string, width, first, indent int) []string {
	if width <= indent+10 {
		return []string{text}
	}
	var lines []string
	line, room := "", width-first
	for _, word := range strings.Fields(text) {
		if line != "" && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) <= room {
			line += " " + word
			continue
		}
		if line != "" {
			lines, room = append(lines, line), width-indent
		}
		for line = word; utf8.RuneCountInString(line) > room; room = width - indent {
			runes := []rune(line)
			lines, line = append(lines, string(runes[:room])), string(runes[room:])
		}
	}
	return append(lines, line)
}

// Text writes the report for a person. The reason of a failure is not in it, unless it is the
// certificate: that is the caller's to say.
func (r *Report) Text(w io.Writer, style Style) error {
	p := &page{Style: style}
	r.headline(p)
	r.way(p)
	if r.TLS == nil {
		r.tlsa(p)
	}
	if r.TLS != nil {
		r.agreed(p)
		r.tlsa(p)
		r.certificates(p)
		r.verdict(p)
	}
	if r.Timeline != nil {
		p.timeline(r.Timeline)
	}
	if r.Scan != nil {
		p.scan(r.Scan)
	}
	_, err := io.WriteString(w, p.b.String())
	return err
}

func (r *Report) headline(p *page) {
	word, colour := "ok", green
	switch {
	case r.Status != 0 && r.Verification != nil && !r.Verification.Trusted:
		word, colour = "NOT TRUSTED", red
	case r.Status != 0:
		word, colour = "FAILED", red
	case r.warning != "":
		word, colour = "NOT TRUSTED, let pass by --insecure", yellow
	}
	fmt.Fprintf(&p.b, "%s: %s\n", p.paint(bold, r.Target), p.paint(bold+";"+colour, word))
}

// way writes how the server was reached.
func (r *Report) way(p *page) {
	ms := r.Milliseconds
	if r.Address != nil {
		text := *r.Address + took(ms.Connect)
		if ms.Resolve != nil {
			text += ", name resolved" + took(ms.Resolve)
		}
		p.row("reached", plain, text)
	}
	switch {
	case r.Address == nil:
	case r.Start == "unknown":
		p.row("protocol", plain, r.Protocol+", not recognised")
	case r.Start == "first byte":
		p.row("protocol", plain, r.Protocol+recognised(r)+", TLS from the first byte")
	case ms.Upgrade == nil:
		p.row("protocol", plain, r.Protocol+recognised(r)+", not upgraded")
	default:
		p.row("protocol", plain, r.Protocol+recognised(r)+", upgraded"+took(ms.Upgrade))
	}
}

func recognised(r *Report) string {
	if r.Recognised == nil {
		return ""
	}
	return " (" + *r.Recognised + ")"
}

// took says how long something took.
func took(ms *float64) string {
	if ms == nil {
		return ""
	}
	return " in " + duration(*ms)
}

func duration(ms float64) string {
	switch {
	case ms < 10:
		return fmt.Sprintf("%.1f ms", ms)
	case ms < 10_000:
		return fmt.Sprintf("%.0f ms", ms)
	}
	return fmt.Sprintf("%.1f s", ms/1000)
}

// agreed writes what the handshake agreed on.
func (r *Report) agreed(p *page) {
	s := r.TLS
	version := s.Version + ", " + s.CipherSuite
	if r.Milliseconds.Handshake == nil {
		version += ", handshake not finished"
	}
	p.row("version", plain, version+took(r.Milliseconds.Handshake))
	p.row("group", plain, groupText(s))
	p.row("signature", plain, or(s.Signature, s.SignatureNote))
	p.row("SNI", plain, or(s.ServerName, "not sent"))
	if r.ECH != nil {
		text, colour := r.ECH.text()
		p.row("ECH", colour, text)
	}
	switch {
	case s.ALPN != nil:
		p.row("ALPN", plain, *s.ALPN)
	case len(s.ALPNOffered) > 0:
		p.row("ALPN", plain, strings.Join(s.ALPNOffered, " ")+" offered, none chosen")
	default:
		p.row("ALPN", plain, "not offered")
	}
	p.row("session", plain, ticketText(s)+", "+clientText(s.ClientCertificate))
	p.row("SCTs", plain, r.sctText())
	text, colour := r.ocspText()
	p.row("OCSP", colour, text)
}

func (e *ECH) text() (text, colour string) {
	switch {
	case !e.Accepted: // a certificate came, and then the handshake failed
		return "offered", plain
	case e.Retried:
		return "accepted, the second time: the server wants " + *e.RetryConfig, yellow
	}
	return "accepted: the name was encrypted", green
}

func groupText(s *Session) string {
	switch {
	case s.Group == nil && strings.HasPrefix(s.SignatureNote, "none"):
		return "none: RSA key exchange, without forward secrecy"
	case s.Group == nil:
		return "not known"
	case s.PostQuantum:
		return *s.Group + ", hybrid post-quantum"
	}
	return *s.Group + ", not post-quantum"
}

func ticketText(s *Session) string {
	switch {
	case s.SessionTicket == nil:
		return "not begun"
	case *s.SessionTicket:
		return "a ticket came"
	}
	return "no ticket came"
}

func clientText(c Client) string {
	switch {
	case c.Sent:
		return "client certificate sent"
	case c.Requested:
		return "client certificate requested, none sent"
	}
	return "no client certificate requested"
}

// sctText counts SCTs by where they were.
func (r *Report) sctText() string {
	var parts []string
	for _, source := range []string{"certificate", "handshake", "ocsp"} {
		n := 0
		for _, sct := range r.SCTs {
			if sct.Source == source {
				n++
			}
		}
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%d in the %s", n, strings.Replace(source, "ocsp", "OCSP response", 1)))
		}
	}
	if parts == nil {
		return "none"
	}
	return strings.Join(parts, ", ") + " (signatures not checked)"
}

func (r *Report) ocspText() (text, colour string) {
	o := r.OCSP
	if o == nil {
		if len(r.Chain) > 0 && r.Chain[0].MustStaple {
			return "no stapled response, which the certificate demands (must-staple)", red
		}
		return "no stapled response", plain
	}
	text, colour = "stapled response: "+o.State, green
	switch o.State {
	case "revoked":
		colour = red
		if o.RevokedAt != nil {
			text += " since " + trust.Moment(*o.RevokedAt, r.Time)
		}
	case "unknown", "unreadable":
		colour = red
	}
	if o.ThisUpdate != nil {
		text += ", of " + trust.Moment(*o.ThisUpdate, r.Time)
	}
	if o.NextUpdate != nil {
		text += " until " + trust.Moment(*o.NextUpdate, r.Time)
	}
	if o.Problem != nil {
		text, colour = text+"; "+*o.Problem, red
	}
	return text, colour
}

// mostItems is how many certificates, and names in one, a person is shown.
const mostItems = 20

// certificates writes the chain.
func (r *Report) certificates(p *page) {
	for i := range r.Chain {
		c := &r.Chain[i]
		if i == mostItems && len(r.Chain) > mostItems+1 {
			fmt.Fprintf(&p.b, "\nand %d more certificates\n", len(r.Chain)-mostItems)
			return
		}
		kind := "certificate"
		switch {
		case !c.Sent:
			kind = "trust anchor, not sent"
		case c.Anchor:
			kind = "trust anchor, sent too"
		case i > 0 && !c.Used && r.Verification.Trusted:
			kind = "certificate that is not needed"
		case i > 0 && c.SelfSigned:
			kind = "root, sent too, not a trust anchor"
		case i > 0:
			kind = "intermediate"
		}
		p.b.WriteString("\n")
		fmt.Fprintf(&p.b, "%s ", p.paint(bold, fmt.Sprintf("%d", i)))
		p.words(bold, c.Subject+" ("+kind+")", 2, labelWidth)
		if len(c.Names) > 0 {
			p.row("names", plain, some(c.Names))
		}
		issuer := c.Issuer
		if c.SelfSigned {
			issuer = "itself"
		}
		p.row("issued by", plain, issuer+", "+c.Signature)
		p.row("key", plain, c.Key.String()+", serial "+c.Serial)
		bar, colour := validity(c, r.Time)
		p.row("valid", colour, bar)
		p.row("SHA-256", plain, c.SHA256)
		p.row("pin", plain, c.Pin)
	}
}

// some joins names, of which there may be hundreds.
func some(names []string) string {
	var shown []string
	for i, name := range names {
		if i == mostItems && len(names) > mostItems+1 {
			return fmt.Sprintf("%s and %d more", strings.Join(shown, ", "), len(names)-mostItems)
		}
		if name == "" || strings.ContainsAny(name, `, "`) { // it could be taken for two
			name = `"` + strings.ReplaceAll(name, `"`, `\"`) + `"`
		}
		shown = append(shown, name)
	}
	return strings.Join(shown, ", ")
}

// String is the key for a person: the curve says how many bits it has.
func (k Key) String() string {
	if k.Algorithm != "RSA" || k.Bits == 0 {
		return k.Algorithm
	}
	return fmt.Sprintf("%s %d", k.Algorithm, k.Bits)
}

// barWidth is the length of a validity's bar.
const barWidth = 20

// validity shows how much of a certificate's time is over, and what is left.
func validity(c *Certificate, now time.Time) (text, colour string) {
	whole, over := c.NotAfter.Sub(c.NotBefore), now.Sub(c.NotBefore)
	filled := barWidth
	if whole > 0 {
		filled = int(math.Round(barWidth * min(max(float64(over)/float64(whole), 0), 1)))
	}
	bar := "[" + strings.Repeat("#", filled) + strings.Repeat("-", barWidth-filled) + "]"
	text = fmt.Sprintf("%s %s %s, ", c.NotBefore.Format(time.DateOnly), bar, c.NotAfter.Format(time.DateOnly))
	const soon = 14
	switch {
	case now.Before(c.NotBefore):
		return text + "not yet", red
	case now.After(c.NotAfter):
		return text + "ended " + c.left(), red
	case c.EndsTooSoon:
		return text + "ends too soon, " + c.left(), red
	case c.DaysLeft < soon:
		return text + "ends " + c.left(), yellow
	}
	return fmt.Sprintf("%s%d days left", text, c.DaysLeft), green
}

// verdict writes what the certificate was verified against, or each reason for distrust.
func (r *Report) verdict(p *page) {
	v := r.Verification
	p.b.WriteString("\n")
	if v.Trusted {
		p.b.WriteString(p.paint(green, "trusted") + " ")
		p.words(plain, v.by(), len("trusted "), labelWidth)
		if r.Error != nil && r.Error.Step == "verify" {
			p.reason(Reason{Text: r.Error.Reason, Hint: r.Error.Hint})
		}
		return
	}
	for _, reason := range v.Reasons {
		if reason.which != "" {
			reason.Text = reason.which + " " + reason.Text
		}
		p.reason(reason)
	}
}

// by says what makes the certificate trusted.
func (v *Verification) by() string {
	switch {
	case v.Anchor == nil:
		return "by " + or(v.Means, "other means")
	case v.Means != nil:
		return fmt.Sprintf("for %s, by %s, and by %s", v.Name, *v.Means, v.Anchor.Subject)
	}
	return fmt.Sprintf("for %s, by %s from %s", v.Name, v.Anchor.Subject, or(v.Anchor.File, "the system's roots"))
}

func (p *page) reason(reason Reason) {
	p.b.WriteString(p.paint(red, "problem") + "      ")
	p.words(red, reason.Text, labelWidth, labelWidth)
	fits := func(line string) bool { return p.Width == 0 || labelWidth+utf8.RuneCountInString(line) <= p.Width }
	if !slices.ContainsFunc(reason.detail, func(line string) bool { return !fits(line) }) {
		for _, line := range reason.detail {
			fmt.Fprintf(&p.b, "%*s%s\n", labelWidth, "", line)
		}
	}
	if reason.Hint != nil {
		p.row("hint", plain, *reason.Hint)
	}
}

func or(s *string, otherwise string) string {
	if s == nil {
		return otherwise
	}
	return *s
}
