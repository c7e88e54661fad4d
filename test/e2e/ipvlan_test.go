//go:build engines

package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"berth/specs"
	"berth/test/lab"
)

// ipvlanNetwork is lanNetwork with ipvlan.
var ipvlanNetwork = strings.Replace(lanNetwork, "macvlan", "ipvlan", 1)

// expectIPvlan checks that a container has an interface of ipvlan with the address and MAC of
// berth ps, that the LAN and a sibling reach it, and that its traffic is counted as the kernel
// counts it, without a violation.
func (s *site) expectIPvlan(t *testing.T, e lab.Engine, name, id, address, sibling string) specs.Endpoint {
	t.Helper()
	s.expectReached(t, address)
	shown := findEndpoint(t, s.ps(t), id)
	link, err := s.Run("nsenter", fmt.Sprintf("--net=/proc/%d/ns/net", pidOf(t, e, name)), "ip", "-d", "-o", "link", "show", shown.Interface)
	if err != nil || !strings.Contains(link, "ipvlan") || !strings.Contains(link, "mode l2 ") || !strings.Contains(link, shown.MAC.String()) {
		t.Errorf("the interface is %s, %v, want ipvlan in mode l2 with the MAC %s", link, err, shown.MAC)
	}
	if len(shown.Addresses) != 1 || shown.Addresses[0].String() != address+"/24" || shown.Mode != specs.ModeL2 {
		t.Errorf("berth ps shows %+v, want %s/24 in mode l2", shown, address)
	}
	for _, to := range []string{neighborIP, sibling} {
		expectPing(t, "from the container", func() (string, error) {
			return e.Exec(name, "ping", "-c", "3", "-W", "20", to)
		})
	}
	must(t, lab.Eventually(time.Minute, func() error {
		shown = findEndpoint(t, s.ps(t), id)
		return s.compareCounts(e, name, shown)
	}))
	if len(shown.Violations) != 0 || shown.Counters.Transmit.Local.Unicast.Packets < 3 {
		t.Errorf("violations %v; sent to siblings %+v, want 3 pings", shown.Violations, shown.Counters.Transmit.Local)
	}
	return shown
}

// startSibling starts a container of runc on the network, by an annotation, at the pool's first
// address.
func (s *site) startSibling(t *testing.T) (stop func()) {
	t.Helper()
	r := &lab.Runc{Host: s.Host, Rootfs: rootfs}
	_, err := r.Start(s.sleeper("sibling"))
	must(t, err)
	return func() { must(t, r.Stop(s.id("sibling"))) }
}

// TestIPvlanOfDocker starts, connects and restarts containers on a network of docker whose
// interfaces are ipvlan, and on one that only docker has.
func TestIPvlanOfDocker(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	d := newDockerDriver(t, s, nil)
	must(t, s.Policy(strings.Replace(openPolicy, `"bridge"`, `"bridge", "l2", "l3"`, 1)))
	must(t, s.Network("lan", ipvlanNetwork))
	before := s.snapshot(t)
	stop := s.startSibling(t)
	must(t, d.create("lan", "--subnet", "192.0.2.0/24", "--opt", "network=lan"))
	must(t, d.create("own", "--subnet", "192.0.2.0/24", "--gateway", "192.0.2.1", "--opt", "parent=eth1", "--opt", "ipvlan_mode=l2",
		"--opt", "conflict_timeout=0"))
	for network, address := range map[string]string{"lan": secondOfPool, "own": heldIP} {
		c := s.onDocker("web", "name="+network+",ip="+address)
		id, err := d.Start(c)
		must(t, err)
		s.expectIPvlan(t, d.Docker, c.ID, id, address, firstOfPool)
		d.expectIPvlanInspected(t, c.ID, network, address)
		must(t, d.Restart(c.ID))
		s.expectIPvlan(t, d.Docker, c.ID, id, address, firstOfPool)
		d.expectIPvlanInspected(t, c.ID, network, address)
		must(t, d.Stop(c.ID))
	}
	_, err := d.Start(s.onDocker("mac", "name=lan,mac-address="+heldMAC))
	if err == nil || !strings.Contains(err.Error(), "ipvlan") {
		t.Errorf("a MAC on ipvlan: %v", err)
	}
	stop()
	s.expectNothingLeft(t, before)
}

// expectIPvlanInspected checks that docker inspect shows an endpoint's address and gateway, and no
// MAC, as of its own ipvlan driver.
func (d *dockerDriver) expectIPvlanInspected(t *testing.T, container, network, address string) {
	t.Helper()
	out, err := d.Client("inspect", "--format", `{{with index .NetworkSettings.Networks "`+network+`"}}{{.IPAddress}} {{.Gateway}} {{.MacAddress}}{{end}}`, container)
	if err != nil || strings.TrimSpace(out) != address+" 192.0.2.1" {
		t.Errorf("docker inspect shows %q, %v, want %s and the gateway", out, err, address)
	}
}

// TestIPvlanOfPodman starts a container on a network of podman whose interfaces are ipvlan, and on
// one that only podman has.
func TestIPvlanOfPodman(t *testing.T) {
	t.Parallel()
	s, p := newPodmanSite(t)
	must(t, s.Policy(strings.Replace(openPolicy, `"bridge"`, `"bridge", "l2", "l3"`, 1)))
	must(t, s.Network("lan", ipvlanNetwork))
	before := s.snapshot(t)
	stop := s.startSibling(t)
	_, err := p.Client("network", "create", "--driver", "berth", "--opt", "parent=eth1", "--opt", "ipvlan_mode=l2", "--opt", "conflict_timeout=0",
		"--subnet", "192.0.2.0/24", "--gateway", "192.0.2.1", "own")
	must(t, err)
	for network, address := range map[string]string{"lan": secondOfPool, "own": heldIP} {
		c := s.onPodmanNetwork("web", network+":ip="+address)
		id, err := p.Start(c)
		must(t, err)
		expectInspected(t, p, c.ID, network, s.expectIPvlan(t, p, c.ID, id, address, firstOfPool))
		must(t, p.Stop(c.ID))
	}
	stop()
	s.expectNothingLeft(t, before)
}

// TestIPvlanOfNerdctl starts a container on a network of CNI whose interfaces are ipvlan, by
// nerdctl's own --net.
func TestIPvlanOfNerdctl(t *testing.T) {
	t.Parallel()
	s := newServedSite(t)
	must(t, s.Network("lan", ipvlanNetwork))
	n := nerdctl(t, s)
	n.Plain = true
	_, err := s.Berth("install", "--engine", "nerdctl", "--cdi-dir", n.DeviceDir())
	must(t, err)
	before := s.snapshot(t)
	stop := s.startSibling(t)
	c := s.sleeper("web")
	c.Annotations, c.Network = nil, "lan"
	id, err := n.StartWith(c, "--cni-netconfpath", "/etc/cni/net.d", "--ip", secondOfPool)
	must(t, err)
	s.expectIPvlan(t, n, c.ID, id, secondOfPool, firstOfPool)
	must(t, n.Stop(c.ID))
	stop()
	s.expectNothingLeft(t, before)
}
