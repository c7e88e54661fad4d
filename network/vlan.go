package network

import (
	"errors"
	"fmt"
	"strconv"

	"berth/specs"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// EnsureVLAN returns the IEEE 802.1Q sub-interface of a trunk with an ID. If
// there is none it makes one, under the name TRUNK.ID, or another name if that is
// over 15 bytes or taken, and sets it up. An existing one is not changed. The
// caller serialises makers and removers of the same ID.
//
// Errors: [ErrNoLink] (the trunk), [ErrNotEthernet], [ErrStacked],
// [ErrParentDown] (the trunk must be up), [ErrUnsupported].
func (h *Handle) EnsureVLAN(trunk string, id int) (p *Parent, made bool, err error) {
	p, made, err = h.ensureVLAN(trunk, id)
	if err != nil {
		return nil, false, fmt.Errorf("VLAN %d of %q: %w", id, trunk, err)
	}
	return p, made, nil
}

func (h *Handle) ensureVLAN(trunk string, id int) (*Parent, bool, error) {
	if id < 1 || id > specs.MaxVLAN {
		return nil, false, specs.Invalid("", strconv.Itoa(id), "a VLAN id of 1 to %d", specs.MaxVLAN)
	}
	below, err := h.resolveParent(trunk)
	if err == nil {
		err = below.canCarry()
	}
	if err != nil {
		return nil, false, err
	}
	l, err := h.vlanByID(below.Index, id)
	if err == nil || !errors.Is(err, ErrNoLink) {
		return parentOf(l), false, err
	}
	if l, err = h.makeVLAN(below, id); err != nil {
		return nil, false, err
	}
	return parentOf(l), true, nil
}

// makeVLAN tries the two names that a VLAN may get. One message makes it and sets
// it up (rtnl_configure_link in net/core/rtnetlink.c), so that it is never seen
// down.
func (h *Handle) makeVLAN(trunk LinkInfo, id int) (l LinkInfo, err error) {
	for _, name := range vlanNames(trunk.Name, trunk.Index, id) {
		up := linkHeader(0)
		up.Flags, up.Change = unix.IFF_UP, unix.IFF_UP
		err = h.requestAck(unix.RTM_NEWLINK, unix.NLM_F_CREATE|unix.NLM_F_EXCL, up,
			attrString(unix.IFLA_IFNAME, name),
			attr32(unix.IFLA_LINK, uint32(trunk.Index)),
			nested(unix.IFLA_LINKINFO,
				attrString(nl.IFLA_INFO_KIND, "vlan"),
				nested(nl.IFLA_INFO_DATA, attr16(nl.IFLA_VLAN_ID, uint16(id)))))
		if err == nil {
			return h.LinkByName(name)
		}
		if !isErrno(err, unix.EEXIST) {
			break
		}
	}
	switch {
	case isErrno(err, unix.EOPNOTSUPP):
		err = fmt.Errorf("%w: VLANs (CONFIG_VLAN_8021Q)", ErrUnsupported)
	case isErrno(err, unix.ENETDOWN):
		err = fmt.Errorf("%w: %w", ErrParentDown, err)
	case isErrno(err, unix.EEXIST):
		err = fmt.Errorf("%w: %q", ErrNameTaken, vlanNames(trunk.Name, trunk.Index, id))
	}
	return l, err
}

// vlanNames returns the names for a VLAN in the order of preference. The second
// always fits: the index has at most six digits of base 36.
func vlanNames(trunk string, index, id int) []string {
	long := fmt.Sprintf("%s.%d", trunk, id)
	short := fmt.Sprintf("v%s.%d", strconv.FormatInt(int64(index), 36), id)
	if len(long) > specs.MaxInterfaceName {
		return []string{short}
	}
	return []string{long, short}
}

// vlanByID finds a VLAN by its trunk and ID, under any name. Errors: [ErrNoLink].
func (h *Handle) vlanByID(trunkIndex, id int) (LinkInfo, error) {
	all, err := h.dumpLinks("vlan")
	if err != nil {
		return LinkInfo{}, err
	}
	for _, l := range all {
		if l.isVLAN(trunkIndex, id) {
			return l, nil
		}
	}
	return LinkInfo{}, fmt.Errorf("VLAN %d of interface %d: %w", id, trunkIndex, ErrNoLink)
}

func (l *LinkInfo) isVLAN(trunkIndex, id int) bool {
	return l.isTagged() && l.ParentIndex == trunkIndex && l.VLAN == id
}

// isTagged reports whether a link is an 802.1Q sub-interface of a link in its own
// namespace. An 802.1ad one is another layer-2 domain than the 802.1Q VLAN of the
// same ID, and counts as an ordinary interface.
func (l *LinkInfo) isTagged() bool {
	return l.Kind == "vlan" && l.ParentNSID < 0 && l.VLANProto == unix.ETH_P_8021Q
}

// VLANsOn returns the names of the sub-interfaces of a trunk.
func (h *Handle) VLANsOn(trunkIndex int) (names []string, err error) {
	all, err := h.dumpLinks("vlan")
	for _, l := range all {
		if l.ParentIndex == trunkIndex && l.ParentNSID < 0 {
			names = append(names, l.Name)
		}
	}
	return names, err
}

// checkVLAN returns [ErrVLAN] if a link is named TRUNK.ID but is another VLAN. If
// no link has the trunk's name, any link may have the name.
func (h *Handle) checkVLAN(l LinkInfo) error {
	trunk, id, isVLAN := specs.SplitVLAN(l.Name)
	if !isVLAN {
		return nil
	}
	below, err := h.resolveParent(trunk)
	switch {
	case errors.Is(err, ErrNoLink):
		return nil
	case err != nil:
		return err
	case l.ParentIndex != below.Index || l.ParentNSID >= 0 || l.VLAN != id:
		return fmt.Errorf("interface %q: %w: it is VLAN %d of interface %d", l.Name, ErrVLAN, l.VLAN, l.ParentIndex)
	}
	return nil
}
