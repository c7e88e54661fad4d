//go:build !hook

package bpf

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// forwardingFeature is the feature of network cards that deliver frames to macvlan interfaces by
// themselves, past the parent's ingress (NETIF_F_HW_L2FW_DOFFLOAD in
// Documentation/networking/netdev-features.rst; macvlan_open in drivers/net/macvlan.c).
const forwardingFeature = "l2-fwd-offload"

// ethtoolFamily returns the number of ethtool's family of generic netlink, or 0 if the kernel has
// none (before 5.6).
var ethtoolFamily = sync.OnceValues(func() (uint16, error) {
	f, err := netlink.GenlFamilyGet(unix.ETHTOOL_GENL_NAME)
	if errors.Is(err, unix.ENOENT) {
		return 0, nil
	} else if err != nil {
		return 0, fmt.Errorf("look for ethtool's netlink: %w", err)
	}
	return f.ID, nil
})

// activeFeatures returns the active features of an interface, as ethtool -k names them. It is
// empty if the interface is gone.
func activeFeatures(ifindex int) (all []string, err error) {
	family, err := ethtoolFamily()
	if family == 0 || err != nil {
		return nil, err
	}
	request := nl.NewNetlinkRequest(int(family), 0)
	request.AddData(&nl.Genlmsg{Command: unix.ETHTOOL_MSG_FEATURES_GET, Version: unix.ETHTOOL_GENL_VERSION})
	header := nl.NewRtAttr(unix.ETHTOOL_A_FEATURES_HEADER|unix.NLA_F_NESTED, nil)
	header.AddRtAttr(unix.ETHTOOL_A_HEADER_DEV_INDEX, nl.Uint32Attr(uint32(ifindex)))
	request.AddData(header)
	answers, err := request.Execute(unix.NETLINK_GENERIC, 0)
	if errors.Is(err, unix.ENODEV) || errors.Is(err, unix.EOPNOTSUPP) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("read the features of interface %d: %w", ifindex, err)
	}
	for _, answer := range answers {
		if len(answer) >= nl.SizeofGenlmsg {
			all = append(all, featureNames(answer[nl.SizeofGenlmsg:])...)
		}
	}
	return all, nil
}

// forwardingAhead names the forwarding of a card that delivers frames past the programs of a parent
// with these features. It returns nil if the card does not.
func forwardingAhead(parent string, features []string) []string {
	if !slices.Contains(features, forwardingFeature) {
		return nil
	}
	return []string{fmt.Sprintf("the card's own forwarding on %q (switch it off: ethtool -K %s %s off)",
		parent, parent, forwardingFeature)}
}

// featureNames returns the names in the set of active features of an answer
// (Documentation/networking/ethtool-netlink.rst, "Bit sets").
func featureNames(answer []byte) (all []string) {
	path := []uint16{unix.ETHTOOL_A_FEATURES_ACTIVE, unix.ETHTOOL_A_BITSET_BITS, unix.ETHTOOL_A_BITSET_BITS_BIT}
	for _, bit := range attributesAt(answer, path...) {
		for _, name := range attributesAt(bit, unix.ETHTOOL_A_BITSET_BIT_NAME) {
			all = append(all, unix.ByteSliceToString(name))
		}
	}
	return all
}

// attributesAt returns the values of the attributes on a path of nested ones.
func attributesAt(b []byte, path ...uint16) (all [][]byte) {
	if len(path) == 0 {
		return [][]byte{b}
	}
	attributes, err := nl.ParseRouteAttr(b)
	if err != nil {
		return nil
	}
	for _, a := range attributes {
		if a.Attr.Type&nl.NLA_TYPE_MASK == path[0] {
			all = append(all, attributesAt(a.Value, path[1:]...)...)
		}
	}
	return all
}
