package network

import (
	"fmt"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Knows reports whether the kernel has a driver of links at hand, as "macvlan"
// or "vlan": built in, or loaded by now. Asking loads no module and needs no
// privilege: the kernel leaves out the links of other kinds from a list only
// when it knows the kind asked for (linkinfo_to_kind_ops in
// net/core/rtnetlink.c), and every namespace has "lo", which is of none.
func (h *Handle) Knows(kind string) (bool, error) {
	answers, err := h.dump(unix.RTM_GETLINK, unix.RTM_NEWLINK, linkHeader(0),
		nested(unix.IFLA_LINKINFO, attrString(nl.IFLA_INFO_KIND, kind)))
	if err != nil {
		return false, fmt.Errorf("ask for the driver %q: %w", kind, err)
	}
	for _, b := range answers {
		l, err := parseLink(b)
		if err != nil {
			return false, err
		}
		if l.Kind != kind {
			return false, nil
		}
	}
	return true, nil
}
