package realserver

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// A Zone is what a DNS server is told of a domain.
type Zone struct {
	Origin  string
	Records []string // as in a zone file, beside SOA and NS
	// Unsigned leaves it without DNSSEC, which its parent says, where that is signed.
	Unsigned bool
	// Spoil, if not empty, replaces a text in the zone by another when it has been signed: its
	// signatures are wrong then.
	Spoil [2]string
}

// NSD starts an authoritative DNS server for zones, the last of which is the others' parent, and returns
// the anchor that its signatures can be trusted by, too: a DS record.
func NSD(t testing.TB, zones ...Zone) (s *Server, anchor string) {
	t.Helper()
	ldns.find(t)
	p := nsd
	p.configure = func(s *Server, binary string, _ []string) (*exec.Cmd, error) {
		var err error
		if anchor, err = s.signZones(zones); err != nil {
			return nil, err
		}
		return configureNSD(s, binary, zones)
	}
	return start(t, p, nil), anchor
}

var nsd = program{
	name:    "NSD",
	binary:  "nsd",
	schemes: []string{"dns"},
}

// ldns has the commands that make keys and sign zones.
var ldns = program{
	name:    "ldns",
	binary:  "ldns-signzone",
	schemes: []string{"dns"},
}

const nsdConf = `
server:
  ip-address: 127.0.0.1@%[1]d
  username: ""
  chroot: ""
  zonesdir: "%[2]s"
  database: ""
  pidfile: ""
  xfrdfile: "%[2]s/xfrd.state"
  zonelistfile: "%[2]s/zone.list"
  xfrdir: "%[2]s"
remote-control:
  control-enable: no
`

func configureNSD(s *Server, binary string, zones []Zone) (*exec.Cmd, error) {
	conf := fmt.Sprintf(nsdConf, s.Ports["dns"], s.dir)
	for _, z := range zones {
		conf += fmt.Sprintf("zone:\n  name: %s\n  zonefile: %s.zone\n", z.Origin, z.Origin)
	}
	err := s.write("nsd.conf", conf)
	return exec.Command(binary, "-d", "-c", s.path("nsd.conf")), err
}

// signZones writes the zones, and returns the last one's DS record.
func (s *Server) signZones(zones []Zone) (anchor string, err error) {
	var delegations []string
	for i, z := range zones {
		if i == len(zones)-1 {
			z.Records = append(delegations, z.Records...)
		}
		if anchor, err = s.signZone(z); err != nil {
			return "", err
		}
		delegations = append(delegations, z.Origin+". NS ns."+z.Origin+".", "ns."+z.Origin+". A 127.0.0.1", anchor)
	}
	return anchor, nil
}

// signZone writes a zone, and returns its DS record; "" if it is not signed.
func (s *Server) signZone(z Zone) (ds string, err error) {
	file := z.Origin + ".zone"
	head := "$TTL 60\n$ORIGIN " + z.Origin + ".\n@ SOA ns root 1 3600 600 86400 60\n@ NS ns\nns A 127.0.0.1\n"
	if err := s.write(file, head+lines(z.Records)); err != nil || z.Unsigned {
		return "", err
	}
	run := func(name string, args ...string) (string, error) {
		cmd := exec.Command(name, args...)
		cmd.Dir = s.dir
		out, err := cmd.CombinedOutput()
		if err != nil {
			return "", fmt.Errorf("%s: %w: %s", name, err, out)
		}
		return strings.TrimSpace(string(out)), nil
	}
	key, err := run("ldns-keygen", "-k", "-a", "ECDSAP256SHA256", z.Origin)
	if err != nil {
		return "", err
	}
	if _, err := run("ldns-signzone", "-o", z.Origin, "-f", file, file, key); err != nil {
		return "", err
	}
	signed, err := os.ReadFile(s.path(file))
	if err != nil {
		return "", err
	}
	if spoilt := strings.ReplaceAll(string(signed), z.Spoil[0], z.Spoil[1]); z.Spoil[0] != "" {
		if spoilt == string(signed) {
			return "", fmt.Errorf("there is no %q in the zone %s to spoil", z.Spoil[0], z.Origin)
		}
		if err := s.write(file, spoilt); err != nil {
			return "", err
		}
	}
	record, err := os.ReadFile(s.path(key + ".ds"))
	return strings.TrimSpace(string(record)), err
}
