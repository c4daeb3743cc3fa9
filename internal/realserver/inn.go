package realserver

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// INN starts INN's server for readers, nnrpd, with one group, INNGroup, and no article.
// Settings are lines of inn.conf; with INNNoTLS it has no certificate, with INNImplicit its
// one port is that for TLS from the first byte.
func INN(t testing.TB, settings ...string) *Server {
	t.Helper()
	return start(t, inn, settings)
}

// INNGroup is the group that INN has.
const INNGroup = "example.test"

// Settings of INN.
const (
	INNNoTLS    = "# no TLS"
	INNImplicit = "# implicit TLS"
)

// innUser is who nnrpd runs as: only root can start it, and it insists on files that are its
// user's own.
const innUser = "nobody"

var inn = program{
	name:      "INN",
	binary:    "nnrpd",
	dir:       "/usr/lib*/news/bin",
	schemes:   []string{"nntp", "nntps"},
	root:      true,
	configure: configureINN,
}

const innConf = `
domain: %[2]s
pathhost: %[3]s
mta: "/bin/false %%s"
hismethod: hisv6
ovmethod: tradindexed
runasuser: %[4]s
runasgroup: %[5]s
nnrpdloadlimit: 0
pathnews: %[1]s
pathbin: %[6]s
pathetc: %[1]s
pathdb: %[1]s
pathrun: %[1]s
pathlog: %[1]s
pathtmp: %[1]s
pathspool: %[1]s
patharticles: %[1]s/articles
pathoverview: %[1]s/overview
tlscertfile: %[1]s/cert.pem
tlskeyfile: %[1]s/key.pem
`

func configureINN(s *Server, binary string, settings []string) (*exec.Cmd, error) {
	u, err := user.Lookup(innUser)
	if err != nil {
		return nil, err
	}
	group, err := user.LookupGroupId(u.Gid)
	if err != nil {
		return nil, err
	}
	conf := fmt.Sprintf(innConf, s.dir, Domain, Host, u.Username, group.Name, filepath.Dir(binary))
	if slices.Contains(settings, INNNoTLS) {
		conf = strings.Replace(conf, "/cert.pem", "/missing.pem", 1)
	}
	for name, content := range map[string]string{
		"inn.conf":       strings.TrimSpace(conf) + "\n" + lines(settings),
		"readers.conf":   "auth all {\nhosts: \"*\"\ndefault: \"<all>\"\n}\naccess all {\nusers: \"*\"\nnewsgroups: \"*\"\naccess: R\n}\n",
		"storage.conf":   "method tradspool {\nnewsgroups: *\nclass: 0\n}\n",
		"active":         INNGroup + " 0000000000 0000000001 y\n",
		"newsgroups":     INNGroup + "\tA group.\n",
		"overview/.keep": "",
	} {
		if err := s.write(name, content); err != nil {
			return nil, err
		}
	}
	if err := s.giveTo(u); err != nil {
		return nil, err
	}
	env := append(os.Environ(), "INNCONF="+s.path("inn.conf"))
	history := exec.Command(filepath.Join(filepath.Dir(binary), "makehistory"), "-O")
	history.Env = env
	if out, err := history.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("makehistory: %w: %s", err, out)
	}

	scheme, other, args := "nntp", "nntps", []string{"-D", "-f", "-b", "127.0.0.1"}
	if slices.Contains(settings, INNImplicit) {
		scheme, other, args = other, scheme, append(args, "-S")
	}
	delete(s.Ports, other)
	cmd := exec.Command(binary, append(args, "-p", strconv.Itoa(s.Ports[scheme]))...)
	cmd.Env = env
	return cmd, nil
}

// giveTo makes the server's directory, and all in it, a user's.
func (s *Server) giveTo(u *user.User) error {
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return err
	}
	gid, err := strconv.Atoi(u.Gid)
	if err != nil {
		return err
	}
	if err := os.Chmod(s.dir, 0o755); err != nil {
		return err
	}
	return filepath.WalkDir(s.dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, uid, gid)
	})
}
