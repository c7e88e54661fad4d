package specs

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// parseJSON parses the JSON form: a list of objects with the keys of the
// Kubernetes multi-network specification, or with a network file's keys in
// kebab-case to define one in place.
func parseJSON(value string) ([]Selection, error) {
	var objects []json.RawMessage
	if err := oneJSON([]byte(value), &objects); err != nil {
		return nil, err
	}
	var all []Selection
	for i, object := range objects {
		at := fmt.Sprintf("[%d]", i)
		s := Selection{Key: KeyNetworks + at}
		if err := parseObject(object, &s); err != nil {
			return nil, At(at, err)
		}
		all = append(all, s)
	}
	return all, nil
}

// jsonKey sets the field of one key of an object.
type jsonKey func(*Selection, json.RawMessage) error

// asked returns the keys with which a container requests a network.
func asked() map[string]jsonKey {
	return map[string]jsonKey{
		"name":          func(s *Selection, v json.RawMessage) error { return valueJSON(v, &s.Network) },
		"interface":     setInterface,
		"ips":           func(s *Selection, v json.RawMessage) error { return listText(v, &s.IPs) },
		"mac":           func(s *Selection, v json.RawMessage) error { return textJSON(v, &s.MAC) },
		"default-route": setDefaultRoute,
	}
}

// inPlace returns the keys that define a network in place: a network file's in
// kebab-case. default_route is not among them, because default-route has the
// meaning of the multi-network specification. bc_queue_len is not either, because
// it applies to the whole parent.
func inPlace() map[string]jsonKey {
	return map[string]jsonKey{
		"driver":           func(s *Selection, v json.RawMessage) error { return textJSON(v, &s.InPlace.Driver) },
		"parent":           func(s *Selection, v json.RawMessage) error { return valueJSON(v, &s.InPlace.Parent) },
		"mode":             func(s *Selection, v json.RawMessage) error { return textJSON(v, &s.InPlace.Mode) },
		"mtu":              func(s *Selection, v json.RawMessage) error { return valueJSON(v, &s.InPlace.MTU) },
		"ipvlan-flag":      func(s *Selection, v json.RawMessage) error { return textJSON(v, &s.InPlace.IPvlanFlag) },
		"nopromisc":        func(s *Selection, v json.RawMessage) error { return valueJSON(v, &s.InPlace.NoPromisc) },
		"source-macs":      func(s *Selection, v json.RawMessage) error { return listText(v, &s.InPlace.SourceMACs) },
		"metric":           func(s *Selection, v json.RawMessage) error { return valueJSON(v, &s.InPlace.Metric) },
		"ipam":             func(s *Selection, v json.RawMessage) error { return textJSON(v, &s.InPlace.IPAM) },
		"conflict-timeout": setConflictTimeout,
		"ipv6":             func(s *Selection, v json.RawMessage) error { return textJSON(v, &s.InPlace.IPv6) },
		"dhcp-timeout":     setDHCPTimeout,
		"dhcp-client-id":   func(s *Selection, v json.RawMessage) error { return textJSON(v, &s.InPlace.DHCPClientID) },
		"dhcp-hostname":    func(s *Selection, v json.RawMessage) error { return textJSON(v, &s.InPlace.DHCPHostname) },
		"dhcp-release":     setDHCPRelease,
		"sticky":           func(s *Selection, v json.RawMessage) error { return valueJSON(v, &s.InPlace.Sticky) },
		"reuse":            func(s *Selection, v json.RawMessage) error { return textJSON(v, &s.InPlace.Reuse) },
		"subnet":           setSubnets,
		"route":            setInPlaceRoutes,
	}
}

func parseObject(object json.RawMessage, s *Selection) error {
	fields, err := fieldsOf(object)
	if err != nil {
		return err
	}
	s.InPlace = new(Network)
	named, first := false, "" // whether the object has a name; the first key that defines a network
	for _, f := range fields {
		set, ok := asked()[f.key]
		if policy := macPolicy(f); policy != "" {
			set = func(s *Selection, _ json.RawMessage) error { s.InPlace.MAC = policy; return nil }
			first = cmp.Or(first, f.key)
		} else if !ok {
			if set, ok = inPlace()[f.key]; !ok {
				return unknownKey(f.key, keysOf(asked(), inPlace()))
			}
			first = cmp.Or(first, f.key)
		}
		named = named || f.key == "name"
		if err := set(s, f.value); err != nil {
			return At(f.key, err)
		}
	}
	return chooseNetwork(s, named, first)
}

// chooseNetwork decides between a network by name and one defined in place.
func chooseNetwork(s *Selection, named bool, first string) error {
	switch {
	case named && first != "":
		return Invalid("name", s.Network, "a name, or a network defined in place, not both (%s is here too)", first)
	case named:
		s.InPlace = nil
		if err := CheckNetworkName(s.Network); err != nil {
			return At("name", err)
		}
	case first == "":
		return Invalid("name", "", "the name of a network, or a parent to define one in place")
	case s.InPlace.Driver == "" && slices.Contains(Modes(IPvlan), s.InPlace.Mode):
		s.InPlace.Driver = IPvlan
	}
	return finishSelection(s, func(key string) string { return strings.ReplaceAll(key, "_", "-") })
}

// macPolicy distinguishes a network's policy for MACs from a requested MAC.
func macPolicy(f field) MACPolicy {
	for _, p := range []MACPolicy{MACRandom, MACDerived} {
		if f.key == "mac" && string(f.value) == `"`+string(p)+`"` {
			return p
		}
	}
	return ""
}

func setInterface(s *Selection, v json.RawMessage) error {
	if err := valueJSON(v, &s.Interface); err != nil {
		return err
	}
	return CheckInterfaceName(s.Interface)
}

func setDefaultRoute(s *Selection, v json.RawMessage) error {
	if err := listText(v, &s.DefaultRoute); err != nil {
		return err
	}
	for _, gw := range s.DefaultRoute {
		if !IsUnicast(gw) {
			return Invalid("", gw.String(), "addresses of routers")
		}
	}
	return nil
}

func setConflictTimeout(s *Selection, v json.RawMessage) error {
	s.InPlace.ConflictTimeout = new(Duration)
	return textJSON(v, s.InPlace.ConflictTimeout)
}

func setDHCPTimeout(s *Selection, v json.RawMessage) error {
	s.InPlace.DHCPTimeout = new(Duration)
	return textJSON(v, s.InPlace.DHCPTimeout)
}

func setDHCPRelease(s *Selection, v json.RawMessage) error {
	s.InPlace.DHCPRelease = new(bool)
	return valueJSON(v, s.InPlace.DHCPRelease)
}

func setSubnets(s *Selection, v json.RawMessage) error {
	return tablesJSON(v, func(at string, fields []field) error {
		var one Subnet
		err := setFields(fields, map[string]func(json.RawMessage) error{
			"subnet":   func(v json.RawMessage) error { return textJSON(v, &one.Subnet) },
			"gateway":  func(v json.RawMessage) error { return textJSON(v, &one.Gateway) },
			"ip-range": func(v json.RawMessage) error { return textJSON(v, &one.IPRange) },
			"exclude":  func(v json.RawMessage) error { return listText(v, &one.Exclude) },
		})
		s.InPlace.Subnets = append(s.InPlace.Subnets, one)
		return At(at, err)
	})
}

func setInPlaceRoutes(s *Selection, v json.RawMessage) error {
	return tablesJSON(v, func(at string, fields []field) error {
		var one Route
		err := setFields(fields, map[string]func(json.RawMessage) error{
			"to":     func(v json.RawMessage) error { return textJSON(v, &one.To) },
			"via":    func(v json.RawMessage) error { return textJSON(v, &one.Via) },
			"metric": func(v json.RawMessage) error { return valueJSON(v, &one.Metric) },
		})
		s.InPlace.Routes = append(s.InPlace.Routes, one)
		return At(at, err)
	})
}
