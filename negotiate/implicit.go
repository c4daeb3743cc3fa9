package negotiate

import "crypto/tls"

// Protocols that have TLS from the first byte and no upgrade.
func init() {
	for _, p := range []*Protocol{
		{Name: "mqtts", Aliases: []string{"secure-mqtt"}, Family: Chat, Title: "messages of devices (MQTT)",
			Port: 8883, ALPN: []string{"mqtt"}, Specs: []string{"MQTT 5.0"}, Servers: []string{"Mosquitto"},
			Note: "The client begins, with CONNECT. What follows are packets, not lines."},
		{Name: "sips", Aliases: []string{"sip-tls"}, Family: Chat, Title: "calls over the network (SIP)",
			Port: 5061, ALPN: []string{"sip/2"}, Specs: []string{"RFC 3261"}, Lines: true,
			Note: "The client begins, with a request like OPTIONS, and an empty line behind its fields."},
		{Name: "dot", Aliases: []string{"domain-s"}, Family: Directory, Title: "names of the DNS (DNS over TLS)",
			Port: 853, ALPN: []string{"dot"}, Specs: []string{"RFC 7858"}, Servers: []string{"Unbound"},
			Note: "The client begins. What follows are messages with their length before them, as in DNS over TCP."},
		{Name: "epp", Family: Directory, Title: "registering domains (EPP)",
			Port: 700, Specs: []string{"RFC 5734"},
			Note: "The server greets. What follows is XML with its length before it. Registries want a certificate of the client."},
		{Name: "rediss", Family: Database, Title: "Redis and Valkey database",
			Port: 6379, Specs: []string{"Redis serialization protocol"}, Servers: []string{"Redis"}, Lines: true,
			Note: "The client begins: PING is answered with +PONG. Many servers have TLS on a port of their own, which has to be named."},
		{Name: "gemini", Family: Files, Title: "pages of Gemini",
			Port: 1965, Specs: []string{"Gemini protocol"}, Lines: true,
			Note: "The client sends one line, a URL, and the server answers and closes. Servers have certificates that nobody has signed: " +
				"--x509cafile with the server's own certificate trusts it."},
		{Name: "rtsps", Family: Files, Title: "pictures and sound of cameras (RTSP)",
			Port: 322, Specs: []string{"RFC 7826"}, Lines: true,
			Note: "The client begins, with a request like OPTIONS, and an empty line behind its fields."},
		{Name: "coaps+tcp", Family: Remote, Title: "devices with little memory (CoAP)",
			Port: 5684, ALPN: []string{"coap"}, Specs: []string{"RFC 8323"},
			Note: "Both sides begin with a CSM message. What follows are packets, not lines."},
		{Name: "netconf-tls", Family: Remote, Title: "settings of network devices (NETCONF)",
			Port: 6513, Specs: []string{"RFC 7589"},
			Note: "Both sides begin with a hello in XML, up to ]]>]]>. The server wants a certificate of the client."},
		{Name: "ntske", Family: Remote, Title: "keys for secure time (NTS-KE)",
			Port: 4460, ALPN: []string{"ntske/1"}, Specs: []string{"RFC 8915"}, MinVersion: tls.VersionTLS13,
			NoTunnel: "the client takes its keys from the TLS session",
			Note:     "The client sends records, up to one that says End of Message, and the server answers likewise and closes."},
		{Name: "radsec", Family: Remote, Title: "who may use a network (RADIUS)",
			Port: 2083, Specs: []string{"RFC 6614"},
			Note: "The client begins. What follows are packets as in RADIUS, with the shared secret \"radsec\"; " +
				"--alpn radius/1.1 asks for those of RFC 9765. The server wants a certificate of the client."},
		{Name: "syslog-tls", Family: Remote, Title: "a log at another host (syslog)",
			Port: 6514, Specs: []string{"RFC 5425"},
			Note: "The client sends messages with their length and a space before them. The server says nothing at all."},
		{Name: "turns", Aliases: []string{"stuns"}, Family: Remote, Title: "ways through address translation (TURN, STUN)",
			Port: 5349, ALPN: []string{"stun.turn", "stun.nat-discovery"}, Specs: []string{"RFC 8656", "RFC 8489"},
			Note: "The client begins. What follows are packets, not lines."},
	} {
		register(p)
	}
}
