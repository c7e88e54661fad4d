// Package drift compares an interface's state in the kernel with the recorded
// attachment. `berth check --attached` and the agent share it: its functions are
// pure.
//
// [Mode], [MAC] and [Addresses] each compare one property.
//
// It does not judge settings that a container may change: the interface's name, MTU,
// state (up or down) and routes. It may import network, internal/state and specs.
package drift

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"berth/internal/state"
	"berth/network"
	"berth/specs"
)

// Mode returns the current and the recorded driver and mode; they are equal if
// nothing has changed. In source mode they include the list of MACs.
func Mode(a *state.Attachment, l *network.LinkInfo) (is, want string) {
	return kindText(l.Driver, l.Mode, l.Flag, l.SourceMACs), kindText(a.Driver, a.Mode, a.IPvlanFlag, a.SourceMACs)
}

// maxMode bounds the length of a mode for people, in bytes: a container with CAP_NET_ADMIN can add
// thousands of MACs.
const maxMode = 400

// Brief returns a text of [Mode] for people, of which it leaves out the end if it is long. It stays the
// same while a long list grows, so that this is reported once.
func Brief(mode string) string {
	if len(mode) <= maxMode {
		return mode
	}
	return mode[:strings.LastIndexByte(mode[:maxMode], ' ')+1] + "…"
}

func kindText(d specs.Driver, m specs.Mode, f specs.IPvlanFlag, sources []specs.MAC) string {
	switch {
	case d == specs.IPvlan && f == "":
		return fmt.Sprintf("%s %s %s", d, m, specs.FlagBridge)
	case d == specs.IPvlan:
		return fmt.Sprintf("%s %s %s", d, m, f)
	case m == specs.ModeSource:
		return fmt.Sprintf("%s %s of %s", d, m, macListText(sources))
	}
	return strings.TrimSpace(fmt.Sprintf("%s %s", d, m))
}

func macListText(macs []specs.MAC) string {
	var words []string
	for _, m := range macs {
		words = append(words, m.String())
	}
	slices.Sort(words)
	if len(words) == 0 {
		return "no MACs"
	}
	return strings.Join(slices.Compact(words), " ")
}

// MAC reports whether the link has the recorded MAC. It is true for ipvlan, which has
// its parent's MAC, and for passthru mode, in which any MAC is allowed.
func MAC(a *state.Attachment, l *network.LinkInfo) bool {
	return a.Driver == specs.IPvlan || a.Mode == specs.ModePassthru || l.MAC == a.MAC
}

// MaxExtra is the maximum number of addresses of an interface that are compared one by one
// although they are not recorded: a container with CAP_NET_ADMIN can assign any number.
const MaxExtra = 32

// Addresses returns the recorded addresses that are missing, and the existing ones
// that are not recorded, at most [MaxExtra] in the kernel's order. It ignores IPv6 addresses
// that are link-local or from a router, which the kernel manages. An address that the kernel
// still probes for exists.
func Addresses(a *state.Attachment, has []network.AddressInfo) (missing, extra []netip.Prefix) {
	there := func(p netip.Prefix) bool {
		return slices.ContainsFunc(has, func(h network.AddressInfo) bool { return h.Prefix == p })
	}
	for _, want := range a.Addresses {
		if !there(want) && !isChanging(a, want) {
			missing = append(missing, want)
		}
	}
	for _, h := range has {
		kernels := h.Prefix.Addr().Is6() && (!h.Permanent || h.Prefix.Addr().IsLinkLocalUnicast())
		if !kernels && len(extra) < MaxExtra && !slices.Contains(a.Addresses, h.Prefix) {
			extra = append(extra, h.Prefix)
		}
	}
	return missing, extra
}

// isChanging reports whether a DHCP client of the attachment is about to set or delete
// an address.
func isChanging(a *state.Attachment, p netip.Prefix) bool {
	return slices.ContainsFunc(a.DHCP, func(c state.DHCPClient) bool { return c.Changing(p, state.SinceBoot()) })
}

// Another reports whether the link is in another namespace, which got the ID of an
// ended one: no property is as recorded.
func Another(a *state.Attachment, l *network.LinkInfo) bool {
	if l.MAC == a.MAC || l.Alias == a.Alias() {
		return false
	}
	return strings.HasPrefix(l.Alias, "berth:") || l.Alias == "" && l.ParentIndex != a.ParentIndex
}
