package network

import (
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// SetIPv6Token sets the interface identifier that the kernel puts behind every prefix of a router
// advertisement: the low 64 bits of token. The link must accept advertisements already
// ([Namespace.SetIPv6]); a link in mode l3 has no neighbour discovery and is refused.
func (h *Handle) SetIPv6Token(index int, token netip.Addr) error {
	bytes := token.As16()
	value := nested(unix.IFLA_AF_SPEC, nested(unix.AF_INET6, nl.NewRtAttr(unix.IFLA_INET6_TOKEN, bytes[:])))
	if err := h.requestAck(unix.RTM_SETLINK, 0, linkHeader(index), value); err != nil {
		return fmt.Errorf("set the IPv6 token of interface %d to %s: %w", index, token, err)
	}
	return nil
}
