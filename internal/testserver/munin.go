package testserver

import (
	"bufio"
	"io"
	"strings"
)

func muninServers(servers map[string]protocol) {
	servers["munin"] = protocol{
		upgrade: muninClear,
		session: muninLoop,
		talk:    []string{"version\n", "list\n", "fetch load\n", "quit\n"},
		packets: &Packets{Split: bufio.ScanLines, Name: func(line []byte) string { return strings.TrimRight(string(line), "\n") }},
	}
}

// muninClear greets, and wants TLS before anything else (munin-node's "tls enabled").
func muninClear(c *conn) error {
	if err := nutSend(c, "# munin node at "+Host); err != nil {
		return err
	}
	line, err := c.readLine()
	if err != nil {
		return err
	}
	if !strings.EqualFold(strings.TrimSpace(line), "starttls") {
		if err := nutSend(c, "# I require TLS. Closing."); err != nil {
			return err
		}
		return io.EOF
	}
	return nutSend(c, "TLS OK")
}

// muninLoop answers commands inside TLS until quit (Munin's guide, "Data exchange between master
// and node"). There is one figure. Lines end in LF.
func muninLoop(c *conn) error {
	for {
		line, err := c.readLine()
		if err != nil {
			return err
		}
		command, argument, _ := strings.Cut(line, " ")
		switch command = strings.ToLower(command); {
		case command == "quit" || command == ".":
			return nil
		case command == "version":
			err = nutSend(c, "munins node on "+Host+" version: testserver")
		case command == "cap":
			err = nutSend(c, "cap")
		case command == "nodes":
			err = nutSend(c, Host, ".")
		case command == "list":
			err = nutSend(c, "load")
		case command == "config" && argument == "load":
			err = nutSend(c, "graph_title Load average", "load.label load", ".")
		case command == "fetch" && argument == "load":
			err = nutSend(c, "load.value 0.07", ".")
		case command == "config" || command == "fetch":
			err = nutSend(c, "# Unknown service", ".")
		default:
			err = nutSend(c, "# Unknown command. Try cap, list, nodes, config, fetch, version or quit")
		}
		if err != nil {
			return err
		}
	}
}
