package observe

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"berth/network"
	"berth/specs"
)

// Host is the NSID of the host's own namespace in an [Interface].
const Host = -1

// Interface is a macvlan or ipvlan interface, or a macvtap or ipvtap, whose parent is in the
// host's namespace.
type Interface struct {
	NSID      int // of its namespace in the host's, or [Host]
	Link      Link
	Addresses []netip.Prefix // all but those of link-local scope, in the kernel's order
}

// Link is the part of a network.LinkInfo that the agent needs of each interface. The scanner
// remembers all interfaces, also those of berth's attachments, so it is half as large.
type Link struct {
	Index, ParentIndex, MTU int
	Name, Alias             string
	MAC                     specs.MAC
	Up, Tap                 bool // see network.LinkInfo.IsTap
	Driver                  specs.Driver
	Mode                    specs.Mode
	Flag                    specs.IPvlanFlag
	SourceMACs              []specs.MAC
}

func newLink(l *network.LinkInfo) Link {
	return Link{
		Index: l.Index, ParentIndex: l.ParentIndex, MTU: l.MTU, Name: l.Name, Alias: l.Alias, MAC: l.MAC, Up: l.Up,
		Tap: l.IsTap(), Driver: l.Driver, Mode: l.Mode, Flag: l.Flag, SourceMACs: l.SourceMACs,
	}
}

// Scanner lists interfaces and remembers them by namespace. It is for one goroutine.
type Scanner struct {
	host *network.Handle // strict
	own  int             // the ID of the host's namespace in itself
	seen map[int][]Interface
}

// NewScanner returns a scanner of the namespaces that the host's namespace has assigned IDs
// to. It uses host, which must be strict, until it is no longer used.
func NewScanner(host *network.Handle) (*Scanner, error) {
	own, err := host.OwnNSID()
	if err != nil {
		return nil, err
	}
	return &Scanner{host: host, own: own, seen: make(map[int][]Interface)}, nil
}

// ScanAll reads all namespaces again.
func (s *Scanner) ScanAll() error {
	ids, err := s.host.NSIDs()
	if err != nil {
		return err
	}
	seen := s.seen
	s.seen = make(map[int][]Interface, len(seen))
	errs := []error{s.Scan(Host)}
	for _, id := range ids {
		errs = append(errs, s.Scan(id))
	}
	return errors.Join(errs...)
}

// Scan reads the namespace with an ID, or [Host], again. A namespace that has ended is no
// error; it has no interfaces any more.
func (s *Scanner) Scan(nsid int) error {
	nsid = s.hostOr(nsid)
	links, err := s.readLinks(nsid)
	var found []Interface
	if err == nil && len(links) > 0 {
		found, err = s.withAddresses(nsid, 0, links)
	}
	switch {
	case errors.Is(err, network.ErrInterrupted):
		return s.scanEach(nsid, links)
	case err != nil && !network.IsGone(err):
		return fmt.Errorf("scan a network namespace for interfaces: %w", err) // the interfaces read before stay
	}
	s.replace(nsid, found)
	return nil
}

// scanEach reads the known links of a namespace, and some more, one by one. A namespace whose links
// change all the time can be read in no other way. The kernel sends a notification of a link that is
// created meanwhile.
func (s *Scanner) scanEach(nsid int, more []network.LinkInfo) error {
	indexes := make(map[int]bool)
	for i := range s.seen[nsid] {
		indexes[s.seen[nsid][i].Link.Index] = true
	}
	for i := range more {
		indexes[more[i].Index] = true
	}
	var errs []error
	for index := range indexes {
		errs = append(errs, s.ScanLink(nsid, index))
	}
	return errors.Join(errs...)
}

// ScanLink reads one link of a namespace, or of [Host], again. A link that is gone is no error.
func (s *Scanner) ScanLink(nsid, index int) error {
	nsid = s.hostOr(nsid)
	links, err := s.readLink(nsid, index)
	var found []Interface
	if err == nil && len(links) > 0 {
		found, err = s.withAddresses(nsid, index, links)
	}
	if errors.Is(err, network.ErrTooLong) {
		return nil // it exists, and stays as it was read last
	}
	if err != nil && !network.IsGone(err) {
		return fmt.Errorf("scan an interface: %w", err)
	}
	if err != nil {
		found = nil
	}
	s.replaceLink(nsid, index, found)
	return nil
}

// replaceLink replaces a link of a namespace by those found, in place: a namespace may have thousands of
// links.
func (s *Scanner) replaceLink(nsid, index int, found []Interface) {
	all := s.seen[nsid]
	at := 0
	for at < len(all) && all[at].Link.Index != index {
		at++
	}
	switch {
	case at == len(all):
		all = append(all, found...)
	case len(found) == 0:
		all = slices.Delete(all, at, at+1)
	default:
		all[at] = found[0]
	}
	s.replace(nsid, all)
}

// hostOr returns [Host] for the ID of the host's own namespace, and other IDs as they are.
func (s *Scanner) hostOr(nsid int) int {
	if nsid == s.own {
		return Host
	}
	return nsid
}

func (s *Scanner) replace(nsid int, found []Interface) {
	if len(found) == 0 {
		delete(s.seen, nsid)
		return
	}
	s.seen[nsid] = found
}

// readLinks returns the links of a namespace that have a parent of the host.
func (s *Scanner) readLinks(nsid int) ([]network.LinkInfo, error) {
	if nsid == Host {
		all, err := s.host.Links()
		return onParents(all, -1), err
	}
	all, err := s.host.LinksIn(nsid)
	return onParents(all, s.own), err
}

// readLink returns a link of a namespace, or none if it has no parent of the host.
func (s *Scanner) readLink(nsid, index int) ([]network.LinkInfo, error) {
	if nsid == Host {
		one, err := s.host.LinkByIndex(index)
		return onParents([]network.LinkInfo{one}, -1), err
	}
	one, err := s.host.LinkAtIn(nsid, index)
	return onParents([]network.LinkInfo{one}, s.own), err
}

// onParents returns the macvlan and ipvlan interfaces whose parent is in the namespace with an
// ID; -1 is the namespace of the links.
func onParents(all []network.LinkInfo, home int) []network.LinkInfo {
	return slices.DeleteFunc(all, func(l network.LinkInfo) bool {
		return l.Driver == "" || l.Mode == "" || l.ParentIndex == 0 || l.ParentNSID != home
	})
}

// withAddresses returns links of a namespace with their addresses. index is that of the only link, or
// 0.
func (s *Scanner) withAddresses(nsid, index int, links []network.LinkInfo) ([]Interface, error) {
	var addresses []network.AddressInfo
	var err error
	if nsid == Host {
		addresses, err = s.host.AddressesAt(index)
	} else {
		addresses, err = s.host.AddressesIn(nsid, index)
	}
	byLink := usedAddresses(addresses)
	found := make([]Interface, 0, len(links))
	for i := range links {
		found = append(found, Interface{NSID: nsid, Link: newLink(&links[i]), Addresses: byLink[links[i].Index]})
	}
	return found, err
}

// usedAddresses returns the addresses that links use on the LAN, by the index of the link.
func usedAddresses(all []network.AddressInfo) map[int][]netip.Prefix {
	byLink := make(map[int][]netip.Prefix)
	for _, a := range all {
		if !a.DADFailed && !a.Prefix.Addr().IsLinkLocalUnicast() {
			byLink[a.Index] = append(byLink[a.Index], a.Prefix)
		}
	}
	return byLink
}

// Interfaces returns the interfaces as read last, ordered by namespace and index. They must not
// be changed, and are valid until the next scan.
func (s *Scanner) Interfaces() []*Interface {
	var all []*Interface
	for _, some := range s.seen {
		for i := range some {
			all = append(all, &some[i])
		}
	}
	slices.SortFunc(all, func(a, b *Interface) int {
		if a.NSID != b.NSID {
			return a.NSID - b.NSID
		}
		return a.Link.Index - b.Link.Index
	})
	return all
}

// IsIPvlan reports whether the interface shares its parent's MAC.
func (i *Interface) IsIPvlan() bool { return i.Link.Driver == specs.IPvlan }
