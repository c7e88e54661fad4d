package specs

import (
	"encoding/json"
	"slices"
	"strings"
)

// CNI is a plugin's configuration as a CNI runtime writes it to berth-cni's standard input
// (specification 1.1.0, "Plugin configuration objects"). In a cluster its text is that of a
// NetworkAttachmentDefinition, which every user of a namespace may write: it names a
// network of berth's and requests what the policy allows.
type CNI struct {
	Version    string          // of the protocol; "0.1.0" if not set
	Name       string          // CNI's name of the network
	Network    string          // berth's network
	IPs        []IP            // requested by the runtime or the configuration
	MAC        MAC             // the same
	PrevResult json.RawMessage // result of the plugins before this one, or of ADD; nil if there is none
	Valid      []CNIAttachment // for GC
}

// CNIAttachment is one interface of one container, as CNI identifies it.
type CNIAttachment struct{ ContainerID, Interface string }

// MaxCNI is the largest configuration, in bytes, that berth-cni reads.
const MaxCNI = 1 << 20

// ParseCNI reads a configuration. An unknown key is an error, except below "cni.dev/",
// which the protocol reserves.
func ParseCNI(data []byte) (*CNI, error) {
	c := &CNI{Version: "0.1.0"}
	fields, err := cniFields(data)
	if err != nil {
		return nil, err
	}
	keys := c.protocolKeys()
	keys["network"] = func(v json.RawMessage) error { return c.setNetwork(v) }
	keys["capabilities"] = checkCapabilities
	keys["runtimeConfig"] = func(v json.RawMessage) error { return c.setRequest(v) }
	keys["args"] = func(v json.RawMessage) error { return c.setArgs(v) }
	for _, key := range []string{"ipam", "dns", "ipMasq"} {
		keys[key] = checkUnset
	}
	if err := setFields(fields, keys); err != nil {
		return nil, explainCNIKey(fields, err)
	}
	if c.Network == "" {
		return nil, Invalid("network", "", "the name of a network of berth's; list them: berth network ls")
	}
	if err := c.checkRequest(); err != nil {
		return nil, err
	}
	return c, nil
}

// ParseCNIEnd reads the parts of a configuration by which CNI identifies an attachment that
// ends: it ignores all others, because DEL must also succeed for a container that could not
// be attached.
func ParseCNIEnd(data []byte) (*CNI, error) {
	c := &CNI{Version: "0.1.0"}
	fields, err := cniFields(data)
	if err != nil {
		return nil, err
	}
	keys := c.protocolKeys()
	for _, f := range fields {
		if set := keys[f.key]; set != nil {
			if err := set(f.value); err != nil {
				return nil, At(f.key, err)
			}
		}
		if f.key == "network" {
			_ = valueJSON(f.value, &c.Network) // "" if it is no text
		}
	}
	return c, nil
}

// cniFields reads the object and drops the keys that the protocol reserves for later.
func cniFields(data []byte) ([]field, error) {
	var object json.RawMessage
	if err := oneJSON(data, &object); err != nil {
		return nil, At("standard input", err)
	}
	fields, err := fieldsOf(object)
	if err != nil {
		return nil, At("standard input", err)
	}
	return slices.DeleteFunc(fields, func(f field) bool {
		return strings.HasPrefix(f.key, "cni.dev/") && f.key != keyValid
	}), nil
}

const keyValid = "cni.dev/valid-attachments"

// protocolKeys are the keys that the runtime itself writes.
func (c *CNI) protocolKeys() map[string]func(json.RawMessage) error {
	return map[string]func(json.RawMessage) error{
		"cniVersion": func(v json.RawMessage) error { return valueJSON(v, &c.Version) },
		"name":       func(v json.RawMessage) error { return valueJSON(v, &c.Name) },
		"type":       func(v json.RawMessage) error { return valueJSON(v, new(string)) },
		"prevResult": func(v json.RawMessage) error {
			if string(v) != "null" {
				c.PrevResult = v
			}
			return nil
		},
		keyValid: func(v json.RawMessage) error { return c.setValid(v) },
	}
}

func (c *CNI) setNetwork(v json.RawMessage) error {
	if err := valueJSON(v, &c.Network); err != nil {
		return err
	}
	return CheckNetworkName(c.Network)
}

// setValid does not use tablesJSON, because a runtime may have more attachments than a user
// may write of anything.
func (c *CNI) setValid(v json.RawMessage) error {
	var list []struct {
		ContainerID string `json:"containerID"`
		Interface   string `json:"ifname"`
	}
	if json.Unmarshal(v, &list) != nil { // null is the empty list of a runtime written in Go
		return Invalid("", string(v), "a list of objects with containerID and ifname")
	}
	c.Valid = make([]CNIAttachment, 0, len(list))
	for _, one := range list {
		c.Valid = append(c.Valid, CNIAttachment(one))
	}
	return nil
}

// checkCapabilities refuses a capability that berth-cni lacks, as portMappings: the runtime
// would rely on it.
func checkCapabilities(v json.RawMessage) error {
	fields, err := fieldsOf(v)
	if err != nil {
		return err
	}
	has := func(v json.RawMessage) error { return valueJSON(v, new(bool)) }
	return setFields(slices.DeleteFunc(fields, func(f field) bool { return string(f.value) == "false" }),
		map[string]func(json.RawMessage) error{"ips": has, "mac": has})
}

// setRequest reads runtimeConfig, and args.cni of the conventions.
func (c *CNI) setRequest(v json.RawMessage) error {
	fields, err := fieldsOf(v)
	if err != nil {
		return err
	}
	return setFields(fields, map[string]func(json.RawMessage) error{
		"ips": func(v json.RawMessage) error { return c.addIPs(v) },
		"mac": func(v json.RawMessage) error {
			var m MAC
			if err := textJSON(v, &m); err != nil {
				return err
			}
			return c.AddMAC(m)
		},
	})
}

func (c *CNI) setArgs(v json.RawMessage) error {
	fields, err := fieldsOf(v)
	if err != nil {
		return err
	}
	return setFields(fields,
		map[string]func(json.RawMessage) error{"cni": func(v json.RawMessage) error { return c.setRequest(v) }})
}

func (c *CNI) addIPs(v json.RawMessage) error {
	var all []IP
	if err := listText(v, &all); err != nil {
		return err
	}
	for _, ip := range all {
		c.AddIP(ip)
	}
	return nil
}

// AddIP adds a requested address. Runtimes pass one address in several places: it is
// requested once, with the prefix length that any of them gives.
func (c *CNI) AddIP(ip IP) {
	i := slices.IndexFunc(c.IPs, func(had IP) bool { return had.Addr == ip.Addr })
	switch {
	case i < 0:
		c.IPs = append(c.IPs, ip)
	case c.IPs[i].Bits < 0:
		c.IPs[i] = ip
	}
}

// AddMAC sets the requested MAC, which must be the same in every place.
func (c *CNI) AddMAC(m MAC) error {
	if !c.MAC.IsZero() && c.MAC != m {
		return Invalid("", m.String(), "one MAC; %s is requested too", c.MAC)
	}
	c.MAC = m
	return nil
}

// checkUnset refuses a setting that berth's network has instead, unless it is empty:
// libraries write the empty one.
func checkUnset(v json.RawMessage) error {
	if slices.Contains([]string{"{}", "null", "false", `""`}, string(v)) {
		return nil
	}
	return Invalid("", string(v), "no value, because the network of berth's has its own addresses and routes")
}

func (c *CNI) checkRequest() error {
	return finishSelection(&Selection{Network: c.Network, IPs: c.IPs}, func(key string) string { return key })
}

// explainCNIKey adds the remedy if a configuration defines a network in place, as those of
// other plugins do.
func explainCNIKey(fields []field, err error) error {
	for _, f := range fields {
		_, defines := inPlace()[f.key]
		if f.key != "ipam" && (defines || f.key == "master") {
			return Invalid(": key", f.key, "no definition in place, only \"network\" with the name of a network that an "+
				"administrator "+
				"has created (berth network create)")
		}
	}
	return err
}
