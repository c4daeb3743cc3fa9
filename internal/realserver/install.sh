#!/bin/sh
# install.sh installs, on Debian and its relatives, the servers that the tests start, the
# clients that speak to them through the tunnel, the tools that tests, lint and benchmarks
# call, and any packages named as arguments. It leaves none of the servers running: the
# tests start their own.
set -eu

servers="postfix dovecot-core dovecot-imapd dovecot-pop3d dovecot-lmtpd prosody postgresql mariadb-server slapd nut-server libnss3-tools qemu-utils nats-server tigervnc-standalone-server xrdp dovecot-managesieved vsftpd inn2 inspircd cups-daemon syncplay-server quassel-core ckermit mosquitto redis-server unbound nsd ldnsutils squid tinyproxy dante-server microsocks haproxy freediameterd freediameter-extensions cyrus-common shishi-kdc krb5-kdc munin-node libnet-ssleay-perl"
apart="cyrus-imapd cyrus-pop3d cyrus-nntpd cyrus-murder cyrus-replication" # excluded by Dovecot and INN: only unpacked
modules="github.com/nats-io/nats-server/v2@v2.11.9" # newer than Debian's, which knows no TLS from the first byte
programs="gomysql" # own ones, each a module in a folder beside this script
unpacked="proftpd-core proftpd-mod-crypto" # Debian allows no FTP server beside vsftpd: these are not installed
clients="curl fetchmail freetds-bin git-email isync ldap-utils libnbd-bin libnews-nntpclient-perl lftp msmtp mutt nut-client openbsd-inetd sic sieve-connect sslscan tigervnc-viewer"
tools="gnutls-bin krb5-user mandoc ncat openssl sasl2-bin socat stunnel4 systemd tmux"
units="postfix dovecot prosody postgresql mariadb slapd nut-server nats-server xrdp xrdp-sesman vsftpd inn2 inspircd cups quasselcore mosquitto redis-server unbound nsd squid tinyproxy danted haproxy inetd cyrus-imapd krb5-kdc shishi-kdc munin-node stunnel4"

if ! command -v apt-get >/dev/null; then
	echo "install.sh: no apt-get here; install by other means: $servers $clients $tools" >&2
	exit 1
fi
sudo=
[ "$(id -u)" = 0 ] || sudo=sudo

# Debian starts a server when it is installed, unless this file forbids it.
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
	trap '$sudo rm -f $policy' EXIT
	printf '#!/bin/sh\nexit 101\n' | $sudo tee $policy >/dev/null
	$sudo chmod 755 $policy
fi

had=
for unit in $units; do
	if [ -e "/lib/systemd/system/$unit.service" ] || [ -e "/etc/init.d/$unit" ]; then had="$had $unit "; fi
done

$sudo apt-get update -qq
install() { $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"; }

# INN's package wants a domain, and fails on a machine whose name has none, unless told one.
install $servers $clients $tools "$@" || {
	$sudo sed -i 's/^#domain:.*/domain: localdomain/' /etc/news/inn.conf
	install $servers $clients $tools "$@"
}

install $(apt-cache depends --important $unpacked | sed -n 's/^ *Depends: \(lib[^<]*\)$/\1/p')
archives=$(mktemp -d)
chmod 755 "$archives"
(cd "$archives" && apt-get download -qq $unpacked)
for archive in "$archives"/*.deb; do $sudo dpkg -x "$archive" /opt/proftpd; done
rm -r "$archives"

cache="${XDG_CACHE_HOME:-$HOME/.cache}/tlsup"
mkdir -p "$cache"
packages=$(mktemp -d)
(cd "$packages" && apt-get download -qq $apart && for package in *.deb; do dpkg -x "$package" "$cache/cyrus"; done)
rm -r "$packages"

if command -v go >/dev/null; then
	for module in $modules; do GOBIN="$cache" go install "$module"; done
	for program in $programs; do go build -C "$(dirname "$0")/$program" -buildvcs=false -o "$cache/$program" .; done
else
	echo "install.sh: no go here, which builds: $modules $programs" >&2
fi

# Nor is it to start with the machine, unless it was there before.
command -v systemctl >/dev/null || exit 0
for unit in $units; do
	case "$had" in *" $unit "*) continue ;; esac
	$sudo systemctl disable --quiet "$unit"
done
