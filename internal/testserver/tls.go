package testserver

func tlsServers(servers map[string]protocol) {
	servers["tls"] = protocol{
		session: func(c *conn) error {
			for {
				line, err := c.readLine()
				if err != nil {
					return err
				}
				if err := c.send("you said: " + line); err != nil || line == "bye" {
					return err
				}
			}
		},
		talk: []string{"hello", "bye"},
	}
}
