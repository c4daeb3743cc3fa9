package testserver

import (
	"crypto/md5"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"time"
)

func pop3Servers(servers map[string]protocol) {
	inside := protocol{
		session: pop3Session,
		talk:    []string{"CAPA", "USER " + User, "PASS " + Password, "STAT", "QUIT"},
	}
	servers["pop3s"] = inside
	inside.upgrade = pop3Clear
	servers["pop3"] = inside
}

// pop3Greetings counts the greetings, since no two stamps may be the same.
var pop3Greetings atomic.Int64

// pop3Greet greets with a stamp for APOP (RFC 1939, 7).
func pop3Greet(c *conn) error {
	c.stamp = fmt.Sprintf("<%d.%d@%s>", pop3Greetings.Add(1), time.Now().Unix(), Host)
	return c.send("+OK POP3 ready " + c.stamp)
}

// pop3Clear answers commands in the clear until STLS (RFC 2595, 4).
func pop3Clear(c *conn) error {
	if err := pop3Greet(c); err != nil {
		return err
	}
	for {
		line, err := c.readLine()
		if err != nil {
			return err
		}
		verb, _, _ := strings.Cut(strings.ToUpper(line), " ")
		switch verb {
		case "CAPA":
			err = c.send("+OK", "STLS", "PIPELINING", ".")
		case "STLS":
			return c.send("+OK Begin TLS negotiation")
		case "USER", "PASS", "APOP", "AUTH":
			err = c.send("-ERR not in the clear, say STLS")
		case "QUIT":
			if err := c.send("+OK bye"); err != nil {
				return err
			}
			return io.EOF
		default:
			err = c.send("-ERR command not known, or not before a login")
		}
		if err != nil {
			return err
		}
	}
}

// pop3Session answers commands inside TLS until QUIT: a login by USER and PASS or by
// APOP, and then an empty maildrop (RFC 1939).
func pop3Session(c *conn) error {
	if c.implicit {
		if err := pop3Greet(c); err != nil {
			return err
		}
	}
	user, in := "", false
	for {
		line, err := c.readLine()
		if err != nil {
			return err
		}
		verb, args, _ := strings.Cut(line, " ")
		switch verb = strings.ToUpper(verb); {
		case verb == "QUIT":
			return c.send("+OK bye")
		case verb == "CAPA":
			err = c.send("+OK", "USER", "PIPELINING", ".")
		case verb == "STLS":
			err = c.send("-ERR Command not permitted when TLS active")
		case in:
			err = c.send(pop3Maildrop(verb, args)...)
		case verb == "USER":
			user = args
			err = c.send("+OK now the password")
		case verb == "PASS" && user == User && args == Password,
			verb == "APOP" && args == fmt.Sprintf("%s %x", User, md5.Sum([]byte(c.stamp+Password))):
			in = true
			err = c.send("+OK 0 messages")
		case verb == "PASS", verb == "APOP":
			user = ""
			err = c.send("-ERR wrong name or password")
		default:
			err = c.send("-ERR command not known, or not before a login")
		}
		if err != nil {
			return err
		}
	}
}

// pop3Maildrop is the answer of an empty maildrop.
func pop3Maildrop(verb, args string) []string {
	switch verb {
	case "NOOP", "RSET":
		return []string{"+OK"}
	case "STAT":
		return []string{"+OK 0 0"}
	case "LIST":
		if args == "" {
			return []string{"+OK 0 messages", "."}
		}
		fallthrough
	case "RETR", "DELE":
		return []string{"-ERR no such message"}
	}
	return []string{"-ERR command not known, or not after a login"}
}
