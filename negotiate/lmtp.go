package negotiate

// LMTP (RFC 2033) is SMTP with LHLO in place of EHLO, and upgrades like it.
var lmtp = &Protocol{
	Name:      "lmtp",
	Family:    Mail,
	Title:     "mail delivery to a local store",
	Port:      24,
	Specs:     []string{"RFC 2033", "RFC 3207"},
	Servers:   []string{"Cyrus", "Dovecot"},
	Lines:     true,
	Names:     OwnName,
	Recognise: greetsLikeSMTP("LMTP"),
	Greets:    true,
	Upgrade:   upgradeSMTP("LHLO"),
	Remarks: []Remark{
		{"C: LHLO", "our own name: --starttls-name, else the machine's, else its address"},
		{"S: 250-STARTTLS", "the offer; without it there is no session"},
		{"S: 220 2.0.0", "the go-ahead: the next byte belongs to the TLS handshake"},
	},
	Note: "Inside TLS the server is silent: say LHLO again, what it offered before no longer counts.",
}

var _ = register(lmtp)
