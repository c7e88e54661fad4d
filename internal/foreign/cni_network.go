package foreign

import (
	"encoding/json"

	"berth/specs"
)

// cniPlugin is the configuration of the plugin macvlan or ipvlan.
type cniPlugin struct {
	Type   string   `json:"type"`
	Master string   `json:"master"`
	Mode   string   `json:"mode"`
	MTU    int      `json:"mtu"`
	Inside bool     `json:"linkInContainer"` // the parent is in the container's namespace
	IPAM   *cniIPAM `json:"ipam"`
}

// cniIPAM is the configuration of host-local, and the part of those of static, dhcp and
// whereabouts that they share with it.
type cniIPAM struct {
	Type string `json:"type"`
	cniRange
	Ranges [][]cniRange `json:"ranges"`
	Routes []struct {
		To     string `json:"dst"`
		Via    string `json:"gw"`
		Metric int    `json:"priority"`
	} `json:"routes"`
}

type cniRange struct {
	Subnet  string `json:"subnet"`
	Start   string `json:"rangeStart"`
	End     string `json:"rangeEnd"`
	Gateway string `json:"gateway"`
}

// parseCNINetwork parses a configuration or a list of configurations. It returns nil if its
// first plugin is another than macvlan or ipvlan, or its parent is an interface of a container.
func parseCNINetwork(data []byte) (*Network, error) {
	var file struct {
		Name string `json:"name"`
		cniPlugin
		Plugins   []cniPlugin     `json:"plugins"`
		NerdctlID json.RawMessage `json:"nerdctlID"`
	}
	if err := json.Unmarshal(data, &file); err != nil {
		return nil, err
	}
	plugin := file.cniPlugin
	var further []string
	for i := range file.Plugins {
		if i == 0 {
			plugin = file.Plugins[i]
		} else {
			further = append(further, file.Plugins[i].Type)
		}
	}
	n := &Network{Name: specs.EngineNetwork{Engine: specs.EngineCNI, Name: file.Name},
		Parent: plugin.Master, MTU: plugin.MTU, Nerdctl: len(file.NerdctlID) > 0, Further: further}
	if !n.setDriver(plugin.Type, plugin.Mode) || file.Name == "" || plugin.Inside {
		return nil, nil
	}
	return n, n.setCNI(plugin.IPAM)
}

// setCNI sets the source of addresses and, of host-local, the subnets.
func (n *Network) setCNI(ipam *cniIPAM) error {
	n.IPAM = specs.IPAMNone
	if ipam == nil {
		return nil
	}
	n.NoRoute = true
	switch ipam.Type {
	case "host-local":
		n.IPAM = specs.IPAMLocal
	case "dhcp":
		n.IPAM = specs.IPAMDHCP
	case "":
	default:
		n.IPAM = specs.IPAMStatic
	}
	all := []cniRange{ipam.cniRange}
	for _, set := range ipam.Ranges {
		all = append(all, set...)
	}
	for _, r := range all {
		if r.Subnet == "" {
			continue
		}
		if err := n.addSubnet(r.Subnet, r.Gateway, r.Start, r.End); err != nil {
			return err
		}
		if s := &n.Subnets[len(n.Subnets)-1]; !s.Gateway.IsValid() {
			s.Gateway = s.Subnet.Addr().Next() // as host-local does
		}
	}
	for _, r := range ipam.Routes {
		if err := n.addRoute(r.To, r.Via, r.Metric); err != nil {
			return err
		}
	}
	return nil
}
