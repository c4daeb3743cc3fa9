package realserver

import (
	"fmt"
	"os/exec"
	"slices"
	"testing"
)

// Vsftpd starts vsftpd, to which anybody can log in as anonymous. Settings are lines of
// vsftpd.conf; with VsftpdNoTLS it has no TLS, with VsftpdImplicit its one port is that for
// TLS from the first byte.
func Vsftpd(t testing.TB, settings ...string) *Server {
	t.Helper()
	return start(t, vsftpd, settings)
}

// Settings of Vsftpd.
const (
	VsftpdNoTLS    = "ssl_enable=NO"
	VsftpdImplicit = "implicit_ssl=YES"
)

var vsftpd = program{
	name:      "vsftpd",
	binary:    "vsftpd",
	schemes:   []string{"ftp", "ftps"},
	configure: configureVsftpd,
}

const vsftpdConf = `
background=NO
listen=YES
listen_address=127.0.0.1
listen_port=%[2]d
anonymous_enable=YES
local_enable=NO
anon_root=%[1]s/empty
secure_chroot_dir=%[1]s/empty
run_as_launching_user=YES
seccomp_sandbox=NO
xferlog_enable=NO
ssl_enable=YES
allow_anon_ssl=YES
force_anon_logins_ssl=YES
force_anon_data_ssl=YES
write_enable=YES
anon_upload_enable=YES
anon_umask=022
ssl_tlsv1=YES
ssl_ciphers=HIGH
rsa_cert_file=%[1]s/cert.pem
rsa_private_key_file=%[1]s/key.pem
`

func configureVsftpd(s *Server, binary string, settings []string) (*exec.Cmd, error) {
	scheme, other := "ftp", "ftps"
	if slices.Contains(settings, VsftpdImplicit) {
		scheme, other = other, scheme
	}
	delete(s.Ports, other)
	if err := s.write("vsftpd.conf", fmt.Sprintf(vsftpdConf, s.dir, s.Ports[scheme])+lines(settings)); err != nil {
		return nil, err
	}
	if err := s.write("empty/pub/.keep", ""); err != nil {
		return nil, err
	}
	return exec.Command(binary, s.path("vsftpd.conf")), nil
}
