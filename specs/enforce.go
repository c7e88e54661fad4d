package specs

import (
	"fmt"
	"slices"
)

// Allowance is a behaviour that a network permits its containers and that is a
// violation on other networks.
type Allowance string

// The allowances.
const (
	AllowDHCPServer Allowance = "dhcp-server" // answer DHCP: no rogue-dhcp
	// advertise itself, and forward: no rogue-ra, and ip-spoof only for ARP and ND
	AllowRouter Allowance = "router"
)

// Allowances returns all allowances.
func Allowances() []Allowance { return []Allowance{AllowDHCPServer, AllowRouter} }

// Enforceable returns the kinds that enforce can drop: those in which the frame
// itself is the offence, and its sender or receiver is known.
func Enforceable() []Kind {
	return []Kind{
		MACSpoof, IPSpoof, PrivateLeak, PrivateAttempt, VEPABypass, HostIsolation, RogueDHCP, RogueRA,
	}
}

func (n *Network) checkEnforce() error {
	for i, k := range n.Enforce {
		at := fmt.Sprintf("enforce[%d]", i)
		switch {
		case !slices.Contains(Kinds(), k):
			return Invalid(at, string(k), "one of %s", joinTexts(Enforceable()))
		case !slices.Contains(Enforceable(), k):
			return Invalid(at, string(k), "a kind of which frames can be dropped: %s", joinTexts(Enforceable()))
		case slices.Contains(n.Enforce[:i], k):
			return Unusable(at, string(k), "this kind is in the list twice")
		}
		if needed := n.neverJudged(k); needed != "" {
			return Unusable(at, string(k), "this kind cannot occur without %s; set that, or remove the kind", needed)
		}
	}
	return nil
}

// neverJudged returns the setting that a network needs before a kind can occur
// on it, or "" if the kind can occur already.
func (n *Network) neverJudged(k Kind) string {
	passthru := n.Mode == ModePassthru
	switch {
	case k == IPSpoof && n.IPAM == IPAMNone && n.IPv6 != IPv6DHCP:
		return "ipam \"local\", \"static\" or \"dhcp\""
	case (k == PrivateLeak || k == PrivateAttempt) && n.Mode != ModePrivate:
		return "mode private"
	case k == VEPABypass && n.Mode != ModeVEPA:
		return "mode vepa"
	case passthru && (k == MACSpoof || k == HostIsolation):
		return "a mode other than passthru"
	}
	return ""
}

func (n *Network) checkAllow() error {
	for i, a := range n.Allow {
		at := fmt.Sprintf("allow[%d]", i)
		if !slices.Contains(Allowances(), a) {
			return Invalid(at, string(a), "one of %s", joinTexts(Allowances()))
		}
		if slices.Contains(n.Allow[:i], a) {
			return Unusable(at, string(a), "this allowance is in the list twice")
		}
	}
	return nil
}
