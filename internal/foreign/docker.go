package foreign

import (
	"encoding/json"
	"errors"
	"net/netip"
	"path/filepath"
	"slices"

	"berth/specs"
)

// readDocker reads dockerd's files of its containers. With userns-remap they are below
// UID.GID.
func (r *Reader) readDocker() ([]Holding, error) {
	if r.places.Docker == "" {
		return nil, nil
	}
	plain, err := r.readFiles(filepath.Join(r.places.Docker, "containers/*/config.v2.json"), parseDockerFile)
	mapped, errMapped := r.readFiles(filepath.Join(r.places.Docker, "[0-9]*.[0-9]*/containers/*/config.v2.json"),
		parseDockerFile)
	return append(plain, mapped...), errors.Join(err, errMapped)
}

func parseDockerFile(path string) ([]Holding, error) {
	data, err := readBounded(path)
	if err != nil {
		return nil, err
	}
	return parseDocker(data)
}

// dockerEndpoint is a container's endpoint on a network (api/types/network.EndpointSettings of
// moby).
type dockerEndpoint struct {
	NetworkID, IPAddress, GlobalIPv6Address, MacAddress string

	IPAMConfig *struct{ IPv4Address, IPv6Address string }
}

// parseDocker returns the holdings in the file of a container (daemon/container.Container of
// moby). A stopped container keeps the addresses that were requested for it.
func parseDocker(data []byte) ([]Holding, error) {
	var c struct {
		ID              string
		NetworkSettings struct{ Networks map[string]*dockerEndpoint }
	}
	if err := json.Unmarshal(data, &c); err != nil {
		return nil, err
	}
	var all []Holding
	for name, e := range c.NetworkSettings.Networks {
		if e == nil {
			continue
		}
		h := Holding{Network: specs.EngineNetwork{Engine: specs.EngineDocker, Name: name},
			NetworkID: e.NetworkID, Container: c.ID}
		h.addAddresses(e.IPAddress, e.GlobalIPv6Address)
		if e.IPAMConfig != nil {
			h.addAddresses(e.IPAMConfig.IPv4Address, e.IPAMConfig.IPv6Address)
		}
		if mac, err := specs.ParseMAC(e.MacAddress); err == nil {
			h.MAC = mac
		}
		if len(h.Addresses) > 0 || !h.MAC.IsZero() {
			all = append(all, h)
		}
	}
	return all, nil
}

// addAddresses adds the texts that are addresses, with or without a prefix length.
func (h *Holding) addAddresses(texts ...string) {
	for _, text := range texts {
		a, err := netip.ParseAddr(text)
		if p, errPrefix := netip.ParsePrefix(text); errPrefix == nil {
			a, err = p.Addr(), nil
		}
		if a = a.Unmap(); err == nil && !a.IsUnspecified() && !slices.Contains(h.Addresses, a) {
			h.Addresses = append(h.Addresses, a)
		}
	}
}
