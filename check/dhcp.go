package check

import (
	"context"
	"errors"
	"io/fs"
	"math/rand/v2"
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

// checkID is the client identifier of a check (option 61), so that a server does not take
// it for the host itself.
const checkID = "\x00berth check"

// askDHCP asks the DHCP servers on the wire of a network's parent for an offer, and takes
// none. It uses the parent's own MAC. Servers on this host are not reached that way.
func (s *survey) askDHCP(ctx context.Context, n *specs.Network) (d DHCP) {
	on := s.parentFacts(n.Parent)
	if n.IPAM != specs.IPAMDHCP || on.Found == nil || on.OnDemand != 0 || !on.Found.Up {
		return d
	}
	ns, err := s.Host.Namespace()
	if err != nil {
		d.Err = err
		return d
	}
	defer ns.Close()
	port, err := exchange.Open(ns, on.Found.Index, on.Found.MAC, false)
	if err != nil {
		d.Err = err
		return d
	}
	defer port.Close()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	client := dhcp.New4(dhcp.Config4{MAC: on.Found.MAC, ClientID: []byte(checkID), Broadcast: true,
		Random: rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))})
	d.Asked = true
	d.Offers, d.Err = exchange.Discover(ctx, port, client)
	return d
}

// judgeDHCP reports which DHCP servers answer.
func judgeDHCP(r *report, n Network) {
	const check = "DHCP"
	var answers []string
	for _, o := range n.DHCP.Offers {
		if o.Err != nil {
			r.addWarn(check, "correct the server's configuration", "%s makes an offer that a container refuses: %v", o.Server, o.Err)
			continue
		}
		answers = append(answers, o.Server+" offers "+o.Lease.Address.String())
	}
	switch {
	case errors.Is(n.DHCP.Err, fs.ErrPermission), errors.Is(n.DHCP.Err, unix.EPERM):
		r.addWarn(check, "run it as root", "not asked: %v", n.DHCP.Err)
	case n.DHCP.Err != nil:
		r.addWarn(check, "", "not asked: %v", n.DHCP.Err)
	case !n.DHCP.Asked:
	case len(answers) == 1:
		r.addPass(check, "%s", answers[0])
	case len(answers) > 1:
		r.addWarn(check, "turn all but one off, unless they share their leases", "%d servers answer: %s", len(answers), strings.Join(answers, "; "))
	case len(n.DHCP.Offers) == 0:
		r.addWarn(check, "start a DHCP server on this LAN or VLAN, or widen its pool if it is full: most servers do not answer then; "+
			"a server on this host itself is not asked",
			"no server answers %s within %s: containers will not start", n.Parent.Found.Name, patience)
	}
}

// judgeKeeper checks whether the DHCP leases of this host are renewed.
func judgeKeeper(r *report, kept bool) {
	if !kept {
		r.addFail("leases", "start berth-dhcp; with systemd: `systemctl start berth-dhcp.path`", "there are DHCP leases and berth-dhcp does not run: the containers lose their addresses when these end")
	} else {
		r.addPass("leases", "berth-dhcp keeps the DHCP leases")
	}
}
