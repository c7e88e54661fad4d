// Package drift holds an interface as the kernel has it to what was recorded
// when it was attached. It is what `berth check --attached` and the agent have
// in common: functions of facts, which ask nobody and tell nobody.
//
// It does not judge what a container may do with its interface as it likes:
// its name, its MTU, whether it is up, its routes. It may import network,
// internal/state and specs.
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

// Mode returns driver and mode as they are and as they were recorded: equal,
// when nothing has changed. In source mode the list belongs to it.
func Mode(a *state.Attachment, l *network.LinkInfo) (is, want string) {
	return kindText(l.Driver, l.Mode, l.Flag, l.SourceMACs), kindText(a.Driver, a.Mode, a.IPvlanFlag, a.SourceMACs)
}

func kindText(d specs.Driver, m specs.Mode, f specs.IPvlanFlag, sources []specs.MAC) string {
	switch {
	case d == specs.IPvlan && f == "":
		return fmt.Sprintf("%s %s %s", d, m, specs.FlagBridge)
	case d == specs.IPvlan:
		return fmt.Sprintf("%s %s %s", d, m, f)
	case m == specs.ModeSource:
		return fmt.Sprintf("%s %s of %s", d, m, listText(sources))
	}
	return strings.TrimSpace(fmt.Sprintf("%s %s", d, m))
}

func listText(macs []specs.MAC) string {
	var words []string
	for _, m := range macs {
		words = append(words, m.String())
	}
	slices.Sort(words)
	if len(words) == 0 {
		return "nobody"
	}
	return strings.Join(slices.Compact(words), " ")
}

// MAC reports whether the link has the recorded MAC, where it must have: one
// of ipvlan has its parent's, and one in passthru mode may have any.
func MAC(a *state.Attachment, l *network.LinkInfo) bool {
	return a.Driver == specs.IPvlan || a.Mode == specs.ModePassthru || l.MAC == a.MAC
}

// Addresses returns what is recorded and not there, and what is there and not
// recorded. IPv6 addresses that are link-local or from a router are the
// kernel's matter. An address that the kernel still probes for is there.
func Addresses(a *state.Attachment, has []network.AddressInfo) (missing, extra []netip.Prefix) {
	there := func(p netip.Prefix) bool {
		return slices.ContainsFunc(has, func(h network.AddressInfo) bool { return h.Prefix == p })
	}
	for _, want := range a.Addresses {
		if !there(want) {
			missing = append(missing, want)
		}
	}
	for _, h := range has {
		kernels := h.Prefix.Addr().Is6() && (!h.Permanent || h.Prefix.Addr().IsLinkLocalUnicast())
		if !kernels && !slices.Contains(a.Addresses, h.Prefix) {
			extra = append(extra, h.Prefix)
		}
	}
	return missing, extra
}

// Another reports whether the link is of another namespace, which has got the
// id of a dead one: nothing of it is as recorded.
func Another(a *state.Attachment, l *network.LinkInfo) bool {
	if l.MAC == a.MAC || l.Alias == a.Alias() {
		return false
	}
	return strings.HasPrefix(l.Alias, "berth:") || l.Alias == "" && l.ParentIndex != a.ParentIndex
}
