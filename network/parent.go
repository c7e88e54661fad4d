package network

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"berth/specs"
)

// Parent is an Ethernet interface that can carry others.
type Parent struct {
	Name       string // its own name, even if it was found by another
	Index      int
	MTU        int // bytes
	MAC        specs.MAC
	Up         bool
	Carrier    bool
	Wireless   bool   // an access point accepts one MAC per station, so only ipvlan works
	Kind       string // the driver's name, as "vlan", "bond"; "" for hardware
	TrunkIndex int    // of an 802.1Q VLAN, its trunk and its ID; else both 0
	VLAN       int
	Upper      int // index of the bridge, bond or VRF that it belongs to, or 0
}

// CheckMTU returns [ErrMTU] if an MTU is above the parent's. 0 stands for the parent's.
func (p *Parent) CheckMTU(mtu int) error {
	if mtu > p.MTU {
		return fmt.Errorf("%w: %d is requested, and parent %q has %d", ErrMTU, mtu, p.Name, p.MTU)
	}
	return nil
}

// Parent finds a parent by its name or an alternative one. "eth1.100" is also found as
// VLAN 100 of eth1 if that VLAN has another name. Errors: [ErrNoLink], also if the trunk
// exists and the VLAN does not (see [Handle.EnsureVLAN]), [ErrNotEthernet], [ErrStacked],
// [ErrVLAN].
func (h *Handle) Parent(name string) (*Parent, error) {
	l, err := h.resolveParent(name)
	if err == nil && l.Kind == "vlan" && l.Name == name {
		err = h.checkVLAN(l)
	}
	if err == nil {
		err = l.canCarry()
	}
	if errors.Is(err, ErrNoLink) {
		err = fmt.Errorf("%w; possible parents: %s", ErrNoLink, h.parentCandidates())
	}
	if err != nil {
		return nil, fmt.Errorf("parent %q: %w", name, err)
	}
	return parentOf(l), nil
}

// ParentOrTrunk is Parent, but if a VLAN does not exist yet it returns the trunk and the
// ID to make. The ID is 0 if p is the parent.
func (h *Handle) ParentOrTrunk(name string) (p *Parent, makeVLAN int, err error) {
	p, err = h.Parent(name)
	trunk, id, isVLAN := specs.SplitVLAN(name)
	if !isVLAN || !errors.Is(err, ErrNoLink) {
		return p, 0, err
	}
	if p, err = h.Parent(trunk); err != nil {
		return nil, 0, fmt.Errorf("trunk of parent %q: %w", name, err)
	}
	return p, id, nil
}

// ParentByIndex finds a parent by its index. Its errors are those of [Handle.Parent].
func (h *Handle) ParentByIndex(index int) (*Parent, error) {
	l, err := h.LinkByIndex(index)
	if err == nil {
		err = l.canCarry()
	}
	if err != nil {
		return nil, fmt.Errorf("parent %d: %w", index, err)
	}
	return parentOf(l), nil
}

// resolveParent finds the interface to which a parent's name refers.
func (h *Handle) resolveParent(name string) (LinkInfo, error) {
	return ResolveParent(name, h.LinkByName, func(trunk LinkInfo, id int) (LinkInfo, error) {
		return h.vlanByID(trunk.Index, id)
	})
}

// ParentNames returns all names of the interface to which a parent's name refers, and of
// its trunk if it is a VLAN by that name, existing or not.
func (h *Handle) ParentNames(name string) (specs.ParentNames, error) {
	l, err := h.LinkByName(name)
	trunk, id, isVLAN := specs.SplitVLAN(name)
	if err != nil && (!errors.Is(err, ErrNoLink) || !isVLAN) {
		return specs.WrittenNames(name), ignoreNoLink(err)
	}
	all := specs.ParentNames{Names: append([]string{name, l.Name}, l.AltNames...)}
	if !isVLAN {
		return all, nil
	}
	below, belowErr := h.resolveParent(trunk)
	switch {
	case err == nil && (belowErr != nil || !l.isVLAN(below.Index, id)):
		return all, ignoreNoLink(belowErr) // the name only looks like that of a VLAN
	case belowErr != nil:
		return specs.WrittenNames(name), ignoreNoLink(belowErr)
	}
	all.Names = []string{name}
	if l, err = h.vlanByID(below.Index, id); err == nil {
		all.Names = append(append(all.Names, l.Name), l.AltNames...)
	}
	all.Trunk, all.VLAN = append([]string{trunk, below.Name}, below.AltNames...), id
	for _, t := range all.Trunk {
		all.Names = append(all.Names, fmt.Sprintf("%s.%d", t, id))
	}
	return all, ignoreNoLink(err)
}

func ignoreNoLink(err error) error {
	if errors.Is(err, ErrNoLink) {
		return nil
	}
	return err
}

// ResolveParent finds the interface to which a parent's name refers, as L. An interface
// with that name, its own or an alternative one, comes first, even if the name looks like
// a VLAN's; else TRUNK.ID refers to the VLAN of the interface TRUNK. Both functions
// return [ErrNoLink] if an interface does not exist.
func ResolveParent[L any](name string, byName func(string) (L, error),
	vlanOf func(trunk L, id int) (L, error)) (L, error) {
	l, err := byName(name)
	trunk, id, isVLAN := specs.SplitVLAN(name)
	if !isVLAN || !errors.Is(err, ErrNoLink) {
		return l, err
	}
	if l, err = ResolveParent(trunk, byName, vlanOf); err != nil {
		return l, err
	}
	return vlanOf(l, id)
}

func parentOf(l LinkInfo) *Parent {
	p := &Parent{
		Name: l.Name, Index: l.Index, MTU: l.MTU, MAC: l.MAC, Kind: l.Kind,
		Up: l.Up, Carrier: l.Carrier, Upper: l.Upper,
		Wireless: l.Kind == "" && isWireless("/sys/class/net", l.Name, l.Index),
	}
	if l.isTagged() {
		p.TrunkIndex, p.VLAN = l.ParentIndex, l.VLAN
	}
	return p
}

// canCarry returns the reason for which a link cannot be a parent, or nil.
func (l *LinkInfo) canCarry() error {
	switch {
	case !l.Ethernet || l.Loopback:
		return ErrNotEthernet
	case l.Driver != "":
		return fmt.Errorf("interface %q: %w; use its own parent", l.Name, ErrStacked)
	}
	return nil
}

// parentCandidates returns the names of all possible parents, for an error.
func (h *Handle) parentCandidates() string {
	all, err := h.Links()
	if err != nil {
		return err.Error()
	}
	var names []string
	for _, l := range all {
		if l.canCarry() == nil {
			names = append(names, l.Name)
		}
	}
	slices.Sort(names)
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names[:min(len(names), 20)], ", ")
}

// isWireless checks for the file that cfg80211 adds for a wireless interface. A sysfs
// shows the namespace in which it was mounted, so the index is compared: if /sys belongs
// to another namespace, the result is false. A netlink request for the nl80211 family by
// name would load the module.
func isWireless(sysfs, name string, index int) bool {
	dir := filepath.Join(sysfs, name)
	text, err := os.ReadFile(filepath.Join(dir, "ifindex"))
	if err != nil || strings.TrimSpace(string(text)) != strconv.Itoa(index) {
		return false
	}
	_, err = os.Stat(filepath.Join(dir, "phy80211"))
	return err == nil
}
