package specs

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Prefix begins the key of every annotation of berth's. An unknown key with this
// prefix is an error, because a container must not start without its network
// after a spelling mistake.
const Prefix = "berth/"

// The annotations. The short form, all but [KeyNetworks], defines one
// interface in place.
const (
	KeyNetworks  = Prefix + "networks"
	KeyParent    = Prefix + "parent"
	KeyMode      = Prefix + "mode"
	KeyIP        = Prefix + "ip"
	KeyGateway   = Prefix + "gateway"
	KeyMAC       = Prefix + "mac"
	KeyInterface = Prefix + "interface"
	KeyMTU       = Prefix + "mtu"
)

var shortKeys = []string{KeyParent, KeyMode, KeyIP, KeyGateway, KeyMAC, KeyInterface, KeyMTU}

// The bounds of annotations, which every user that may start a container writes.
const (
	MaxSelections = 32        // interfaces per container
	MaxAnnotation = 64 * 1024 // bytes per value
	maxIPs        = 32        // addresses per interface
)

// Selection is one interface that a container requests: on a network by name, or
// on one defined in place.
type Selection struct {
	Key          string       `json:"-"`                   // the place of the request, for errors: "berth/networks[0]"
	Network      string       `json:"name,omitempty"`      // "" if InPlace is set
	InPlace      *Network     `json:"in-place,omitempty"`  // nil if Network is set
	Interface    string       `json:"interface,omitempty"` // "" for the next free netN
	IPs          []IP         `json:"ips,omitempty"`       // if empty, the network's pools give them
	MAC          MAC          `json:"mac,omitzero"`        // if zero, the network determines it
	short        bool         // errors do not have Key before their own key
	DefaultRoute []netip.Addr `json:"default-route,omitempty"` // gateways; they replace a default route of the engine
}

// byName is a Selection of a network by its name. encoding/json prepares every type below the
// one that it encodes, so a Selection costs it a Network's types too.
type byName struct {
	Network      string       `json:"name,omitempty"`
	Interface    string       `json:"interface,omitempty"`
	IPs          []IP         `json:"ips,omitempty"`
	MAC          MAC          `json:"mac,omitzero"`
	DefaultRoute []netip.Addr `json:"default-route,omitempty"`
}

// Canonical returns a value whose JSON is that of the selection.
func (s *Selection) Canonical() any {
	if s.InPlace != nil {
		return s
	}
	return &byName{Network: s.Network, Interface: s.Interface, IPs: s.IPs, MAC: s.MAC, DefaultRoute: s.DefaultRoute}
}

// At adds the place of the selection in the annotations to an error.
func (s *Selection) At(err error) error {
	if !s.short {
		return At(s.Key, err)
	}
	return renameKey(err, shortKeyOf)
}

// IP is a requested address, with or without a prefix length.
type IP struct {
	Addr netip.Addr
	Bits int // -1 for the subnet's
}

// String returns the address as requested.
func (ip IP) String() string {
	if ip.Bits < 0 {
		return ip.Addr.String()
	}
	return netip.PrefixFrom(ip.Addr, ip.Bits).String()
}

// MarshalText implements encoding.TextMarshaler.
func (ip IP) MarshalText() ([]byte, error) { return []byte(ip.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler: "192.0.2.7" or "192.0.2.7/24".
func (ip *IP) UnmarshalText(text []byte) error {
	want := Invalid("", string(text), "an address, as 192.0.2.7, or with its prefix, as 192.0.2.7/24")
	if p, err := netip.ParsePrefix(string(text)); err == nil && p.Bits() > 0 && IsUnicast(p.Addr()) {
		*ip = IP{Addr: p.Addr(), Bits: p.Bits()}
		return nil
	}
	a, err := netip.ParseAddr(string(text))
	if err != nil || !IsUnicast(a) {
		return want
	}
	*ip = IP{Addr: a, Bits: -1}
	return nil
}

// ParseAnnotations returns the selections of a container in the order in which its
// interfaces are created. If there is no annotation of berth's, it returns neither
// selections nor an error.
func ParseAnnotations(annotations map[string]string) ([]Selection, error) {
	var keys []string
	for _, key := range slices.Sorted(maps.Keys(annotations)) {
		if strings.HasPrefix(key, Prefix) {
			keys = append(keys, key)
		}
	}
	for _, key := range keys {
		if key != KeyNetworks && !slices.Contains(shortKeys, key) {
			return nil, Invalid("annotation", key, "%s, or the short form: %s", KeyNetworks, strings.Join(shortKeys, ", "))
		}
		if n := len(annotations[key]); n > MaxAnnotation {
			return nil, Invalid(key, annotations[key], "at most %d bytes instead of %d", MaxAnnotation, n)
		}
	}
	value, list := annotations[KeyNetworks]
	switch {
	case len(keys) == 0:
		return nil, nil
	case list && len(keys) > 1:
		other := keys[slices.IndexFunc(keys, func(k string) bool { return k != KeyNetworks })]
		return nil, Unusable(other, annotations[other], "%s and the short form exclude each other; remove one", KeyNetworks)
	case list:
		return parseNetworks(value)
	}
	return parseShort(annotations)
}

func parseNetworks(value string) (all []Selection, err error) {
	switch text := strings.TrimSpace(strings.TrimPrefix(value, utf8BOM)); {
	case text == "":
		err = Invalid("", value, "the names of networks, as lan or lan,lab@eth1, or a JSON list")
	case text[0] == '{':
		err = Invalid("", value, `a list of such objects, as [{"name": "lan"}]`)
	case text[0] == '[':
		all, err = parseJSON(value)
	default:
		all, err = parseList(value)
	}
	if err != nil {
		return nil, At(KeyNetworks, err)
	}
	if len(all) == 0 || len(all) > MaxSelections {
		return nil, Invalid(KeyNetworks, value, "1 to %d networks", MaxSelections)
	}
	if err := checkSelections(all); err != nil {
		return nil, err
	}
	return all, nil
}

// checkSelections returns an error if an interface name is requested twice.
func checkSelections(all []Selection) error {
	seen := make(map[string]bool)
	for i := range all {
		s := &all[i]
		if s.Interface != "" && seen[s.Interface] {
			return Unusable(s.Key+".interface", s.Interface, "another network of the container has this interface name")
		}
		seen[s.Interface] = true
	}
	return nil
}

// parseList parses "NAME[@IFNAME],…".
func parseList(value string) ([]Selection, error) {
	var all []Selection
	for i, item := range strings.Split(value, ",") {
		at := fmt.Sprintf("[%d]", i)
		name, ifname, named := strings.Cut(strings.TrimSpace(item), "@")
		if err := CheckNetworkName(name); err != nil {
			return nil, At(at, err)
		}
		if named {
			if err := CheckInterfaceName(ifname); err != nil {
				return nil, At(at+".interface", err)
			}
		}
		all = append(all, Selection{Key: KeyNetworks + at, Network: name, Interface: ifname})
	}
	return all, nil
}

// parseShort parses the short form: one interface, defined in place.
func parseShort(a map[string]string) ([]Selection, error) {
	s := Selection{Key: KeyIP, short: true, InPlace: &Network{Parent: a[KeyParent]}}
	if a[KeyParent] == "" {
		return nil, Invalid(KeyParent, "", "the host's interface to put the container on, or %s instead", KeyNetworks)
	}
	set := []struct {
		key   string
		parse func(string) error
	}{
		{KeyMode, func(v string) error { return setMode(s.InPlace, v) }},
		{KeyMTU, func(v string) error { return setInt(&s.InPlace.MTU, v) }},
		{KeyIP, func(v string) error { return setList(&s.IPs, v) }},
		{KeyMAC, func(v string) (err error) { s.MAC, err = ParseMAC(v); return err }},
		{KeyInterface, func(v string) error { s.Interface = v; return CheckInterfaceName(v) }},
	}
	for _, f := range set {
		if v, ok := a[f.key]; ok {
			if err := f.parse(v); err != nil {
				return nil, At(f.key, err)
			}
		}
	}
	if err := finishSelection(&s, shortKeyOf); err != nil {
		return nil, err
	}
	if v, ok := a[KeyGateway]; ok {
		if err := setGateways(s.InPlace, v); err != nil {
			return nil, At(KeyGateway, err)
		}
	}
	return []Selection{s}, nil
}

// shortKeyOf returns the annotation that set a key of a network.
func shortKeyOf(key string) string {
	if strings.HasPrefix(key, "subnet") || key == "ips" {
		return KeyIP
	}
	return Prefix + key
}

// setMode sets the mode and, if only one driver has the mode, the driver.
func setMode(n *Network, v string) error {
	if err := setText(&n.Mode, v); err != nil {
		return err
	}
	if slices.Contains(Modes(IPvlan), n.Mode) {
		n.Driver = IPvlan
	}
	return nil
}

// setGateways assigns each gateway to the first subnet of its family.
func setGateways(n *Network, value string) error {
	for _, item := range strings.Split(value, ",") {
		a, err := netip.ParseAddr(strings.TrimSpace(item))
		if err != nil || !IsUnicast(a) {
			return Invalid("", item, "the address of a router, as 192.0.2.1")
		}
		i := slices.IndexFunc(n.Subnets, func(s Subnet) bool { return s.Subnet.Addr().Is4() == a.Is4() })
		if i < 0 {
			return Unusable("", item, "%s has no address of this family", KeyIP)
		}
		if n.Subnets[i].Gateway.IsValid() {
			return Unusable("", item, "there is another gateway of this family")
		}
		n.Subnets[i].Gateway = a
		if err := n.Subnets[i].checkSubnet(); err != nil {
			return renameKey(err, func(string) string { return "" })
		}
	}
	return nil
}

// finishSelection sets the defaults of a network defined in place and checks it together
// with the request. name returns the user's name for a key.
func finishSelection(s *Selection, name func(string) string) error {
	n := s.InPlace
	if len(s.IPs) > maxIPs {
		return Invalid(name("ips"), strconv.Itoa(len(s.IPs)), "at most %d addresses", maxIPs)
	}
	for i, ip := range s.IPs {
		if slices.ContainsFunc(s.IPs[:i], func(before IP) bool { return before.Addr == ip.Addr }) {
			return Unusable(name("ips"), ip.String(), "this address is in the list twice")
		}
	}
	if n == nil {
		return nil
	}
	if err := n.subnetsOf(s.IPs); err != nil {
		return At(name("ips"), err)
	}
	if n.IPAM == "" && len(s.IPs) > 0 {
		n.IPAM = IPAMStatic
	}
	n.SetDefaults()
	return renameKey(n.Check(), name)
}

// subnetsOf adds the subnets of the requested addresses to a network defined in
// place, if no subnet contains them.
func (n *Network) subnetsOf(ips []IP) error {
	for _, ip := range ips {
		switch {
		case n.SubnetOf(ip.Addr) != nil:
		case ip.Bits < 0:
			return Invalid("", ip.String(), "a prefix, as %s/24, because no subnet is given", ip.Addr)
		default:
			n.Subnets = append(n.Subnets, Subnet{Subnet: netip.PrefixFrom(ip.Addr, ip.Bits).Masked()})
		}
	}
	return nil
}

// SubnetOf returns the subnet that contains an address, or nil if none does.
func (n *Network) SubnetOf(a netip.Addr) *Subnet {
	for i := range n.Subnets {
		if n.Subnets[i].Subnet.Contains(a) {
			return &n.Subnets[i]
		}
	}
	return nil
}
