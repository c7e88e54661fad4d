//go:build engines

package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"berth/specs"
	"berth/test/lab"
)

// ifnameNet1 is docker's option for the name of a container's interface that expectWhole expects.
const ifnameNet1 = ",driver-opt=com.docker.network.endpoint.ifname=net1"

// driverCapabilities are those of berth-docker.service, as setpriv takes them.
const driverCapabilities = "-all,+net_admin,+net_raw,+sys_admin,+sys_ptrace"

// dockerDriver is berth's driver of a host, under a name of its own, because all dockerds look
// for plugins in one directory.
type dockerDriver struct {
	*lab.Docker
	site   *site
	name   string // of the driver
	driver *lab.Daemon
}

// newDockerDriver starts berth-docker and dockerd, with the network lan of berth's.
func newDockerDriver(t *testing.T, s *site, options map[string]any) *dockerDriver {
	t.Helper()
	return newNamedDriver(t, s, "berth-"+filepath.Base(s.Dir), options)
}

func newNamedDriver(t *testing.T, s *site, name string, options map[string]any) *dockerDriver {
	t.Helper()
	must(t, s.Policy(openPolicy))
	must(t, s.Network("lan", lanNetwork))
	s.agent(t)
	d := &dockerDriver{site: s, name: name}
	d.start(t)
	t.Cleanup(func() {
		if err := d.driver.Stop(); err != nil {
			t.Error(err)
		}
	})
	d.Docker = dockerWith(t, s, options)
	d.Plain = true
	return d
}

func (d *dockerDriver) socket() string { return "/run/docker/plugins/" + d.name + ".sock" }

func (d *dockerDriver) start(t *testing.T) {
	t.Helper()
	var err error
	args := append([]string{"--bounding-set", driverCapabilities, "--no-new-privs", filepath.Join(bin, "berth-docker")}, d.site.Flags()...)
	d.driver, err = d.site.Start(filepath.Join(d.site.Dir, "berth-docker.log"), "setpriv",
		append(args, "--socket", d.socket(), "--networks", filepath.Join(d.site.Dir, "docker-networks"))...)
	must(t, err)
	must(t, lab.Eventually(30*time.Second, func() error { _, err := os.Stat(d.socket()); return err }))
}

// create creates a network of docker.
func (d *dockerDriver) create(name string, args ...string) error {
	args = append([]string{"network", "create", "--driver", d.name, "--ipam-driver", d.name}, args...)
	_, err := d.Client(append(args, name)...)
	return err
}

// onDocker returns a container on a network of docker, without annotations.
func (s *site) onDocker(name, network string) lab.Container {
	c := s.sleeper(name)
	c.Annotations, c.Network = nil, network
	return c
}

// expectInspected checks that docker inspect shows an endpoint's address and MAC, and the gateway.
func (d *dockerDriver) expectInspected(t *testing.T, container, network string, shown specs.Endpoint) {
	t.Helper()
	out, err := d.Client("inspect", "--format", "{{json .NetworkSettings.Networks}}", container)
	must(t, err)
	var all map[string]struct {
		IPAddress, Gateway, MacAddress string
		IPPrefixLen                    int
	}
	must(t, json.Unmarshal([]byte(out), &all))
	got := all[network]
	if got.IPAddress != shown.Addresses[0].Addr().String() || got.IPPrefixLen != 24 || got.Gateway != "192.0.2.1" || got.MacAddress != shown.MAC.String() {
		t.Errorf("docker inspect shows %+v of network %q, berth ps %+v", got, network, shown)
	}
}

// expectHosts checks that a container's own name is in its /etc/hosts with an address.
func expectHosts(t *testing.T, e lab.Engine, container, address string) {
	t.Helper()
	if hosts, err := e.Exec(container, "cat", "/etc/hosts"); err != nil || !strings.Contains(hosts, address+"\t") {
		t.Errorf("/etc/hosts of %s has no line of %s: %s, %v", container, address, hosts, err)
	}
}

// TestNetworkOfDocker starts containers on a network of docker whose driver is berth, from their
// start to their end, with and without requests.
func TestNetworkOfDocker(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	d := newDockerDriver(t, s, liveRestore)
	before := s.snapshot(t)
	must(t, d.create("lan", "--subnet", "192.0.2.0/24", "--opt", "network=lan"))
	web := s.onDocker("web", "name=lan"+ifnameNet1)
	id, err := d.Start(web)
	must(t, err)
	d.expectInspected(t, web.ID, "lan", s.expectWhole(t, d.Docker, web.ID, id, firstOfPool))
	if routes, err := d.Exec(web.ID, "ip", "-4", "route", "show", "default"); err != nil || !strings.HasPrefix(routes, "default via 192.0.2.1 dev net1") {
		t.Errorf("default routes %q, %v", routes, err)
	}
	expectHosts(t, d.Docker, web.ID, firstOfPool)
	asked := s.onDocker("asked", "name=lan,ip="+heldIP+",mac-address="+heldMAC+ifnameNet1)
	askedID, err := d.Start(asked)
	must(t, err)
	shown := s.expectWhole(t, d.Docker, asked.ID, askedID, heldIP)
	if shown.MAC.String() != heldMAC {
		t.Errorf("MAC %s, want %s", shown.MAC, heldMAC)
	}
	d.expectInspected(t, asked.ID, "lan", shown)
	if _, err := d.Start(s.onDocker("twice", "name=lan,ip="+heldIP)); err == nil || !strings.Contains(err.Error(), heldIP) {
		t.Errorf("a second container with the address %s: %v", heldIP, err)
	}
	if out, err := d.Exec(asked.ID, "ping", "-c", "1", "-W", "20", web.ID); err != nil {
		t.Errorf("by the name of another container: %v: %s", err, out)
	}
	must(t, d.Stop(asked.ID))
	must(t, d.Restart(web.ID))
	d.expectInspected(t, web.ID, "lan", s.expectWhole(t, d.Docker, web.ID, id, firstOfPool))
	must(t, d.Stop(web.ID))
	s.expectNothingLeft(t, before)
	_, err = d.Client("network", "rm", "lan")
	must(t, err)
	if left, err := os.ReadDir(filepath.Join(s.Dir, "docker-networks")); err != nil || len(left) > 0 {
		t.Errorf("left %v, %v", left, err)
	}
}

// TestNetworkOfDockerInPlace creates two networks that only docker has, on one parent and one
// subnet, by the options of docker's own macvlan driver.
func TestNetworkOfDockerInPlace(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	d := newDockerDriver(t, s, nil)
	before := s.snapshot(t)
	for _, name := range []string{"own", "other"} {
		must(t, d.create(name, "--subnet", "192.0.2.0/24", "--gateway", "192.0.2.1", "--ip-range", "192.0.2.64/26",
			"--aux-address", "nas="+firstOfPool, "--opt", "parent=eth1", "--opt", "macvlan_mode=bridge", "--opt", "conflict_timeout=0"))
	}
	all := map[string]lab.Container{secondOfPool: s.onDocker("own", "name=own"+ifnameNet1), "192.0.2.66": s.onDocker("other", "name=other"+ifnameNet1)}
	for _, address := range []string{secondOfPool, "192.0.2.66"} {
		c := all[address]
		id, err := d.Start(c)
		must(t, err)
		network, _, _ := strings.Cut(strings.TrimPrefix(c.Network, "name="), ",")
		d.expectInspected(t, c.ID, network, s.expectWhole(t, d.Docker, c.ID, id, address))
	}
	if _, err := d.Start(s.onDocker("nas", "name=own,ip="+firstOfPool)); err == nil || !strings.Contains(err.Error(), "excluded") {
		t.Errorf("a container with an auxiliary address: %v", err)
	}
	for _, c := range all {
		must(t, d.Stop(c.ID))
	}
	s.expectNothingLeft(t, before)
}

// TestNetworkOfDockerConnect connects a running container of docker's bridge, and disconnects it:
// docker's rule chooses its default route, and the bridge's is there again.
func TestNetworkOfDockerConnect(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	d := newDockerDriver(t, s, withBridge)
	must(t, d.create("lan", "--subnet", "192.0.2.0/24", "--opt", "network=lan"))
	web := s.onDocker("web", lab.EngineNetwork)
	id, err := d.Start(web)
	must(t, err)
	routes := func() string { return defaultRoutes(t, d, web.ID) }
	was := routes()
	for range 2 {
		_, err = d.Client("network", "connect", "--ip", heldIP, "lan", web.ID)
		must(t, err)
		s.expectReached(t, heldIP)
		d.expectInspected(t, web.ID, "lan", findEndpoint(t, s.ps(t), id))
		if now := routes(); strings.Count(now, "default") != 1 {
			t.Errorf("default routes %q", now)
		}
		_, err = d.Client("network", "disconnect", "lan", web.ID)
		must(t, err)
		s.expectReleased(t)
		if now := routes(); now != was {
			t.Errorf("the default route was %q, is %q", was, now)
		}
	}
	_, err = d.Client("network", "connect", "lan", web.ID)
	must(t, err)
	must(t, d.Restart(web.ID))
	s.expectReached(t, firstOfPool)
	d.expectInspected(t, web.ID, "lan", findEndpoint(t, s.ps(t), id))
	must(t, d.Stop(web.ID))
	s.expectReleased(t)
}

// TestNetworkOfDockerKilled kills dockerd, and then the driver, under a container: with
// live-restore it continues, without it the next dockerd starts it again.
func TestNetworkOfDockerKilled(t *testing.T) {
	for name, options := range map[string]map[string]any{"live-restore": liveRestore, "none": nil} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			d := newDockerDriver(t, s, options)
			before := s.snapshot(t)
			must(t, d.create("lan", "--subnet", "192.0.2.0/24", "--opt", "network=lan"))
			web := s.onDocker("web", "name=lan,ip="+heldIP+ifnameNet1)
			id, err := d.StartWith(web, "--restart", "always")
			must(t, err)
			old := pidOf(t, d.Docker, web.ID)
			must(t, d.KillDaemon())
			must(t, d.driver.Kill())
			s.expectReached(t, heldIP)
			d.start(t)
			must(t, d.StartDaemon())
			if options == nil {
				s.waitRestarted(t, d.Docker, web.ID, old)
			}
			d.expectInspected(t, web.ID, "lan", s.expectWhole(t, d.Docker, web.ID, id, heldIP))
			must(t, d.Stop(web.ID))
			s.expectNothingLeft(t, before)
		})
	}
}

// TestNetworkOfDockerRefused requires that a network is refused whose addresses would not be
// berth's, and that the error has the remedy.
func TestNetworkOfDockerRefused(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	d := newDockerDriver(t, s, nil)
	for want, args := range map[string][]string{
		"--gateway":               {"--driver", d.name, "--subnet", "192.0.2.0/24", "--gateway", "192.0.2.9", "--opt", "network=lan"},
		"docker allows --ip only": {"--driver", d.name, "--ipam-driver", d.name, "--opt", "network=lan"},
		"--subnet 192.0.2.0/24":   {"--driver", d.name, "--ipam-driver", d.name, "--subnet", "198.51.100.0/24", "--gateway", "198.51.100.1", "--opt", "network=lan"},
		"none":                    {"--driver", d.name, "--ipam-driver", d.name, "--subnet", "192.0.2.0/24", "--gateway", "192.0.2.1", "--opt", "network=none"},
	} {
		_, err := d.Client(append(append([]string{"network", "create"}, args...), "bad")...)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", args, err, want)
		}
	}
	if left, err := os.ReadDir(filepath.Join(s.Dir, "docker-networks")); err == nil && len(left) > 0 {
		t.Errorf("left %v", left)
	}
}

// TestNetworkOfOldDocker starts a container on a dockerd that tells the driver of it before it
// has a network namespace. It does not start, the error has the remedy, and nothing is left.
func TestNetworkOfOldDocker(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	d := newDockerDriver(t, s, nil)
	before := s.snapshot(t)
	must(t, d.create("lan", "--subnet", "192.0.2.0/24", "--gateway", "192.0.2.1", "--opt", "network=lan"))
	if _, err := d.Start(s.onDocker("web", "lan")); err == nil || !strings.Contains(err.Error(), "--annotation berth/networks=NAME") {
		t.Errorf("started, or refused without a remedy: %v", err)
	}
	s.expectNothingLeft(t, before)
}

// dockerNetworkCompose is the compose file of docs/engines/docker.md; DRIVER is the driver's name.
const dockerNetworkCompose = `networks:
  lan:
    driver: DRIVER
    driver_opts:
      network: lan
    ipam:
      driver: DRIVER
      config:
        - subnet: 192.0.2.0/24
services:
  web:
    image: lab
    command: sleep 600
    networks: [lan]
`

// TestNetworkOfDockerCompose runs compose up, restart and down on a project with a network of
// its own.
func TestNetworkOfDockerCompose(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	d := newDockerDriver(t, s, nil)
	before := s.snapshot(t)
	file := filepath.Join(s.Dir, "compose.yaml")
	must(t, os.WriteFile(file, []byte(strings.ReplaceAll(dockerNetworkCompose, "DRIVER", d.name)), 0o644))
	compose := func(args ...string) string {
		out, err := d.Client(append([]string{"compose", "--project-name", s.id("project"), "--file", file}, args...)...)
		must(t, err)
		return strings.TrimSpace(out)
	}
	compose("up", "--detach")
	id := compose("ps", "--quiet", "web")
	for range 2 {
		s.expectWhole(t, d.Docker, id, id, firstOfPool)
		compose("restart", "--timeout", "1")
	}
	compose("down", "--timeout", "1")
	s.expectNothingLeft(t, before)
}
