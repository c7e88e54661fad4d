package foreign

import (
	"encoding/json"
	"strconv"

	"berth/specs"
)

// podmanNetwork is podman's file of a network (libnetwork/types.Network in containers/common).
type podmanNetwork struct {
	Name     string            `json:"name"`
	Driver   string            `json:"driver"`
	Parent   string            `json:"network_interface"`
	Internal bool              `json:"internal"`
	Options  map[string]string `json:"options"`
	IPAM     map[string]string `json:"ipam_options"`
	Routes   []struct {
		To     string `json:"destination"`
		Via    string `json:"gateway"`
		Metric int    `json:"metric"`
	} `json:"routes"`
	SubnetsOf []struct {
		Subnet, Gateway string
		Range           struct {
			Start string `json:"start_ip"`
			End   string `json:"end_ip"`
		} `json:"lease_range"`
	} `json:"subnets"`
}

// parsePodmanNetwork returns nil if the driver is another.
func parsePodmanNetwork(data []byte) (*Network, error) {
	var file podmanNetwork
	if err := json.Unmarshal(data, &file); err != nil {
		return nil, err
	}
	n := &Network{Name: specs.EngineNetwork{Engine: specs.EnginePodman, Name: file.Name}, Parent: file.Parent,
		IPAM: specs.IPAMNone}
	if !n.setDriver(file.Driver, file.Options["mode"]) || file.Name == "" {
		return nil, nil
	}
	n.MTU, _ = strconv.Atoi(file.Options["mtu"]) // 0 if it is none
	n.setPodmanIPAM(file.IPAM["driver"], len(file.SubnetsOf) > 0)
	for _, s := range file.SubnetsOf {
		if err := n.addSubnet(s.Subnet, s.Gateway, s.Range.Start, s.Range.End); err != nil {
			return nil, err
		}
	}
	for _, r := range file.Routes {
		if err := n.addRoute(r.To, r.Via, r.Metric); err != nil {
			return nil, err
		}
	}
	// Apart from its routes, podman has one through each gateway.
	n.NoRoute = file.Internal || file.Options["no_default_route"] == "true" || file.Options["no_default_route"] == "1"
	n.Metric, _ = strconv.Atoi(file.Options["metric"]) // 0 if it is none
	return n, nil
}

// setPodmanIPAM sets the source of addresses by podman's name of it.
func (n *Network) setPodmanIPAM(driver string, hasSubnets bool) {
	switch driver {
	case "dhcp":
		n.IPAM = specs.IPAMDHCP
	case "", "host-local":
		if hasSubnets {
			n.IPAM = specs.IPAMLocal
		}
	}
}
