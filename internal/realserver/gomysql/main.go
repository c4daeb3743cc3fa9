// Gomysql is a server of MySQL 8's login on 127.0.0.1, by the library go-mysql: with caching_sha2_password
// it asks for the whole password until it knows it, and then for a mixture. It answers SELECT 1 alone. A
// module of its own keeps what the library needs out of tlsup's.
package main

import (
	"crypto/tls"
	"flag"
	"fmt"
	"log"
	"net"
	"os"

	"github.com/go-mysql-org/go-mysql/mysql"
	"github.com/go-mysql-org/go-mysql/server"
)

func main() {
	port := flag.Int("port", 0, "`PORT` to listen on")
	cert := flag.String("cert", "", "`FILE` with the certificate")
	key := flag.String("key", "", "`FILE` with its key")
	user := flag.String("user", "", "`NAME` that can log in")
	plugin := flag.String("plugin", mysql.AUTH_CACHING_SHA2_PASSWORD, "`PLUGIN` that they log in by")
	flag.Parse()
	if err := serve(*port, *cert, *key, *plugin, accounts{*user: os.Getenv("PASSWORD")}); err != nil {
		log.Fatal(err)
	}
}

func serve(port int, cert, key, plugin string, known accounts) error {
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return err
	}
	// Nobody logs in without TLS, so that there is no RSA key to give.
	settings := server.NewServer("8.4.0", mysql.DEFAULT_COLLATION_ID, plugin, nil, &tls.Config{Certificates: []tls.Certificate{pair}})
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return err
	}
	for {
		conn, err := l.Accept()
		if err != nil {
			return err
		}
		go session(conn, settings, known)
	}
}

// session serves one client to its end.
func session(conn net.Conn, settings *server.Server, known accounts) {
	defer conn.Close()
	defer func() { // the library has no answer to a client that is no client
		if fault := recover(); fault != nil {
			log.Print("fault: ", fault)
		}
	}()
	c, err := settings.NewCustomizedConn(conn, known, queries{})
	if err != nil {
		log.Print("refused: ", err)
		return
	}
	if _, encrypted := c.Conn.Conn.(*tls.Conn); !encrypted {
		log.Print("refused: no TLS")
		return
	}
	for c.HandleCommand() == nil && !c.Closed() {
	}
}

// accounts are passwords by name. They are looked up when the server does not know a password yet, which
// its log tells.
type accounts map[string]string

func (a accounts) CheckUsername(name string) (bool, error) {
	_, ok := a[name]
	return ok, nil
}

func (a accounts) GetCredential(name string) (password string, found bool, err error) {
	log.Print("full authentication of ", name)
	password, found = a[name]
	return password, found, nil
}

// queries answers them.
type queries struct{ server.EmptyHandler }

func (queries) HandleQuery(query string) (*mysql.Result, error) {
	if query != "SELECT 1" {
		return nil, fmt.Errorf("not known: %s", query)
	}
	rows, err := mysql.BuildSimpleTextResultset([]string{"1"}, [][]any{{1}})
	return &mysql.Result{Resultset: rows}, err
}
