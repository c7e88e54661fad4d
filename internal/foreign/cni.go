package foreign

import (
	"encoding/json"
	"errors"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"

	"berth/specs"
)

// readCNI reads the results of plugins that libcni keeps for each interface, as CRI-O,
// containerd, nerdctl, Multus and podman 4 use it, and the addresses of the plugin host-local.
func (r *Reader) readCNI() ([]Holding, error) {
	if r.places.CNI == "" {
		return nil, nil
	}
	results, err := r.readFiles(filepath.Join(r.places.CNI, "results/*"), parseResultFile)
	given, errGiven := r.readFiles(filepath.Join(r.places.CNI, "networks/*/*[.:]*"), parseHostLocal)
	return append(results, given...), errors.Join(err, errGiven)
}

func parseResultFile(path string) ([]Holding, error) {
	data, err := readBounded(path)
	if err != nil {
		return nil, err
	}
	return parseResult(data)
}

// cachedResult is a file of libcni's cache (libcni/api.go).
type cachedResult struct {
	Kind        string `json:"kind"`
	ContainerID string `json:"containerId"`
	NetworkName string `json:"networkName"`
	Interface   string `json:"ifName"`
	Config      []byte `json:"config"`
	Result      struct {
		Interfaces []struct{ Name, MAC, Sandbox string }
		IPs        []struct{ Address string }
	} `json:"result"`
}

// parseResult returns the holding in a file of the cache. A file of another kind has none.
func parseResult(data []byte) ([]Holding, error) {
	var c cachedResult
	if err := json.Unmarshal(data, &c); err != nil {
		return nil, err
	}
	if c.Kind != "cniCacheV1" || c.NetworkName == "" || isMultus(c.Config) {
		return nil, nil
	}
	h := Holding{Network: specs.EngineNetwork{Engine: specs.EngineCNI, Name: c.NetworkName}, Container: c.ContainerID,
		Interface: c.Interface}
	for _, i := range c.Result.Interfaces {
		if mac, err := specs.ParseMAC(i.MAC); err == nil && i.Name == c.Interface && i.Sandbox != "" {
			h.MAC = mac
		}
	}
	for _, ip := range c.Result.IPs {
		h.addAddresses(ip.Address)
	}
	return []Holding{h}, nil
}

// isMultus reports whether a configuration is that of Multus, whose networks have files of
// their own.
func isMultus(config []byte) bool {
	var c struct {
		Type    string
		Plugins []struct{ Type string }
	}
	if json.Unmarshal(config, &c) != nil {
		return false
	}
	types := []string{c.Type}
	for _, p := range c.Plugins {
		types = append(types, p.Type)
	}
	return slices.ContainsFunc(types, func(t string) bool { return strings.HasPrefix(t, "multus") })
}

// parseHostLocal returns the holding in a file of host-local, whose name is the address and
// whose directory is the network (plugins/ipam/host-local/backend/disk in containernetworking).
// Its lines are the container's ID and, since version 0.8.7, the interface.
func parseHostLocal(path string) ([]Holding, error) {
	a, err := netip.ParseAddr(filepath.Base(path))
	if err != nil {
		return nil, nil // a file of its bookkeeping
	}
	data, err := readBounded(path)
	if err != nil {
		return nil, err
	}
	id, ifname, _ := strings.Cut(strings.TrimSpace(string(data)), "\n")
	return []Holding{{
		Network:   specs.EngineNetwork{Engine: specs.EngineCNI, Name: filepath.Base(filepath.Dir(path))},
		Container: strings.TrimSpace(id), Interface: strings.TrimSpace(ifname), Addresses: []netip.Addr{a.Unmap()},
	}}, nil
}
