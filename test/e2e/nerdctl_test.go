//go:build engines

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"berth/test/lab"
)

func init() {
	engines["nerdctl-wrapped"] = func(t *testing.T, s *site) lab.Engine { return nerdctl(t, s) }
	lives = append(lives, "nerdctl-wrapped")
	networkFirst["nerdctl-wrapped"] = false
	clientEngines["nerdctl-wrapped"] = engines["nerdctl-wrapped"]
}

func nerdctl(t *testing.T, s *site) *lab.Nerdctl {
	t.Helper()
	n := &lab.Nerdctl{Containerd: lab.Containerd{Host: s.Host, Rootfs: rootfs, Wrapper: lab.Wrapper{Runtime: "runc"}}}
	serveDaemon(t, n)
	return n
}

// TestNerdctlDevice requests a network by a CDI device, with the usual runtime.
func TestNerdctlDevice(t *testing.T) {
	t.Parallel()
	s := newServedSite(t)
	n := nerdctl(t, s)
	n.Plain = true
	_, err := s.Berth("install", "--engine", "nerdctl", "--cdi-dir", n.DeviceDir())
	must(t, err)
	before := s.snapshot(t)
	c := s.sleeper("device")
	c.Annotations = nil
	id, err := n.StartWith(c, "--device", "berth/network=lan")
	must(t, err)
	s.expectWhole(t, n, c.ID, id, firstOfPool)
	must(t, n.Restart(c.ID))
	s.expectWhole(t, n, c.ID, id, firstOfPool)
	must(t, n.Stop(c.ID))
	s.expectNothingLeft(t, before)
	for _, address := range []string{firstOfPool, "192.0.2.70"} {
		s.useNerdctlNetwork(t, n, address)
		s.expectNothingLeft(t, before)
	}
	s.composeNerdctlNetwork(t, n)
	s.expectNothingLeft(t, before)
	removeBridge := s.makeNerdctlBridge(t)
	s.expectDoctor(t, "nerdctl", map[string]string{"version": "pass", "configured": "pass", "annotations": "pass", "devices": "pass", "networks": "pass"},
		"CONTAINERD_ADDRESS="+filepath.Join(s.Dir, "containerd/socket"), "CNI_PATH=/usr/lib/cni", "CGROUP_MANAGER=cgroupfs")
	removeBridge()

	_, err = s.Berth("uninstall", "--engine", "nerdctl")
	must(t, err)
	if _, err := n.StartWith(c, "--device", "berth/network=lan"); err == nil {
		t.Errorf("uninstalled, nerdctl still has the device")
	}
	s.expectNothingLeft(t, before)
}

// makeNerdctlBridge makes the bridge that nerdctl's default network has as soon as a container was
// on it, and returns a function that deletes it. nerdctl cannot make a second default network then,
// in another directory of CNI.
func (s *site) makeNerdctlBridge(t *testing.T) (remove func()) {
	t.Helper()
	for _, args := range [][]string{{"link", "add", "nerdctl0", "up", "type", "bridge"}, {"address", "add", "10.4.0.1/24", "dev", "nerdctl0"}} {
		_, err := s.Run("ip", args...)
		must(t, err)
	}
	return func() {
		_, err := s.Run("ip", "link", "delete", "nerdctl0")
		must(t, err)
	}
}

// useNerdctlNetwork starts a container on berth's network as nerdctl's own, and requests an
// address that is not the pool's first one.
func (s *site) useNerdctlNetwork(t *testing.T, n *lab.Nerdctl, address string) {
	t.Helper()
	c := s.sleeper("native")
	c.Annotations, c.Network = nil, "lan"
	flags := []string{"--cni-netconfpath", "/etc/cni/net.d"} // instead of the lab's own networks
	if address != firstOfPool {
		flags = append(flags, "--ip", address)
	}
	if _, err := n.StartWith(c, append(flags, "--mac-address", heldMAC)...); err == nil || !strings.Contains(err.Error(), "not supported") {
		t.Errorf("nerdctl takes --mac-address, which docs/engines/nerdctl.md denies: %v", err)
	}
	id, err := n.StartWith(c, flags...)
	must(t, err)
	s.expectReached(t, address)
	shown := findEndpoint(t, s.ps(t), id)
	out, err := n.Exec(c.ID, "ip", "-o", "-4", "address", "show", "eth0")
	if err != nil || !strings.Contains(out, address+"/24") || shown.Interface != "eth0" {
		t.Errorf("eth0 has %s, %v; berth ps shows %+v", out, err, shown)
	}
	s.waitNamed(t, n, c.ID, id)
	if hosts, err := n.Exec(c.ID, "cat", "/etc/hosts"); err != nil || !strings.Contains(hosts, address) {
		t.Errorf("/etc/hosts has no line of %s: %s, %v", address, hosts, err)
	}
	must(t, n.Restart(c.ID))
	s.expectReached(t, address)
	inspected, err := n.Client("inspect", "--format", "{{.NetworkSettings.IPAddress}}", c.ID)
	if err != nil || !strings.Contains(inspected, address) {
		t.Errorf("nerdctl inspect shows %s, %v", inspected, err)
	}
	must(t, n.Stop(c.ID))
}

// nerdctlNetworkCompose is the second compose file of docs/engines/nerdctl.md.
const nerdctlNetworkCompose = `services:
  web:
    image: %s
    command: sleep 600
    networks:
      lan:
        ipv4_address: 192.0.2.70
networks:
  lan:
    external: true
    name: lan
`

// composeNerdctlNetwork runs compose up, restart and down on a project that uses berth's network
// as nerdctl's own.
func (s *site) composeNerdctlNetwork(t *testing.T, n *lab.Nerdctl) {
	t.Helper()
	file := filepath.Join(s.Dir, "network.yaml")
	must(t, os.WriteFile(file, fmt.Appendf(nil, nerdctlNetworkCompose, lab.ImageName), 0o644))
	compose := func(args ...string) string {
		out, err := n.Client(append([]string{"--cni-netconfpath", "/etc/cni/net.d", "compose", "--project-name", s.id("native"), "--file", file}, args...)...)
		must(t, err)
		return strings.TrimSpace(out)
	}
	compose("up", "--detach")
	id := compose("ps", "--quiet")
	s.expectReached(t, "192.0.2.70")
	if shown := findEndpoint(t, s.ps(t), id); shown.Interface != "eth0" || shown.Addresses[0].Addr().String() != "192.0.2.70" {
		t.Errorf("berth ps shows %+v", shown)
	}
	compose("restart", "--timeout", "1")
	s.waitAttachedAt(t, "192.0.2.70")
	s.expectReached(t, "192.0.2.70")
	compose("down")
}

// TestNerdctlRestarts kills a container that containerd's restart monitor restarts.
func TestNerdctlRestarts(t *testing.T) {
	t.Parallel()
	s := newServedSite(t)
	n := nerdctl(t, s)
	before := s.snapshot(t)
	c := s.sleeper("kept")
	id, err := n.StartWith(c, "--restart", "always")
	must(t, err)
	s.expectWhole(t, n, c.ID, id, firstOfPool)
	old := pidOf(t, n, c.ID)
	killProcess(t, old)
	s.waitRestarted(t, n, c.ID, old)
	s.waitAttachedAt(t, firstOfPool)
	s.expectWhole(t, n, c.ID, id, firstOfPool)
	must(t, n.Stop(c.ID))
	s.expectNothingLeft(t, before)
}

// TestNerdctlContainerdKilled ends containerd by SIGKILL: containers continue
// unchanged.
func TestNerdctlContainerdKilled(t *testing.T) {
	t.Parallel()
	s := newServedSite(t)
	n := nerdctl(t, s)
	before := s.snapshot(t)
	c := s.sleeper("kept")
	id, err := n.Start(c)
	must(t, err)
	shown := s.expectWhole(t, n, c.ID, id, firstOfPool)
	must(t, n.KillDaemon())
	s.expectReached(t, firstOfPool)
	must(t, n.StartDaemon())
	after := s.expectWhole(t, n, c.ID, id, firstOfPool)
	if !after.Created.Equal(shown.Created) {
		t.Errorf("the attachment is of %s, and was of %s", after.Created, shown.Created)
	}
	must(t, n.Stop(c.ID))
	s.expectNothingLeft(t, before)
}

// TestNerdctlOwnNetworks attaches containers that are also on a bridge of nerdctl, by
// the wrapper and by a device, whose hooks run after and before that of nerdctl.
func TestNerdctlOwnNetworks(t *testing.T) {
	t.Parallel()
	s := newServedSite(t)
	must(t, s.Network("lan", podLAN))
	n := nerdctl(t, s)
	_, err := s.Berth("cdi", "generate", "--cdi-dir", n.DeviceDir())
	must(t, err)
	_, err = n.Client("network", "create", "--subnet", "203.0.113.0/24", "own")
	must(t, err)
	for name, flags := range map[string][]string{"wrapped": nil, "device": {"--device", "berth/network=lan"}} {
		c := s.sleeper(name)
		c.Network = "own"
		if n.Plain = flags != nil; n.Plain {
			c.Annotations = nil
		}
		id, err := n.StartWith(c, flags...)
		must(t, err)
		s.expectWhole(t, n, c.ID, id, firstOfPool)
		out, err := n.Exec(c.ID, "ip", "-o", "-4", "address", "show", "eth0")
		if err != nil || !strings.Contains(out, "203.0.113.") {
			t.Errorf("%s: nerdctl's own interface has %s, %v", name, out, err)
		}
		must(t, n.Stop(c.ID))
		s.expectReleased(t)
	}
}

// nerdctlCompose is the compose file of docs/engines/nerdctl.md.
const nerdctlCompose = `services:
  web:
    image: %s
    command: sleep 600
    runtime: %s
    network_mode: none
    annotations:
      berth/networks: lan
`

// TestNerdctlCompose runs compose up, restart and down on a project.
func TestNerdctlCompose(t *testing.T) {
	t.Parallel()
	s := newServedSite(t)
	n := nerdctl(t, s)
	before := s.snapshot(t)
	program, err := n.Program()
	must(t, err)
	file := filepath.Join(s.Dir, "compose.yaml")
	must(t, os.WriteFile(file, fmt.Appendf(nil, nerdctlCompose, lab.ImageName, program), 0o644))
	compose := func(args ...string) string {
		out, err := n.Client(append([]string{"compose", "--project-name", s.id("project"), "--file", file}, args...)...)
		must(t, err)
		return strings.TrimSpace(out)
	}
	compose("up", "--detach")
	id := compose("ps", "--quiet")
	s.expectWhole(t, n, id, id, firstOfPool)
	compose("restart", "--timeout", "1")
	s.waitAttachedAt(t, firstOfPool)
	s.expectWhole(t, n, id, id, firstOfPool)
	compose("down")
	s.expectNothingLeft(t, before)
}

// TestNerdctlPlain runs containers without annotations before, between and after one
// with annotations.
func TestNerdctlPlain(t *testing.T) {
	t.Parallel()
	s := newServedSite(t)
	n := nerdctl(t, s)
	before := s.snapshot(t)
	for _, annotated := range []bool{false, true, false} {
		c := s.sleeper("web")
		n.Plain = !annotated
		if n.Plain {
			c.Annotations = nil
		}
		id, err := n.Start(c)
		must(t, err)
		if annotated {
			s.expectWhole(t, n, c.ID, id, firstOfPool)
		} else if all := s.ps(t); len(all) != 0 {
			t.Errorf("berth ps shows %+v of a container without annotations", all)
		}
		must(t, n.Stop(c.ID))
		s.expectNothingLeft(t, before)
	}
}

// TestNerdctlNamespaces attaches containers of the same name in two namespaces of
// containerd.
func TestNerdctlNamespaces(t *testing.T) {
	t.Parallel()
	s := newServedSite(t)
	n := nerdctl(t, s)
	other := *n
	other.Namespace = "other"
	must(t, other.Load())
	before := s.snapshot(t)
	c := s.sleeper("web")
	for _, form := range []string{"lan", `[{"name":"lan","interface":"net1"}]`} {
		c.Annotations = annotations{"berth/networks": form}
		id, err := n.Start(c)
		must(t, err)
		otherID, err := other.Start(c)
		must(t, err)
		s.expectWhole(t, n, c.ID, id, firstOfPool)
		s.expectWhole(t, &other, c.ID, otherID, secondOfPool)
		must(t, n.Stop(c.ID))
		s.expectWhole(t, &other, c.ID, otherID, secondOfPool)
		must(t, other.Stop(c.ID))
		s.expectNothingLeft(t, before)
	}
}

// TestNerdctlConnected connects a container that berth does not know to a network, and
// disconnects it. Such a container has no hooks, so berth gc finds its end (and the
// agent, within half a minute).
func TestNerdctlConnected(t *testing.T) {
	t.Parallel()
	s := newServedSite(t)
	n := nerdctl(t, s)
	n.Plain = true
	before := s.snapshot(t)
	c := s.sleeper("web")
	c.Annotations = nil
	id, err := n.Start(c)
	must(t, err)
	connect := func() {
		t.Helper()
		_, err := s.Berth("network", "connect", "lan", id, "--pid", fmt.Sprint(pidOf(t, n, c.ID)))
		must(t, err)
		s.expectWhole(t, n, c.ID, id, firstOfPool)
	}
	connect()
	_, err = s.Berth("network", "disconnect", "lan", c.ID)
	must(t, err)
	s.expectNothingLeft(t, before)
	connect()
	must(t, n.Stop(c.ID))
	_, err = s.Berth("gc")
	must(t, err)
	s.expectNothingLeft(t, before)
}
