package web

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"

	"github.com/coreos/go-systemd/v22/activation"
)

// Listen returns the socket that systemd passed, or one at address. An address other than
// loopback is refused without TLS, as the token and the traffic would be readable on the
// LAN.
func Listen(address string, tls bool) (net.Listener, error) {
	given, err := activation.Listeners()
	if err != nil {
		return nil, fmt.Errorf("take the socket of systemd: %w", err)
	}
	var l net.Listener
	switch {
	case len(given) > 1:
		return nil, fmt.Errorf("systemd passed %d sockets; want one ListenStream in berth-web.socket", len(given))
	case len(given) == 1:
		l = given[0]
	default:
		if l, err = net.Listen("tcp", address); err != nil {
			return nil, err
		}
	}
	if !tls && !isLoopback(l.Addr()) {
		return nil, errors.Join(fmt.Errorf("address %s is not loopback and needs TLS; pass --tls-cert and --tls-key, "+
			"or listen on 127.0.0.1 and forward the port with `ssh -L`", l.Addr()), l.Close())
	}
	return l, nil
}

func isLoopback(a net.Addr) bool {
	tcp, ok := a.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}

// URL returns the address of the page, with the token behind the # so that it is in no
// server's log. If the page is served at every address of the machine, the URL has the
// first of hosts.
func URL(address string, hosts []string, token string, tls bool) string {
	scheme := "http"
	if tls {
		scheme = "https"
	}
	if at, err := netip.ParseAddrPort(address); err == nil && at.Addr().IsUnspecified() && len(hosts) > 0 {
		address = net.JoinHostPort(hosts[0], strconv.Itoa(int(at.Port())))
	}
	return fmt.Sprintf("%s://%s/#%s", scheme, address, token)
}
