package negotiate

import "crypto/tls"

// implicit are protocols that have TLS from the first byte and no upgrade. radsec offers no protocol ID, which means
// RADIUS as it was (RFC 9765): a server that is offered radius/1.1 too may choose it, and its
// packets are others.
var implicit = []*Protocol{
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
	{Name: "dicom-tls", Family: Files, Title: "pictures in medicine (DICOM)",
		Port: 2762, Specs: []string{"DICOM PS3.15"},
		Note: "The client begins, with A-ASSOCIATE-RQ. What follows are packets, not lines. Many servers want a certificate of the client."},
	{Name: "mbap-s", Family: Remote, Title: "controllers of machines (Modbus)",
		Port: 802, Specs: []string{"MODBUS/TCP Security"}, MinVersion: tls.VersionTLS12,
		Note: "The client begins, with a request. What follows are packets, not lines. The server wants a certificate of the client, with a role in it."},
	{Name: "snmptls", Family: Remote, Title: "figures and settings of network devices (SNMP)",
		Port: 10161, Specs: []string{"RFC 6353"},
		Note: "The client begins, with a request of SNMPv3. What follows are messages in BER, not lines. The server wants a certificate of the client. " +
			"Notifications go the other way, to port 10162."},
	{Name: "rpki-rtr-tls", Family: Remote, Title: "who may announce a route (RPKI to routers)",
		Port: 324, Specs: []string{"RFC 8210"},
		Note: "The client begins, with Reset Query, and the server tells of news by itself later. What follows are packets, not lines. The server wants a certificate of the client."},
	{Name: "tacacss", Family: Remote, Title: "who may administer a device (TACACS+)",
		Port: 300, Specs: []string{"RFC 9887"}, MinVersion: tls.VersionTLS13,
		Note: "The client begins. What follows are packets, in which nothing is hidden by a secret any more. The server wants a certificate of the client."},
	{Name: "ipfixs", Family: Remote, Title: "what flows through a network (IPFIX)",
		Port: 4740, Specs: []string{"RFC 7011"},
		Note: "The client sends messages with their length in them. The server says nothing at all, and wants a certificate of the client."},
	{Name: "syslog-tls", Family: Remote, Title: "a log at another host (syslog)",
		Port: 6514, Specs: []string{"RFC 5425"},
		Note: "The client sends messages with their length and a space before them. The server says nothing at all."},
	{Name: "turns", Aliases: []string{"stuns"}, Family: Remote, Title: "ways through address translation (TURN, STUN)",
		Port: 5349, ALPN: []string{"stun.turn", "stun.nat-discovery"}, Specs: []string{"RFC 8656", "RFC 8489"},
		Note: "The client begins. What follows are packets, not lines."},
}

var _ = register(implicit...)
