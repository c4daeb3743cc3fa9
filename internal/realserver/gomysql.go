package realserver

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
)

// GoMySQL starts a server of MySQL 8's login, to which User can log in with Password by plugin,
// "caching_sha2_password" or "sha256_password". Its log tells of each full authentication.
func GoMySQL(t testing.TB, plugin string) *Server {
	t.Helper()
	return start(t, goMySQL, []string{plugin})
}

// goMySQLFull is what the log says when the server does not know the password yet.
const goMySQLFull = "full authentication of " + User

var goMySQL = program{
	name:      "go-mysql",
	binary:    filepath.Join(builtDir(), "gomysql"),
	schemes:   []string{"mysql"},
	configure: configureGoMySQL,
}

func configureGoMySQL(s *Server, binary string, settings []string) (*exec.Cmd, error) {
	binary, err := s.copyBuilt(binary)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(binary, "-port", strconv.Itoa(s.Ports["mysql"]), "-cert", s.path("cert.pem"), "-key", s.path("key.pem"), "-user", User, "-plugin", settings[0])
	cmd.Env = append(os.Environ(), "PASSWORD="+Password)
	return cmd, nil
}
