package e2e

import (
	"cmp"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"berth/specs"
	"berth/test/lab"
)

// The addresses of the first two containers on the network lan.
const (
	firstOfPool  = "192.0.2.64"
	secondOfPool = "192.0.2.65"
)

// Policy writes berth.toml, with the places in which the agent finds names of containers.
func (s *site) Policy(text string) error {
	storage := "podman/storage"
	if hasCRIO() {
		storage = "crio/root"
	}
	return s.Host.Policy(text + fmt.Sprintf("\n[agent]\ncontainerd = [%q]\ndocker = %q\npodman = %q\n",
		filepath.Join(s.Dir, "containerd/socket"), filepath.Join(s.Dir, "docker/data"), filepath.Join(s.Dir, storage)))
}

// hasCRIO reports whether nodes have CRI-O.
func hasCRIO() bool {
	_, err := exec.LookPath("crio")
	return err == nil
}

// expectWhole checks that a running container has one interface of berth, net1, with
// the address and MAC of berth ps; that it has a lease of the address; that the LAN
// reaches it; that its traffic is counted as the kernel counts it, without a
// violation; and that berth ps shows its name.
func (s *site) expectWhole(t *testing.T, e lab.Engine, name, id, address string) specs.Endpoint {
	t.Helper()
	s.expectReached(t, address)
	shown := findEndpoint(t, s.ps(t), id)
	s.expectConfigured(t, e, name, shown, address)
	s.expectLeased(t, shown, address)
	expectPing(t, "from the container", func() (string, error) {
		return e.Exec(name, "ping", "-c", "3", "-i", "0.1", "-W", "20", "-I", "net1", neighborIP)
	})
	must(t, lab.Eventually(time.Minute, func() error {
		shown = findEndpoint(t, s.ps(t), id)
		return s.compareCounts(e, name, shown)
	}))
	if len(shown.Violations) != 0 {
		events, err := s.Berth("events", "--json")
		t.Errorf("violations of %s: %v; events: %s, %v", name, shown.Violations, events, err)
	}
	s.waitNamed(t, e, name, id)
	return shown
}

// expectConfigured compares the interface in the container with berth ps.
func (s *site) expectConfigured(t *testing.T, e lab.Engine, name string, shown specs.Endpoint, address string) {
	t.Helper()
	links, err := e.Exec(name, "ip", "-o", "link", "show", "net1")
	must(t, err)
	if !strings.Contains(links, shown.MAC.String()) {
		t.Errorf("net1 is %s, want the MAC %s that berth ps shows", links, shown.MAC)
	}
	addresses, err := e.Exec(name, "ip", "-o", "-4", "address", "show", "net1")
	must(t, err)
	if !strings.Contains(addresses, address+"/24") || len(shown.Addresses) != 1 || shown.Addresses[0].Addr().String() != address {
		t.Errorf("net1 has %s, berth ps shows %s, want %s/24", addresses, shown.Addresses, address)
	}
}

// expectLeased checks that a container has a lease of its address, and no other lease.
func (s *site) expectLeased(t *testing.T, shown specs.Endpoint, address string) {
	t.Helper()
	var got []string
	for _, l := range s.held(t) {
		if l.Container == shown.ContainerID {
			got = append(got, l.Addr.String())
		}
	}
	if !slices.Equal(got, []string{address}) {
		t.Errorf("container %s has leases of %v, want %s", shown.ContainerID, got, address)
	}
}

// compareCounts compares the counts of a container with the kernel's statistics of
// its interface: all frames that it sent, and the unicast frames that it received. At
// least four echoes and their replies must be among them.
func (s *site) compareCounts(e lab.Engine, name string, shown specs.Endpoint) error {
	text, err := e.Exec(name, "cat", "/proc/net/dev")
	if err != nil {
		return err
	}
	_, line, _ := strings.Cut(text, shown.Interface+":")
	var rx, tx specs.Count
	var group, skip uint64
	if _, err := fmt.Sscan(line, &rx.Bytes, &rx.Packets, &skip, &skip, &skip, &skip, &skip, &group, &tx.Bytes, &tx.Packets); err != nil {
		return fmt.Errorf("/proc/net/dev of %s: %w: %s", name, err, text)
	}
	sent := shown.Counters.Transmit.Total()
	in := shown.Counters.Receive.Local.Unicast.Plus(shown.Counters.Receive.External.Unicast)
	if !shown.Counted || in.Packets < 4 || sent != tx || in.Packets != rx.Packets-group {
		return fmt.Errorf("counted %t, %+v, want as the kernel: sent %+v, received %+v, %d of these to a group",
			shown.Counted, shown.Counters, tx, rx, group)
	}
	return nil
}

// A namer is an engine whose containers have names beside their ids.
type namer interface {
	NameOf(id string) (string, error)
}

// waitNamed waits until berth ps shows the name that the engine has for a container:
// for a pod its name and namespace, and no name if the engine has none.
func (s *site) waitNamed(t *testing.T, e lab.Engine, name, id string) {
	t.Helper()
	var want [2]string // name or pod, namespace
	switch e := e.(type) {
	case *lab.CRI:
		want = [2]string{name, cmp.Or(e.Namespace, "default")}
	case namer:
		var err error
		want[0], err = e.NameOf(name)
		must(t, err)
	}
	must(t, lab.Eventually(time.Minute, func() error {
		shown := findEndpoint(t, s.ps(t), id)
		if got := [2]string{cmp.Or(shown.Pod, shown.Name), shown.Namespace}; got != want {
			return fmt.Errorf("%s is named %q, want %q", id, got, want)
		}
		return nil
	}))
}
