package cli

import (
	"errors"
	"fmt"
	"testing"

	"berth/network"
)

func TestParentProblem(t *testing.T) {
	host := map[string]error{"eth1": nil, "lo": network.ErrNotEthernet, "eth1.7": network.ErrVLAN}
	lookUp := func(name string) error {
		err, ok := host[name]
		if !ok {
			err = network.ErrNoLink
		}
		if err != nil {
			err = fmt.Errorf("parent %q: %w", name, err)
		}
		return err
	}
	for name, want := range map[string]string{
		"eth1":     "",
		"eth1.100": "",
		"lo":       `warning: no container can start on it yet: parent "lo": not an Ethernet interface`,
		"eth9":     `warning: no container can start on it yet: parent "eth9": no such interface`,
		"eth9.100": `warning: no container can start on it yet: parent "eth9": no such interface`,
		"eth1.7":   `warning: no container can start on it yet: parent "eth1.7": is another VLAN than its name says`,
	} {
		same(t, name, want, parentProblem(name, lookUp))
	}
}

// The kernel's own answers, about what every machine has and none has.
func TestLookUpParent(t *testing.T) {
	if err := lookUpParent("lo"); !errors.Is(err, network.ErrNotEthernet) {
		t.Errorf("lo: %v, want ErrNotEthernet", err)
	}
	if err := lookUpParent("berth-is-not"); !errors.Is(err, network.ErrNoLink) {
		t.Errorf("berth-is-not: %v, want ErrNoLink", err)
	}
}

func TestCreateWarnsOfParent(t *testing.T) {
	w := newWorld(t)
	w.env.parent = func(name string) error { return fmt.Errorf("parent %q: %w", name, network.ErrNoLink) }
	w.withNetworks("lan --ipam-driver none -o parent=eth9")
	same(t, "warning", "berth: network lan: warning: no container can start on it yet: parent \"eth9\": no such interface\n", w.err.String())
	same(t, "made", "lan\n", w.ok("network", "ls", "-q"))
}
