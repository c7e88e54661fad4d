package foreign

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"berth/specs"
)

// dockerTimeout bounds the wait for dockerd.
const dockerTimeout = 2 * time.Second

// ReadDockerNetworks asks the dockerd that listens on a socket for its macvlan and ipvlan
// networks. dockerd locks the file in which it stores them as long as it runs.
func ReadDockerNetworks(ctx context.Context, socket string) ([]Network, error) {
	ctx, cancel := context.WithTimeout(ctx, dockerTimeout)
	defer cancel()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		}}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://docker/networks", nil)
	if err != nil {
		return nil, err
	}
	answer, err := client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("ask docker for its networks: %w", err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("ask docker for its networks: status %s", answer.Status)
	}
	data, err := io.ReadAll(io.LimitReader(answer.Body, maxFile))
	if err != nil {
		return nil, fmt.Errorf("ask docker for its networks: %w", err)
	}
	all, err := parseDockerNetworks(data)
	if err != nil {
		return nil, fmt.Errorf("ask docker for its networks: %w", err)
	}
	for i := range all {
		all[i].Version = dockerVersion(answer.Header.Get("Server"))
	}
	return all, nil
}

// dockerVersion returns the version in dockerd's description of itself, "Docker/28.5.2 (linux)", or
// "" if it has another form.
func dockerVersion(server string) string {
	version, isDocker := strings.CutPrefix(server, "Docker/")
	if !isDocker {
		return ""
	}
	version, _, _ = strings.Cut(version, " ")
	return version
}

// dockerNetwork is a network in the answer (api/types/network.Inspect of moby).
type dockerNetwork struct {
	Name, Driver string
	ConfigOnly   bool
	Internal     bool
	Options      map[string]string
	IPAM         struct {
		Driver string
		Config []struct {
			Subnet, IPRange, Gateway string
			AuxiliaryAddresses       map[string]string
		}
	}
}

func parseDockerNetworks(data []byte) (all []Network, err error) {
	var answer []dockerNetwork
	if err := json.Unmarshal(data, &answer); err != nil {
		return nil, err
	}
	for i := range answer {
		n, err := answer[i].network()
		if err != nil {
			return nil, fmt.Errorf("network %q: %w", answer[i].Name, err)
		}
		if n != nil {
			all = append(all, *n)
		}
	}
	return all, nil
}

// network returns nil for a network of another driver.
func (d *dockerNetwork) network() (*Network, error) {
	n := &Network{Name: specs.EngineNetwork{Engine: specs.EngineDocker, Name: d.Name}, Parent: d.Options["parent"],
		IPAM: specs.IPAMLocal}
	if !n.setDriver(d.Driver, d.Options[d.Driver+"_mode"]) || d.ConfigOnly {
		return nil, nil
	}
	n.NoRoute = d.Internal
	n.Flag = specs.IPvlanFlag(d.Options["ipvlan_flag"])
	n.MTU, _ = strconv.Atoi(d.Options["com.docker.network.driver.mtu"]) // 0 if it is none
	if d.IPAM.Driver == "null" || len(d.IPAM.Config) == 0 {
		n.IPAM = specs.IPAMNone
	} else if d.IPAM.Driver != "default" && d.IPAM.Driver != "" {
		n.IPAM = specs.IPAMStatic
	}
	for _, c := range d.IPAM.Config {
		if c.Subnet == "" {
			continue
		}
		if err := n.addSubnet(c.Subnet, c.Gateway, "", ""); err != nil {
			return nil, err
		}
		s := &n.Subnets[len(n.Subnets)-1]
		given, err := netip.ParsePrefix(c.IPRange)
		if err == nil {
			s.From, s.To = given.Masked().Addr(), specs.LastAddr(given)
		}
		d.setGateway(n, s, err == nil)
		for _, text := range c.AuxiliaryAddresses {
			if a, err := netip.ParseAddr(text); err == nil {
				s.Reserved = append(s.Reserved, a)
			}
		}
	}
	return n, nil
}

// setGateway sets the gateway of a subnet for which docker shows none. If the user gave neither a gateway
// nor a range, docker takes the first address. In modes l3 and l3s the default route of docker's containers
// is on the interface: a route by way of any address is the same there, because these modes have no
// neighbours.
func (d *dockerNetwork) setGateway(n *Network, s *Subnet, hasRange bool) {
	isRouted := n.Mode == specs.ModeL3 || n.Mode == specs.ModeL3S
	if n.IPAM == specs.IPAMLocal && !d.Internal && !s.Gateway.IsValid() && (isRouted || !hasRange) {
		s.Gateway = s.Subnet.Addr().Next()
	}
}
