package network

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"berth/internal/random"
	"berth/specs"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Link describes a macvlan or ipvlan interface to make.
type Link struct {
	Name        string // at most 15 bytes
	ParentIndex int    // in the handle's namespace
	Driver      specs.Driver
	Mode        specs.Mode
	Flag        specs.IPvlanFlag // of ipvlan; "" is bridge
	MAC         specs.MAC        // of macvlan; if zero, random, or the parent's in passthru mode
	MTU         int              // bytes; 0 for the parent's
	BCQueueLen  uint32           // of macvlan, in frames; 0 for the kernel's 1000
	NoPromisc   bool             // of macvlan in passthru mode
	SourceMACs  []specs.MAC      // of macvlan in source mode
	Alias       string           // at most 255 bytes, or ""
	AltName     string           // at most 127 bytes, or ""; [Handle.DeleteIn] deletes by it
}

// Use returns the link's use of its parent.
func (l *Link) Use() Use { return Use{l.Driver, l.Mode, l.Flag} }

// CreateLink makes an interface in another namespace, down, on a parent in the handle's
// namespace. One message makes it there under its final name, so nothing appears on the
// host. If it returns an error, there is no link.
//
// Errors: [ErrNameTaken], [ErrNoLink] (the parent), [ErrNotEthernet], [ErrMTU],
// [ErrParentBusy], [ErrUnsupported], or the kernel's errno. A MAC that is in use on the
// parent causes an error later, in [Handle.SetUp].
func (h *Handle) CreateLink(n *Namespace, l Link) (LinkInfo, error) {
	info, err := h.createLink(n, l)
	if err != nil {
		return LinkInfo{}, fmt.Errorf("make %s interface %q: %w", l.Driver, l.Name, h.explainCreate(l, err))
	}
	return info, nil
}

func (h *Handle) createLink(n *Namespace, l Link) (LinkInfo, error) {
	if err := h.checkLink(l); err != nil {
		return LinkInfo{}, err
	}
	inside, err := n.Open()
	if err != nil {
		return LinkInfo{}, err
	}
	err = h.requestAck(unix.RTM_NEWLINK, unix.NLM_F_CREATE|unix.NLM_F_EXCL, newLink(n, l)...)
	if isErrno(err, unix.EEXIST) {
		return h.createAside(n, inside, l)
	}
	if err != nil {
		return LinkInfo{}, err
	}
	return finishLink(inside, l, l.Name)
}

// checkLink refuses links that the kernel would accept, or refuse without a clear error.
func (h *Handle) checkLink(l Link) error {
	if !slices.Contains(specs.Modes(l.Driver), l.Mode) {
		return fmt.Errorf("driver %[2]q has no mode %[1]q", l.Mode, l.Driver)
	}
	if l.Driver != specs.IPvlan || l.MTU == 0 {
		return nil
	}
	parent, err := h.LinkByIndex(l.ParentIndex) // ipvlan accepts any MTU, unlike macvlan
	if err == nil && l.MTU > parent.MTU {
		err = fmt.Errorf("%w: %d is requested, and the parent has %d", ErrMTU, l.MTU, parent.MTU)
	}
	return err
}

// newLink returns the RTM_NEWLINK message. The kernel looks up the parent in the
// namespace of the socket and makes the link in that of IFLA_NET_NS_FD
// (rtnl_newlink_create in net/core/rtnetlink.c).
func newLink(n *Namespace, l Link) []nl.NetlinkRequestData {
	data := macvlanData
	if l.Driver == specs.IPvlan {
		data = ipvlanData
	}
	parts := []nl.NetlinkRequestData{
		linkHeader(0),
		attrString(unix.IFLA_IFNAME, l.Name),
		attr32(unix.IFLA_LINK, uint32(l.ParentIndex)),
		attr32(unix.IFLA_NET_NS_FD, uint32(n.FD())),
	}
	if l.MTU != 0 {
		parts = append(parts, attr32(unix.IFLA_MTU, uint32(l.MTU)))
	}
	if !l.MAC.IsZero() && l.Driver == specs.Macvlan {
		parts = append(parts, nl.NewRtAttr(unix.IFLA_ADDRESS, l.MAC[:]))
	}
	return append(parts, nested(unix.IFLA_LINKINFO,
		attrString(nl.IFLA_INFO_KIND, string(l.Driver)), data(l)))
}

// createAside makes the link under an unused name and renames it. Kernels before 6.15
// check the name in the namespace of the socket, not in the link's own, so "eth0" of the
// host blocks a container's.
func (h *Handle) createAside(n *Namespace, inside *Handle, l Link) (LinkInfo, error) {
	if _, err := inside.LinkByName(l.Name); !errors.Is(err, ErrNoLink) {
		return LinkInfo{}, errors.Join(ErrNameTaken, err)
	}
	aside := l
	aside.Name = asideName()
	err := h.requestAck(unix.RTM_NEWLINK, unix.NLM_F_CREATE|unix.NLM_F_EXCL, newLink(n, aside)...)
	if err != nil {
		return LinkInfo{}, err
	}
	return finishLink(inside, l, aside.Name)
}

func asideName() string {
	suffix := make([]byte, 5)
	random.Read(suffix)
	return "berth" + hex.EncodeToString(suffix)
}

// finishLink sets the properties of a new link that RTM_NEWLINK does not set on creation: the
// alias, the alternative name, the name if the link was made under another one, and the
// MAC in passthru mode, which the parent takes over. If that fails, it deletes the link.
func finishLink(inside *Handle, l Link, name string) (LinkInfo, error) {
	info, err := inside.LinkByName(name)
	if err != nil {
		return LinkInfo{}, errors.Join(err, inside.requestAck(unix.RTM_DELLINK, 0, linkHeader(0),
			attrString(unix.IFLA_IFNAME, name)))
	}
	var parts []nl.NetlinkRequestData
	if l.Name != name {
		parts = append(parts, attrString(unix.IFLA_IFNAME, l.Name))
		info.Name = l.Name
	}
	if l.Alias != "" {
		parts = append(parts, nl.NewRtAttr(unix.IFLA_IFALIAS, []byte(l.Alias)))
		info.Alias = l.Alias
	}
	if !l.MAC.IsZero() && l.MAC != info.MAC && l.Driver == specs.Macvlan {
		parts = append(parts, nl.NewRtAttr(unix.IFLA_ADDRESS, l.MAC[:]))
		info.MAC = l.MAC
	}
	if len(parts) > 0 {
		err = inside.requestAck(unix.RTM_SETLINK, 0, append([]nl.NetlinkRequestData{linkHeader(info.Index)}, parts...)...)
	}
	if err == nil && l.AltName != "" {
		err = inside.addName(info.Index, l.AltName)
	}
	if isErrno(err, unix.EEXIST) {
		err = ErrNameTaken
	}
	if err != nil {
		return LinkInfo{}, errors.Join(err, inside.DeleteLink(info.Index))
	}
	return info, nil
}

// addName gives a link an alternative name of at most 127 bytes (Linux 5.5,
// rtnl_linkprop in net/core/rtnetlink.c). The error is EEXIST if a link of the
// namespace has the name.
func (h *Handle) addName(index int, name string) error {
	names := nested(unix.IFLA_PROP_LIST|unix.NLA_F_NESTED, attrString(unix.IFLA_ALT_IFNAME, name))
	return h.requestAck(unix.RTM_NEWLINKPROP, unix.NLM_F_CREATE|unix.NLM_F_EXCL, linkHeader(index), names)
}

// SetUp sets a link up. If another macvlan of the parent has the MAC, it may be in a
// namespace that the kernel is still deleting, so SetUp retries for half a second;
// [Handle.WaitUp] retries for longer. Errors: [ErrMACInUse], [ErrNoLink],
// [ErrParentDown].
func (h *Handle) SetUp(index int) error {
	deadline := time.Now().Add(busyTimeout)
	for {
		err := h.setFlags(index, unix.IFF_UP)
		switch {
		case err == nil:
			return nil
		case isErrno(err, unix.EADDRINUSE) && time.Now().Before(deadline):
			time.Sleep(busyPause)
			continue
		case isErrno(err, unix.EADDRINUSE):
			err = fmt.Errorf("%w: %w", ErrMACInUse, err)
		case isErrno(err, unix.ENETDOWN):
			err = fmt.Errorf("%w: %w", ErrParentDown, err)
		case isErrno(err, unix.ENODEV):
			err = ErrNoLink
		}
		return fmt.Errorf("set interface %d up: %w", index, err)
	}
}

// Bound and interval of the retries of [Handle.SetUp].
const (
	busyTimeout = 500 * time.Millisecond
	busyPause   = 2 * time.Millisecond
)

// setFlags sets IFF_* flags of a link and leaves its other flags.
func (h *Handle) setFlags(index int, flags uint32) error {
	m := linkHeader(index)
	m.Flags, m.Change = flags, flags
	return h.requestAck(unix.RTM_SETLINK, 0, m)
}

// DeleteLink deletes a link of the handle's namespace. Errors: [ErrNoLink].
func (h *Handle) DeleteLink(index int) error {
	err := h.requestAck(unix.RTM_DELLINK, 0, linkHeader(index))
	if isErrno(err, unix.ENODEV) {
		err = ErrNoLink
	}
	if err != nil {
		return fmt.Errorf("delete interface %d: %w", index, err)
	}
	return nil
}

// isErrno reports whether the kernel answered with an errno.
func isErrno(err error, errno unix.Errno) bool { return errors.Is(err, errno) }
