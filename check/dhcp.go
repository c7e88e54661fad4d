package check

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"berth/dhcp"
	"berth/dhcp/exchange"
	"berth/specs"
)

// DHCP is the answer of the LAN's DHCP servers to the host.
type DHCP struct {
	Asked  bool // false if no server was asked; Err has the reason if that is an error
	Offers []exchange.Offer
	Err    error
}

// patience is the time within which a server must answer: some ping an address for 3 s
// before they offer it.
const patience = 4 * time.Second

// checkID is the client identifier of a check (option 61; part of its DUID), so that a server does
// not take it for the host itself.
const checkID = "\x00berth check"

// askDHCP asks the DHCP servers of one family on the wire of a network's parent for an offer, and
// takes none. It uses the parent's own MAC. Servers on this host are not reached that way.
func (s *survey) askDHCP(ctx context.Context, n *specs.Network, v6 bool) (d DHCP) {
	on := s.parentFacts(n.Parent)
	leases := n.IPAM == specs.IPAMDHCP
	if v6 {
		leases = n.IPv6 == specs.IPv6DHCP
	}
	if !leases || on.Found == nil || on.OnDemand != 0 || !on.Found.Up {
		return d
	}
	client, err := checkClient(on, v6)
	if err != nil {
		d.Err = err
		return d
	}
	ns, err := s.Host.Namespace()
	if err != nil {
		d.Err = err
		return d
	}
	defer ns.Close()
	port, err := exchange.Open(ns, on.Found.Index, on.Found.MAC, v6)
	if err != nil {
		d.Err = err
		return d
	}
	defer port.Close()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	d.Asked = true
	d.Offers, d.Err = exchange.Discover(ctx, port, client)
	return d
}

// checkClient returns a client with the MAC of a parent and an identifier of its own.
func checkClient(on Parent, v6 bool) (exchange.Asker, error) {
	random := rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	mac := on.Found.MAC
	if !v6 {
		return dhcp.New4(dhcp.Config4{MAC: mac, ClientID: []byte(checkID), Broadcast: true, Random: random}), nil
	}
	at := slices.IndexFunc(on.Addresses, func(a netip.Addr) bool { return a.Is6() && a.IsLinkLocalUnicast() })
	if at < 0 {
		return nil, fmt.Errorf("%s has no link-local IPv6 address, to which servers answer", on.Found.Name)
	}
	hash := sha256.Sum256(append([]byte(checkID), mac[:]...))
	duid := append([]byte{0, 4}, hash[:16]...) // DUID-UUID (RFC 6355)
	return dhcp.New6(dhcp.Config6{MAC: mac, DUID: duid, From: on.Addresses[at].WithZone(""), Random: random}), nil
}

// judgeDHCP reports which DHCP servers of a family answer, without is the
// consequence if none does.
func judgeDHCP(r *report, check string, d DHCP, on Parent, without string) {
	var answers []string
	for _, o := range d.Offers {
		if o.Err != nil {
			r.addWarn(check, "correct the server's configuration",
				"%s makes an offer that a container refuses: %v", o.Server, o.Err)
			continue
		}
		answers = append(answers, o.Server+" offers "+o.Lease.Address.String())
	}
	switch {
	case errors.Is(d.Err, fs.ErrPermission), errors.Is(d.Err, unix.EPERM):
		r.addWarn(check, "run it as root", "not asked: %v", d.Err)
	case d.Err != nil:
		r.addWarn(check, "", "not asked: %v", d.Err)
	case !d.Asked:
	case len(answers) == 1:
		r.addPass(check, "%s", answers[0])
	case len(answers) > 1:
		r.addWarn(check, "turn all but one off, unless they share their leases", "%d servers answer: %s", len(answers),
			strings.Join(answers, "; "))
	case len(d.Offers) == 0:
		r.addWarn(check, "start a DHCP server on this LAN or VLAN, or widen its pool if it is full: most servers do not "+
			"answer then; "+
			"a server on this host itself is not asked",
			"no server answers %s within %s: %s", on.Found.Name, patience, without)
	}
}

// judgeKeeper checks whether the DHCP leases of this host are renewed.
func judgeKeeper(r *report, kept bool) {
	if !kept {
		r.addFail("leases", "start berth-dhcp; with systemd: `systemctl enable --now berth-dhcp.path`",
			"there are DHCP leases and berth-dhcp does not run: the containers lose their addresses when these end")
	} else {
		r.addPass("leases", "berth-dhcp keeps the DHCP leases")
	}
}
