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
	Name       string // its own, which may not be the one that was asked for
	Index      int
	MTU        int // bytes
	MAC        specs.MAC
	Up         bool
	Carrier    bool
	Wireless   bool   // an access point takes one MAC a station: only ipvlan works there
	Kind       string // the driver's name, as "vlan", "bond"; "" for hardware
	TrunkIndex int    // what a VLAN is part of, and its id; both 0 for others
	VLAN       int
	Upper      int // index of the bridge, bond or VRF that it belongs to; 0: none
}

// CheckMTU refuses an MTU above the parent's with [ErrMTU]. 0 is the parent's.
func (p *Parent) CheckMTU(mtu int) error {
	if mtu > p.MTU {
		return fmt.Errorf("%w: %d, %q has %d", ErrMTU, mtu, p.Name, p.MTU)
	}
	return nil
}

// Parent finds a parent by its name. "eth1.100" is also found as VLAN 100 of
// eth1 when that has another name. Errors: [ErrNoLink], also when the trunk is
// there and the VLAN is not (see [Handle.EnsureVLAN]), [ErrNotEthernet],
// [ErrStacked], [ErrVLAN].
func (h *Handle) Parent(name string) (*Parent, error) {
	trunk, id, isVLAN := specs.SplitVLAN(name)
	l, err := LinkInfo{}, error(ErrNoLink)
	if len(name) <= specs.MaxInterfaceName {
		l, err = h.LinkByName(name)
	}
	if isVLAN && err == nil && l.Kind == "vlan" {
		err = h.checkVLAN(l, trunk, id)
	}
	if isVLAN && errors.Is(err, ErrNoLink) {
		l, err = h.vlanByName(trunk, id)
	}
	if err == nil {
		err = l.canCarry()
	}
	if errors.Is(err, ErrNoLink) {
		err = fmt.Errorf("%w; there are: %s", ErrNoLink, h.candidates())
	}
	if err != nil {
		return nil, fmt.Errorf("parent %q: %w", name, err)
	}
	return parentOf(l), nil
}

func parentOf(l LinkInfo) *Parent {
	p := &Parent{
		Name: l.Name, Index: l.Index, MTU: l.MTU, MAC: l.MAC, Kind: l.Kind,
		Up: l.Up, Carrier: l.Carrier, Upper: l.Upper,
		Wireless: l.Kind == "" && isWireless("/sys/class/net", l.Name, l.Index),
	}
	if l.Kind == "vlan" && l.ParentNSID < 0 {
		p.TrunkIndex, p.VLAN = l.ParentIndex, l.VLAN
	}
	return p
}

// canCarry says why a link can be no parent.
func (l *LinkInfo) canCarry() error {
	switch {
	case !l.Ethernet || l.Loopback:
		return ErrNotEthernet
	case l.Driver != "":
		return fmt.Errorf("%q %w; name that one", l.Name, ErrStacked)
	}
	return nil
}

// candidates lists the names of what could be a parent, for an error.
func (h *Handle) candidates() string {
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

// isWireless looks for what cfg80211 puts beside a wireless interface. A sysfs
// shows the namespace that it was mounted in, so the index is compared: where
// /sys belongs to another namespace, the answer is no. The netlink way would be
// nl80211, but asking for that family by its name loads the module.
func isWireless(sysfs, name string, index int) bool {
	dir := filepath.Join(sysfs, name)
	text, err := os.ReadFile(filepath.Join(dir, "ifindex"))
	if err != nil || strings.TrimSpace(string(text)) != strconv.Itoa(index) {
		return false
	}
	_, err = os.Stat(filepath.Join(dir, "phy80211"))
	return err == nil
}
