//go:build engines

package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"berth/test/lab"
)

// dualNetwork is lanNetwork with a subnet of IPv6.
const dualNetwork = lanNetwork + `
[[subnet]]
subnet = "2001:db8::/64"
gateway = "2001:db8::1"
ip_range = "2001:db8::40/122"
`

// bothFamilies are the arguments of a network of docker with the subnets of dualNetwork.
var bothFamilies = []string{"--ipv6", "--subnet", "192.0.2.0/24", "--subnet", "2001:db8::/64"}

// TestNetworkOfDockerFamilies starts containers with IPv6 beside IPv4 and alone: the addresses, the gateways and the default routes are those of docker inspect, and the
// LAN reaches each address.
func TestNetworkOfDockerFamilies(t *testing.T) {
	for name, c := range map[string]struct {
		create    []string
		addresses []string
	}{
		"both": {append(slices.Clone(bothFamilies), "--opt", "network=dual"), []string{firstOfPool + "/24", "2001:db8::40/64"}},
		"alone": {
			[]string{"--ipv4=false", "--ipv6", "--subnet", "2001:db8::/64", "--gateway", "2001:db8::1", "--opt", "parent=eth1", "--opt", "conflict_timeout=0"},
			[]string{"2001:db8::2/64"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			_, err := s.neighbor.Run("ip", "address", "add", "2001:db8::1/64", "dev", "eth0", "nodad")
			must(t, err)
			d := newDockerDriver(t, s, nil)
			must(t, s.Network("dual", dualNetwork))
			before := s.snapshot(t)
			must(t, d.create("both", c.create...))
			web := s.onDocker("web", "name=both"+ifnameNet1)
			id, err := d.Start(web)
			must(t, err)
			for range 2 {
				d.expectFamilies(t, web.ID, id, c.addresses)
				must(t, d.Restart(web.ID))
			}
			must(t, d.Stop(web.ID))
			s.expectNothingLeft(t, before)
		})
	}
}

// expectFamilies checks the addresses of a container on the network "both", which are given with
// their prefix lengths: docker inspect, berth ps and the interface agree, each family has one
// default route by the neighbor, and the neighbor reaches each address.
func (d *dockerDriver) expectFamilies(t *testing.T, container, id string, addresses []string) {
	t.Helper()
	var shown []string
	for _, p := range findEndpoint(t, d.site.ps(t), id).Addresses {
		shown = append(shown, p.String())
		d.site.expectReached(t, p.Addr().String())
	}
	if !slices.Equal(shown, addresses) {
		t.Errorf("berth ps shows %v, want %v", shown, addresses)
	}
	if inspected := d.inspectFamilies(t, container); !slices.Equal(inspected, addresses) {
		t.Errorf("docker inspect shows %v, want %v", inspected, addresses)
	}
	for _, a := range addresses {
		family, gateway := "-4", "192.0.2.1"
		if strings.Contains(a, ":") {
			family, gateway = "-6", "2001:db8::1"
		}
		out, err := d.Exec(container, "ip", "-o", family, "address", "show", "net1", "scope", "global")
		if err != nil || strings.Count(out, a) != 1 {
			t.Errorf("net1 has %q, %v, want %s", out, err, a)
		}
		routes, err := d.Exec(container, "ip", family, "route", "show", "default")
		if err != nil || strings.Count(routes, "default") != 1 || !strings.Contains(routes, "via "+gateway+" dev net1") {
			t.Errorf("default routes %q, %v, want one via %s", routes, err, gateway)
		}
	}
}

// inspectFamilies returns the addresses that docker inspect shows, with their prefix lengths.
func (d *dockerDriver) inspectFamilies(t *testing.T, container string) (all []string) {
	t.Helper()
	out, err := d.Client("inspect", "--format", `{{with index .NetworkSettings.Networks "both"}}{{json .}}{{end}}`, container)
	must(t, err)
	var got struct {
		IPAddress, GlobalIPv6Address     string
		IPPrefixLen, GlobalIPv6PrefixLen int
	}
	must(t, json.Unmarshal([]byte(out), &got))
	if got.IPAddress != "" {
		all = append(all, fmt.Sprintf("%s/%d", got.IPAddress, got.IPPrefixLen))
	}
	if got.GlobalIPv6Address != "" {
		all = append(all, fmt.Sprintf("%s/%d", got.GlobalIPv6Address, got.GlobalIPv6PrefixLen))
	}
	return all
}

// TestNetworkOfDockerUsers starts a container on a dockerd with userns-remap: its network
// namespace belongs to a user namespace of its own.
func TestNetworkOfDockerUsers(t *testing.T) {
	must(t, addRemapUser())
	s := newSite(t)
	d := newDockerDriver(t, s, map[string]any{"userns-remap": "default"})
	before := s.snapshot(t)
	must(t, d.create("lan", "--subnet", "192.0.2.0/24", "--opt", "network=lan"))
	web := s.onDocker("web", "name=lan"+ifnameNet1)
	id, err := d.Start(web)
	must(t, err)
	if out, err := d.Exec(web.ID, "cat", "/proc/self/uid_map"); err != nil || !strings.Contains(out, "100000") {
		t.Errorf("its users are %s, %v, want a namespace of their own", out, err)
	}
	d.expectInspected(t, web.ID, "lan", s.expectWhole(t, d.Docker, web.ID, id, firstOfPool))
	must(t, d.Stop(web.ID))
	s.expectNothingLeft(t, before)
}

// TestNetworkOfDockerInUse requires that docker neither removes nor prunes a network with a
// container, that docker network ls and inspect show it, and that it is removed afterwards.
func TestNetworkOfDockerInUse(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	d := newDockerDriver(t, s, nil)
	before := s.snapshot(t)
	for _, name := range []string{"used", "unused"} {
		must(t, d.create(name, "--subnet", "192.0.2.0/24", "--opt", "network=lan"))
	}
	web := s.onDocker("web", "name=used"+ifnameNet1)
	id, err := d.Start(web)
	must(t, err)
	if out, err := d.Client("network", "ls", "--filter", "driver="+d.name, "--format", "{{.Name}} {{.Scope}}"); err != nil ||
		!slices.Equal(slices.Sorted(slices.Values(strings.Split(strings.TrimSpace(out), "\n"))), []string{"unused local", "used local"}) {
		t.Errorf("docker network ls shows %q, %v", out, err)
	}
	if _, err := d.Client("network", "rm", "used"); err == nil || !strings.Contains(err.Error(), "active endpoints") {
		t.Errorf("a network with a container is removed: %v", err)
	}
	if out, err := d.Client("network", "prune", "--force"); err != nil || !strings.Contains(out, "unused") || strings.Contains(out, "\nused") {
		t.Errorf("docker network prune: %q, %v", out, err)
	}
	out, err := d.Client("network", "inspect", "--format", "{{range .Containers}}{{.IPv4Address}} {{.MacAddress}}{{end}}", "used")
	must(t, err)
	shown := s.expectWhole(t, d.Docker, web.ID, id, firstOfPool)
	if got, want := strings.TrimSpace(out), shown.Addresses[0].String()+" "+shown.MAC.String(); got != want {
		t.Errorf("docker network inspect shows %q, berth ps %q", got, want)
	}
	must(t, d.Stop(web.ID))
	_, err = d.Client("network", "rm", "used")
	must(t, err)
	s.expectNothingLeft(t, before)
}

// TestNetworkOfDockerLeased starts a container on a network of docker without addresses, whose
// address the LAN's DHCP server leases: docker inspect shows the MAC alone, berth ps both.
func TestNetworkOfDockerLeased(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "conf"), fmt.Appendf(nil, "start 192.0.2.100\nend 192.0.2.120\ninterface eth0\n"+
		"option subnet 255.255.255.0\noption router %s\noption lease 600\nlease_file %[2]s/leases\npidfile %[2]s/pid\n", neighborIP, dir), 0o644))
	must(t, os.WriteFile(filepath.Join(dir, "leases"), nil, 0o644))
	server, err := s.neighbor.Start(filepath.Join(dir, "log"), "busybox", "udhcpd", "-f", filepath.Join(dir, "conf"))
	must(t, err)
	t.Cleanup(func() { _ = server.Kill() })
	must(t, lab.Eventually(30*time.Second, func() error { return logHas(server, "started") }))
	d := newDockerDriver(t, s, nil)
	must(t, s.Network("leased", dhcpNetwork))
	before := s.snapshot(t)
	_, err = d.Client("network", "create", "--driver", d.name, "--ipam-driver", "null", "--opt", "network=leased", "leased")
	must(t, err)
	web := s.onDocker("web", "name=leased"+ifnameNet1)
	id, err := d.Start(web)
	must(t, err)
	for range 2 {
		address := s.expectLease(t, id)
		shown := s.expectWhole(t, d.Docker, web.ID, id, address)
		out, err := d.Client("inspect", "--format", "{{with .NetworkSettings.Networks.leased}}{{.MacAddress}} {{.IPAddress}}{{end}}", web.ID)
		if err != nil || strings.TrimSpace(out) != shown.MAC.String() {
			t.Errorf("docker inspect shows %q, %v, want the MAC %s", out, err, shown.MAC)
		}
		if routes, err := d.Exec(web.ID, "ip", "-4", "route", "show", "default"); err != nil || !strings.HasPrefix(routes, "default via 192.0.2.1 dev net1") {
			t.Errorf("default routes %q, %v", routes, err)
		}
		must(t, d.Restart(web.ID))
	}
	must(t, d.Stop(web.ID))
	s.expectNothingLeft(t, before)
}

// TestNetworkOfDockerSwarm requires that docker refuses a network of its swarm with the driver,
// and that a node of a swarm has local networks with it.
func TestNetworkOfDockerSwarm(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	d := newDockerDriver(t, s, nil)
	_, err := d.Client("swarm", "init", "--advertise-addr", "127.0.0.1", "--listen-addr", "127.0.0.1:2377")
	must(t, err)
	lan := []string{"--subnet", "192.0.2.0/24", "--opt", "network=lan"}
	if err := d.create("all", append(lan, "--scope", "swarm")...); err == nil || !strings.Contains(err.Error(), "not supported in swarm mode") {
		t.Errorf("a network of the swarm: %v", err)
	}
	must(t, d.create("lan", lan...))
	web := s.onDocker("web", "name=lan"+ifnameNet1)
	id, err := d.Start(web)
	must(t, err)
	d.expectInspected(t, web.ID, "lan", s.expectWhole(t, d.Docker, web.ID, id, firstOfPool))
	must(t, d.Stop(web.ID))
	s.expectReleased(t)
}

// TestNetworkOfDockerShared starts a container in the namespace of another one
// (--network container:), which is on a network with the driver: both have its one interface. Then
// the shim of the first is killed: docker ends its container, and takes the interface back.
func TestNetworkOfDockerShared(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	d := newDockerDriver(t, s, nil)
	before := s.snapshot(t)
	must(t, d.create("lan", "--subnet", "192.0.2.0/24", "--opt", "network=lan"))
	web, side := s.onDocker("web", "name=lan"+ifnameNet1), s.onDocker("side", "container:"+s.id("web"))
	id, err := d.Start(web)
	must(t, err)
	_, err = d.Start(side)
	must(t, err)
	if links, err := d.Exec(side.ID, "ip", "-o", "link"); err != nil || strings.Count(links, "\n") != 2 || !strings.Contains(links, "net1") {
		t.Errorf("the shared namespace has %s, %v, want lo and net1", links, err)
	}
	must(t, d.Stop(side.ID))
	d.expectInspected(t, web.ID, "lan", s.expectWhole(t, d.Docker, web.ID, id, firstOfPool))
	killProcess(t, parentOf(t, pidOf(t, d.Docker, web.ID)))
	must(t, lab.Eventually(30*time.Second, func() error {
		if all := s.ps(t); len(all) != 0 {
			return fmt.Errorf("the shim is dead, and berth ps shows %+v", all)
		}
		return nil
	}))
	must(t, d.Stop(web.ID))
	s.expectNothingLeft(t, before)
}

// TestNetworkOfDockerDoctor requires that berth doctor --try finds a driver that docker reaches
// under its usual name, and leaves nothing.
func TestNetworkOfDockerDoctor(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	d := newNamedDriver(t, s, "berth", nil)
	must(t, d.create("lan", "--subnet", "192.0.2.0/24", "--opt", "network=lan"))
	web := s.onDocker("web", "lan")
	_, err := d.Start(web)
	must(t, err)
	must(t, d.Stop(web.ID))
	s.expectDoctor(t, "docker", map[string]string{"version": "pass", "configured": "warn", "annotations": "pass", "devices": "pass", "networks": "pass"},
		"DOCKER_HOST="+d.Socket())
}
