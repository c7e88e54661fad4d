package cli

import (
	"errors"
	"fmt"
	"testing"

	"berth/network"
	"berth/specs"
)

func TestParentProblem(t *testing.T) {
	host := map[string]error{"eth1": nil, "lo": network.ErrNotEthernet, "eth1.7": network.ErrVLAN}
	lookUp := func(name string) (*network.Parent, error) {
		err, ok := host[name]
		if !ok {
			err = network.ErrNoLink
		}
		if err != nil {
			err = fmt.Errorf("parent %q: %w", name, err)
		}
		return &network.Parent{Name: name, MTU: 1500}, err
	}
	for name, want := range map[string]string{
		"eth1":     "",
		"eth1.100": "",
		"lo":       `warning: no container can start on it yet: parent "lo": not an Ethernet interface`,
		"eth9":     `warning: no container can start on it yet: parent "eth9": no such interface`,
		"eth9.100": `warning: no container can start on it yet: parent "eth9": no such interface`,
		"eth1.7":   `warning: no container can start on it yet: parent "eth1.7": the VLAN id is not that of the name`,
	} {
		mustEqual(t, name, want, parentProblem(name, 0, lookUp))
	}
	for mtu, want := range map[int]string{
		1500: "",
		9000: `warning: no container can start on it yet: the MTU is above the parent's: 9000 is requested, and parent "eth1" has 1500`,
	} {
		mustEqual(t, "eth1 with an MTU", want, parentProblem("eth1", mtu, lookUp))
		mustEqual(t, "a VLAN of eth1 with an MTU", want, parentProblem("eth1.100", mtu, lookUp))
	}
}

// TestLookUpParent checks the kernel's own answers on interfaces that every machine has or that none has.
func TestLookUpParent(t *testing.T) {
	if _, err := lookUpParent("lo"); !errors.Is(err, network.ErrNotEthernet) {
		t.Errorf("lo: %v, want ErrNotEthernet", err)
	}
	if _, err := lookUpParent("berth-is-not"); !errors.Is(err, network.ErrNoLink) {
		t.Errorf("berth-is-not: %v, want ErrNoLink", err)
	}
}

func TestCreateWarnsOfParent(t *testing.T) {
	w := newWorld(t)
	w.env.parent = func(name string) (*network.Parent, error) {
		return nil, fmt.Errorf("parent %q: %w", name, network.ErrNoLink)
	}
	w.withNetworks("lan --ipam-driver none -o parent=eth9")
	mustEqual(t, "warning", "berth: network lan: warning: no container can start on it yet: parent \"eth9\": no such interface\n", w.err.String())
	mustEqual(t, "made", "lan\n", w.mustRun("network", "ls", "-q"))
}

func TestIPv6Problem(t *testing.T) {
	none := fmt.Errorf("%w: IPv6 is switched off", network.ErrUnsupported)
	off := &specs.Network{IPv6: specs.IPv6Off}
	six := &specs.Network{IPv6: specs.IPv6Off, Subnets: []specs.Subnet{{Subnet: mustPrefix("2001:db8::/64")}}}
	const want = "warning: no container can start on it, because it has IPv6: not in this kernel: IPv6 is switched off"
	mustEqual(t, "IPv6 in the kernel", "", ipv6Problem(six, nil))
	mustEqual(t, "a subnet", want, ipv6Problem(six, none))
	mustEqual(t, "SLAAC", want, ipv6Problem(&specs.Network{IPv6: specs.IPv6SLAAC}, none))
	mustEqual(t, "no IPv6 wanted", "", ipv6Problem(off, none))
}
