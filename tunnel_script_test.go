package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"strings"
)

// plain is a program for scripts: it connects to ADDR or, with a / in it, a Unix socket, and pipes
// stdin and stdout. With --hold it stays when stdin has ended, until the other side goes; with
// --send it goes as soon as all is sent.
func plain() {
	option := os.Args[1]
	address := os.Args[len(os.Args)-1]
	network := "tcp"
	if strings.Contains(address, "/") {
		network = "unix"
	}
	conn, err := net.Dial(network, address)
	if err != nil {
		fmt.Fprintln(os.Stderr, "plain:", err)
		os.Exit(1)
	}
	if option == "--send" {
		io.Copy(conn, os.Stdin)
		conn.Close()
		return
	}
	go func() {
		io.Copy(conn, os.Stdin)
		if option != "--hold" {
			conn.(interface{ CloseWrite() error }).CloseWrite()
		}
	}()
	io.Copy(os.Stdout, conn)
	conn.Close()
}
