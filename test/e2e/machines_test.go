//go:build engines

package e2e

import (
	"fmt"
	"testing"
	"time"

	"berth/specs"
	"berth/test/lab"
)

// observedAs waits until berth ps shows an observed interface with a MAC as the last state of it
// that is given.
func (s *site) observedAs(t *testing.T, mac, id, name string, mode specs.Mode, network *specs.EngineNetwork) {
	t.Helper()
	must(t, lab.Eventually(60*time.Second, func() error {
		all := s.ps(t)
		for _, e := range all {
			if e.MAC.String() != mac {
				continue
			}
			named := network == nil && e.EngineNetwork == nil || network != nil && e.EngineNetwork != nil && *e.EngineNetwork == *network
			if e.Origin == specs.OriginObserved && e.ContainerID == id && e.Name == name && e.Parent == "eth1" && e.Mode == mode &&
				named && e.Counted && e.Counters.Transmit.Total().Packets > 0 && len(e.Violations) == 0 {
				return nil
			}
		}
		return fmt.Errorf("berth ps shows %+v, want %s as %s, observed and counted", all, mac, id)
	}))
}

// TestMachinesOfLXC shows an LXC container by its name. One that was left behind with its control
// group does not change the name of the next.
func TestMachinesOfLXC(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.agent(t)
	l := &lab.LXC{Host: s.Host, Rootfs: rootfs}
	const mac = "02:00:5e:00:53:51"
	for range 2 {
		must(t, l.Start("web", mac, "192.0.2.81/24"))
		expectPing(t, "from the container to the router", func() (string, error) {
			return l.Exec("web", "ping", "-c", "2", "-i", "0.1", "-W", "20", neighborIP)
		})
		s.observedAs(t, mac, "lxc:web", "web", specs.ModeBridge, nil)
		must(t, l.Stop("web"))
	}
}

// TestMachinesOfLibvirt shows the two macvtap interfaces of a virtual machine by its name, and the
// network of libvirt of one.
func TestMachinesOfLibvirt(t *testing.T) {
	s := newSite(t)
	s.agent(t)
	v := &lab.Libvirt{Host: s.Host}
	must(t, v.StartDaemon())
	defer func() { must(t, v.StopDaemon()) }()
	must(t, v.DefineNetwork("home"))
	const direct, onNetwork = "52:54:00:00:53:61", "52:54:00:00:53:62"
	must(t, v.Start("vmweb", direct, onNetwork, "home"))
	s.observedAs(t, direct, "vm:vmweb", "vmweb", specs.ModePrivate, nil)
	s.observedAs(t, onNetwork, "vm:vmweb", "vmweb", specs.ModeBridge, &specs.EngineNetwork{Engine: specs.EngineLibvirt, Name: "home"})
	must(t, v.Stop("vmweb"))
}
