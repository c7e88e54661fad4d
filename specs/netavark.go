package specs

import (
	"encoding/json"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// MaxNetavark is the largest request, in bytes, that berth-netavark reads.
const MaxNetavark = 1 << 20

// NetavarkCall is the request of netavark's plugin commands setup and teardown
// (netavark, plugin-API.md): one container on one of podman's networks.
type NetavarkCall struct {
	ContainerID   string          `json:"container_id"`
	ContainerName string          `json:"container_name"`
	Network       NetavarkNetwork `json:"network"`
	Options       struct {
		Interface string            `json:"interface_name"`
		IPs       []netip.Addr      `json:"static_ips"`
		MAC       string            `json:"static_mac"`
		Options   map[string]string `json:"options"`
	} `json:"network_options"`
}

// NetavarkNetwork is a network of podman, as its file has it. podman writes it, so unknown
// keys are ignored; its options are the user's.
type NetavarkNetwork struct {
	Name      string `json:"name"`
	Interface string `json:"network_interface"` // podman's own name for the parent
	Internal  bool   `json:"internal"`          // no default route
	Subnets   []struct {
		Subnet  netip.Prefix `json:"subnet"`
		Gateway netip.Addr   `json:"gateway"`
		Range   *struct {
			Start netip.Addr `json:"start_ip"`
			End   netip.Addr `json:"end_ip"`
		} `json:"lease_range"`
	} `json:"subnets"`
	Routes []struct {
		To     netip.Prefix `json:"destination"`
		Via    netip.Addr   `json:"gateway"`
		Metric *int         `json:"metric"`
	} `json:"routes"`
	Options map[string]string `json:"options"`
	IPAM    map[string]string `json:"ipam_options"`
}

// ParseNetavarkNetwork reads a network of podman.
func ParseNetavarkNetwork(data []byte) (*NetavarkNetwork, error) {
	n := new(NetavarkNetwork)
	return n, At("standard input", oneJSON(data, n))
}

// ParseNetavarkCall reads a request of setup or teardown.
func ParseNetavarkCall(data []byte) (*NetavarkCall, error) {
	c := new(NetavarkCall)
	return c, At("standard input", oneJSON(data, c))
}

// Options of a network of podman. Any other one is a key of a network's file (see
// [Network.SetOption]).
const (
	optionNetwork   = "network"          // a network of berth's by its name
	optionNoDefault = "no_default_route" // podman's for default_route
	optionIPAM      = "ipam"             // takes the place of podman's --ipam-driver
)

// notInPlace are options that only a network's file may have: those of the whole parent, and
// an administrator's permissions.
var notInPlace = []string{"bc_queue_len", "namespaces", "enforce", "allow"}

// Selection returns the interface that every container on the network requests.
func (w *NetavarkNetwork) Selection() (Selection, error) {
	if name, named := w.Options[optionNetwork]; named {
		return Selection{Network: name}, w.checkNamed(name)
	}
	n, err := w.inPlace()
	if err != nil {
		return Selection{}, err
	}
	s := Selection{InPlace: n}
	return s, finishSelection(&s, func(key string) string { return key })
}

// checkNamed refuses settings beside the name of a network of berth's, which has its own.
func (w *NetavarkNetwork) checkNamed(name string) error {
	const alone = "nothing beside -o network, because the network of berth's has its own addresses and routes"
	for key := range w.Options {
		if key != optionNetwork {
			return Invalid("-o "+key, w.Options[key], alone)
		}
	}
	switch {
	case len(w.Subnets) > 0: // of a new network; see LeaveOutRepeated
		return Invalid("--subnet", w.Subnets[0].Subnet.String(), alone)
	case len(w.Routes) > 0:
		return Invalid("--route", w.Routes[0].To.String(), alone)
	case w.Interface != "":
		return Invalid("--interface-name", w.Interface, alone)
	case w.Internal:
		return Invalid("--internal", "true", alone)
	}
	return At("-o network", CheckNetworkName(name))
}

// inPlace returns the network that podman's settings define.
func (w *NetavarkNetwork) inPlace() (*Network, error) {
	n := &Network{Parent: w.Interface}
	for _, key := range slices.Sorted(maps.Keys(w.Options)) {
		if err := w.setOption(n, key); err != nil {
			return nil, err
		}
	}
	if n.Parent == "" {
		return nil, Invalid("-o network", "", "the name of a network of berth's (berth network ls), or -o "+
			"parent=INTERFACE to define one in place")
	}
	if slices.Contains(Modes(IPvlan), n.Mode) {
		n.Driver = IPvlan
	}
	if w.Internal {
		n.DefaultRoute = new(bool)
	}
	if err := w.addSubnets(n); err != nil {
		return nil, err
	}
	for _, r := range w.Routes {
		one := Route{To: r.To.Masked(), Via: r.Via}
		if r.Metric != nil {
			one.Metric = *r.Metric
		}
		n.Routes = append(n.Routes, one)
	}
	return n, nil
}

func (w *NetavarkNetwork) setOption(n *Network, key string) error {
	value := w.Options[key]
	switch {
	case key == optionNoDefault:
		off, err := strconv.ParseBool(value)
		if err != nil {
			return Invalid("-o "+key, value, "true or false")
		}
		n.DefaultRoute = new(!off)
		return nil
	case slices.Contains(notInPlace, key):
		return Invalid("-o "+key, value, "a network of berth's, whose file has this key: berth network create, then -o "+
			"network=NAME")
	}
	if _, ok := options()[key]; !ok {
		return Invalid("-o", key, "%s, the name of a network of berth's, or to define one in place, one of %s",
			optionNetwork, strings.Join(inPlaceOptions(), ", "))
	}
	return n.SetOption(key, value)
}

// inPlaceOptions returns the names of the options that define a network in place.
func inPlaceOptions() []string {
	names := slices.Collect(maps.Keys(options()))
	names = slices.DeleteFunc(names, func(name string) bool { return slices.Contains(notInPlace, name) })
	return slices.Sorted(slices.Values(append(names, optionNoDefault)))
}

func (w *NetavarkNetwork) addSubnets(n *Network) error {
	for _, s := range w.Subnets {
		one := Subnet{Subnet: s.Subnet.Masked(), Gateway: s.Gateway}
		if w.Internal && one.Gateway.IsValid() { // no default route, but a machine has the address
			one.Exclude = append(one.Exclude, ExcludeAddr(one.Gateway))
			one.Gateway = netip.Addr{}
		}
		if r := s.Range; r != nil {
			if err := one.setRange(r.Start, r.End); err != nil {
				return At("--ip-range", err)
			}
		}
		n.Subnets = append(n.Subnets, one)
	}
	return nil
}

// setRange sets the range from the first and the last address of podman's. podman leaves out
// the first address of a prefix; berth excludes it then, so that both give out the same.
func (s *Subnet) setRange(first, last netip.Addr) error {
	for bits := s.Subnet.Bits(); bits >= 0 && bits <= first.BitLen() && first.BitLen() == last.BitLen(); bits++ {
		p := netip.PrefixFrom(first, bits).Masked()
		if first != p.Addr() && first != p.Addr().Next() || last != LastAddr(p) && last != LastAddr(p).Prev() {
			continue
		}
		s.IPRange = p
		for _, edge := range []netip.Addr{p.Addr(), LastAddr(p)} {
			if edge != first && edge != last && !s.Reserved(edge) {
				s.Exclude = append(s.Exclude, ExcludeAddr(edge))
			}
		}
		return nil
	}
	return Invalid("", first.String()+"-"+last.String(), "a prefix inside the subnet %s, as 192.0.2.64/26", s.Subnet)
}

// Selection returns the interface that the container requests.
func (c *NetavarkCall) Selection() (Selection, error) {
	for key, value := range c.Options.Options {
		return Selection{}, Invalid("option "+key, value, "no option of a container; berth knows ip, mac and interface_name")
	}
	s, err := c.Network.Selection()
	if err != nil {
		return s, err
	}
	s.Interface = c.Options.Interface
	if err := CheckInterfaceName(s.Interface); err != nil {
		return s, At("interface_name", err)
	}
	if c.Options.MAC != "" {
		if s.MAC, err = ParseMAC(c.Options.MAC); err != nil {
			return s, At("mac", err)
		}
	}
	for _, a := range c.Options.IPs {
		s.IPs = append(s.IPs, IP{Addr: a.Unmap(), Bits: -1})
	}
	return s, finishSelection(&s, strings.Clone)
}

// AdoptIPAM replaces podman's --ipam-driver by an option. podman keeps options, but not the
// driver, because [RewriteNetavarkNetwork] sets another one.
func (w *NetavarkNetwork) AdoptIPAM() error {
	driver := w.IPAM["driver"]
	if driver == "" {
		return nil
	}
	if _, twice := w.Options[optionIPAM]; twice {
		return Invalid("--ipam-driver", driver, "no value beside -o %s", optionIPAM)
	}
	ipam := map[string]IPAM{"host-local": IPAMLocal, "dhcp": IPAMDHCP, "none": IPAMNone}[driver]
	if ipam == "" {
		return Invalid("--ipam-driver", driver, "host-local, dhcp or none")
	}
	if w.Options == nil {
		w.Options = make(map[string]string)
	}
	w.Options[optionIPAM] = string(ipam)
	return nil
}

// NamesNetwork returns the name of the network of berth's that podman's network is on, or "" if
// it is defined in place.
func (w *NetavarkNetwork) NamesNetwork() string { return w.Options[optionNetwork] }

// LeaveOutRepeated removes subnets that repeat those of the network of berth's, which podman need
// not know. It refuses one that differs.
func (w *NetavarkNetwork) LeaveOutRepeated(n *Network) error {
	repeated := new(Network)
	if err := w.addSubnets(repeated); err != nil {
		return err
	}
	for _, s := range repeated.Subnets {
		if err := n.CheckRepeated(s); err != nil {
			return err
		}
	}
	w.Subnets = nil
	return nil
}

// RewriteNetavarkNetwork returns podman's text of a new network with the changes by which
// podman leaves addresses and names to berth. It keeps all other keys as they are.
func RewriteNetavarkNetwork(data []byte, w *NetavarkNetwork) ([]byte, error) {
	var object map[string]json.RawMessage
	if err := oneJSON(data, &object); err != nil {
		return nil, At("standard input", err)
	}
	for key, value := range map[string]any{
		"options":      w.Options,
		"ipam_options": map[string]string{"driver": "none"}, // else podman would allocate addresses itself
		"dns_enabled":  false,                               // podman's resolver listens on bridges only
	} {
		text, err := json.Marshal(value)
		if err != nil {
			return nil, err
		}
		object[key] = text
	}
	if _, given := object["subnets"]; given && len(w.Subnets) == 0 {
		object["subnets"] = json.RawMessage("null")
	}
	return json.Marshal(object)
}
