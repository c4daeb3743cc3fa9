package realserver

import (
	"encoding/binary"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"tlsup/internal/testserver"
	"tlsup/negotiate"
)

// TestShishi is not parallel to others: it is always on the same port.
func TestShishi(t *testing.T) {
	t.Run("TLS", func(t *testing.T) {
		s := Shishi(t)
		kerberos := open(t, s, "kerberos", Host)
		for _, request := range testserver.Talk("kerberos") {
			kerberos.say(request)
			var length [4]byte
			if _, err := io.ReadFull(kerberos.r, length[:]); err != nil {
				t.Fatal(err)
			}
			answer := make([]byte, binary.BigEndian.Uint32(length[:])&0xffff)
			if _, err := io.ReadFull(kerberos.r, answer); err != nil {
				t.Fatal(err)
			}
			// KRB-ERROR, of the length that it says.
			if name := testserver.PacketsOf("kerberos").Name(append(length[:], answer...)); !strings.HasPrefix(name, "KRB-ERROR: ") || strings.HasPrefix(name, "KRB-ERROR: 0") {
				t.Errorf("%q is answered with %q, %s", request, answer, name)
			} else {
				t.Log(name)
			}
		}
		tlsup(t, "", s.target("kerberos")).must(t, 6, "", s.Addr("kerberos")+": verify: ", "throwaway authority")
		kinit(t, tunnelTo(t, s, "kerberos", "0").addr, "not found in Kerberos database")
	})
	t.Run("no TLS", func(t *testing.T) {
		s := Shishi(t, ShishiNoTLS)
		mustRefuse(t, s, "kerberos", Host, negotiate.ErrRefused, negotiate.Upgrade)
		tlsup(t, "", s.target("kerberos")).must(t, 4, "", s.Addr("kerberos")+`: upgrade: server refuses: "KRB_ERR_FIELD_TOOLONG (61): Extension not supported"`, "hint: ")
	})
}

// kinit asks for a ticket as somebody who does not exist.
func kinit(t *testing.T, addr, want string) {
	t.Helper()
	binary := Tool(t, "kinit")
	dir := t.TempDir()
	conf := filepath.Join(dir, "krb5.conf")
	if err := os.WriteFile(conf, []byte(kerberosClientConf(addr)), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), binary, "nobody")
	cmd.Env = append(cmd.Environ(), "KRB5_CONFIG="+conf, "KRB5CCNAME=FILE:"+filepath.Join(dir, "cache"))
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), want) {
		t.Errorf("kinit ended with %v: %s", err, out)
	}
}

func TestMITKerberos(t *testing.T) {
	t.Parallel()
	s := MITKerberos(t)
	kinit(t, s.Addr("kerberos"), "not found in Kerberos database")
	mustRefuse(t, s, "kerberos", Host, negotiate.ErrRefused, negotiate.Upgrade)
	tlsup(t, "", s.target("kerberos")).must(t, 4, "", s.Addr("kerberos")+`: upgrade: server refuses: "KRB_ERR_FIELD_TOOLONG (61)"`, "hint: ", "Shishi")
}
