package network

import (
	"fmt"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Knows reports whether the kernel has a link driver, such as "macvlan" or "vlan",
// built in or loaded. The request loads no module and needs no privilege: the
// kernel filters a dump by kind only if it knows the kind (linkinfo_to_kind_ops
// in net/core/rtnetlink.c), and every namespace has "lo", which has no kind.
func (h *Handle) Knows(kind string) (bool, error) {
	answers, err := h.requestDump(unix.RTM_GETLINK, unix.RTM_NEWLINK, linkHeader(0),
		nested(unix.IFLA_LINKINFO, attrString(nl.IFLA_INFO_KIND, kind)))
	if err != nil {
		return false, fmt.Errorf("query the driver %q: %w", kind, err)
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
