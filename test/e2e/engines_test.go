package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"berth/specs"
	"berth/test/lab"
)

// An engineOf returns an engine on a site's host, with its daemon started.
type engineOf = func(t *testing.T, s *site) lab.Engine

// engines run berth's hook from a config.json or from hooks.d; wrapped ones
// have berth-runtime in the place of their runtime, late ones attach when the
// container is started.
var engines = map[string]engineOf{
	"runc":            runc(lab.Wrapper{}),
	"podman":          podman(lab.Wrapper{}),
	"podman-crun":     podmanWith("crun"),
	"containerd":      containerd(lab.Wrapper{}),
	"runc-wrapped":    runc(lab.Wrapper{Runtime: "runc"}),
	"crun-wrapped":    runc(lab.Wrapper{Runtime: "crun"}),
	"podman-wrapped":  podman(lab.Wrapper{Runtime: "runc"}),
	"ctr-wrapped":     containerd(lab.Wrapper{Runtime: "runc"}),
	"runc-late":       runc(lab.Wrapper{Runtime: "runc", Late: true}),
	"crun-late":       runc(lab.Wrapper{Runtime: "crun", Late: true}),
	"podman-late":     podman(lab.Wrapper{Runtime: "crun", Late: true}),
	"containerd-late": containerd(lab.Wrapper{Runtime: "runc", Late: true}),
}

func runc(w lab.Wrapper) engineOf {
	return func(_ *testing.T, s *site) lab.Engine { return &lab.Runc{Host: s.Host, Rootfs: rootfs, Wrapper: w} }
}

func podman(w lab.Wrapper) engineOf {
	return func(t *testing.T, s *site) lab.Engine {
		p := &lab.Podman{Host: s.Host, Rootfs: rootfs, Wrapper: w}
		must(t, p.Setup())
		return p
	}
}

// podmanWith is podman with hooks.d and another runtime.
func podmanWith(runtime string) engineOf {
	return func(t *testing.T, s *site) lab.Engine {
		p := &lab.Podman{Host: s.Host, Rootfs: rootfs, Runtime: runtime}
		must(t, p.Setup())
		return p
	}
}

func containerd(w lab.Wrapper) engineOf {
	return func(t *testing.T, s *site) lab.Engine {
		c := &lab.Containerd{Host: s.Host, Rootfs: rootfs, Wrapper: w}
		serveDaemon(t, c)
		return c
	}
}

// A daemon is an engine with a process that runs until it is stopped.
type daemon interface {
	StartDaemon() error
	StopDaemon() error
}

// serveDaemon runs an engine's daemon for the rest of the test.
func serveDaemon(t *testing.T, e daemon) {
	t.Helper()
	must(t, e.StartDaemon())
	t.Cleanup(func() {
		if err := e.StopDaemon(); err != nil {
			t.Error(err)
		}
	})
}

// forms are the ways to request the addresses 192.0.2.50 and .51 or, if the form
// names none, the first two of the pool.
var forms = map[string]struct {
	network, ifname string
	addresses       [2]string
	annotations     [2]map[string]string
}{
	"list": {"lan", "lan0", [2]string{"192.0.2.64", "192.0.2.65"}, [2]map[string]string{
		{"berth/networks": "lan@lan0"}, {"berth/networks": "lan@lan0"},
	}},
	"json": {"lan", "net1", [2]string{"192.0.2.50", "192.0.2.51"}, [2]map[string]string{
		{"berth/networks": `[{"name":"lan","ips":["192.0.2.50"],"mac":"02:00:5e:00:53:01"}]`},
		{"berth/networks": `[{"name":"lan","ips":["192.0.2.51/24"]}]`},
	}},
	"short": {"", "up0", [2]string{"192.0.2.50", "192.0.2.51"}, [2]map[string]string{
		{"berth/parent": "eth1", "berth/mode": "bridge", "berth/ip": "192.0.2.50/24", "berth/gateway": "192.0.2.1", "berth/interface": "up0", "berth/mtu": "1400"},
		{"berth/parent": "eth1", "berth/ip": "192.0.2.51/24", "berth/interface": "up0"},
	}},
}

func TestEngines(t *testing.T) {
	for engine, start := range engines {
		for form := range forms {
			if form == "short" && strings.Contains(engine, "-") {
				continue // these depend on the hook only, not on a wrapper
			}
			t.Run(engine+"/"+form, func(t *testing.T) {
				t.Parallel()
				s := newSite(t)
				must(t, s.Policy(openPolicy))
				must(t, s.Network("lan", lanNetwork))
				s.agent(t)
				startToEnd(t, s, start(t, s), form)
			})
		}
	}
}

// TestEnginesShowTheRefusal checks that every engine prints the hook's error.
func TestEnginesShowTheRefusal(t *testing.T) {
	for engine, start := range engines {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			must(t, s.Network("lan", lanNetwork))
			e := start(t, s)
			before := s.snapshot(t)
			_, err := e.Start(lab.Container{ID: s.id("refused"), Args: []string{"sleep", "600"}, Annotations: annotations{"berth/networks": "lam"}})
			s.expectRefused(t, err, "berth/networks[0]", `"lam"`, "lan")
			if d := s.snapshot(t).difference(before); d != "" {
				t.Error(d)
			}
		})
	}
}

// startToEnd runs two containers from start to end.
func startToEnd(t *testing.T, s *site, e lab.Engine, form string) {
	f := forms[form]
	before := s.snapshot(t)
	var ids [2]string
	for i := range ids {
		id, err := e.Start(lab.Container{ID: s.id(i), Args: []string{"sleep", "600"}, Annotations: f.annotations[i]})
		must(t, err)
		ids[i] = id
	}
	const pings = 5
	expectPing(t, "from a container to its sibling", func() (string, error) {
		return e.Exec(s.id(0), "ping", "-c", fmt.Sprint(pings), "-i", "0.1", "-W", "20", f.addresses[1])
	})
	expectPing(t, "from the LAN to a container", func() (string, error) {
		return s.neighbor.Run("busybox", "ping", "-c", "1", "-W", "20", f.addresses[0])
	})
	all := s.ps(t)
	if len(all) != 2 {
		t.Fatalf("berth ps shows %d attachments, want 2: %+v", len(all), all)
	}
	for i, id := range ids {
		checkEndpoint(t, findEndpoint(t, all, id), form, i)
	}
	checkCounts(t, s, ids[0], pings)
	for i := range ids {
		must(t, e.Stop(s.id(i)))
	}
	s.expectNothingLeft(t, before)
}

// id returns a container name with the site's prefix, because engines of several
// sites share cgroups and some directories, as those of one machine do.
func (s *site) id(name any) string { return fmt.Sprintf("%s-%v", s.Name, name) }

func expectPing(t *testing.T, target string, run func() (string, error)) {
	t.Helper()
	if out, err := run(); err != nil {
		t.Errorf("ping %s: %v\n%s", target, err, out)
	}
}

// findEndpoint returns the interface that berth attached to a container.
func findEndpoint(t *testing.T, all []specs.Endpoint, id string) specs.Endpoint {
	t.Helper()
	i := slices.IndexFunc(all, func(e specs.Endpoint) bool { return e.ContainerID == id && e.Origin == specs.OriginBerth })
	if i < 0 {
		t.Fatalf("berth ps does not show container %s: %+v", id, all)
	}
	return all[i]
}

func checkEndpoint(t *testing.T, e specs.Endpoint, form string, i int) {
	t.Helper()
	f := forms[form]
	if e.Network != f.network || e.Interface != f.ifname || e.Parent != "eth1" || e.Mode != specs.ModeBridge || e.Phase != specs.PhaseAttached {
		t.Errorf("berth ps shows %+v, want network %q, interface %q, parent eth1, mode bridge, attached", e, f.network, f.ifname)
	}
	if len(e.Addresses) != 1 || e.Addresses[0].String() != f.addresses[i]+"/24" {
		t.Errorf("berth ps shows addresses %s, want %s/24", e.Addresses, f.addresses[i])
	}
	if form == "json" && i == 0 && e.MAC.String() != "02:00:5e:00:53:01" {
		t.Errorf("berth ps shows MAC %s, want the one asked for", e.MAC)
	}
	if form == "short" && i == 0 && e.MTU != 1400 {
		t.Errorf("berth ps shows MTU %d, want the one asked for", e.MTU)
	}
}

// checkCounts checks the counts of a container that pinged its sibling n times and
// was pinged once from the LAN: 98 bytes per echo, and some ARP.
func checkCounts(t *testing.T, s *site, id string, n uint64) {
	t.Helper()
	err := lab.Eventually(time.Minute, func() error {
		e := findEndpoint(t, s.ps(t), id)
		local, external := e.Counters.Transmit.Local.Unicast, e.Counters.Receive.External.Unicast
		if !e.Counted || local.Packets < n || local.Packets > n+3 || local.Bytes < 98*n || external.Packets < 1 {
			return fmt.Errorf("after %d pings to its sibling and one from the LAN: counted %t, %+v", n, e.Counted, e.Counters)
		}
		if got := e.Counters.Receive.Local.Unicast; got.Packets < n || got.Packets > n+3 {
			return fmt.Errorf("%d replies from its sibling are counted as %+v", n, got)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// ps returns the endpoints of `berth ps --json`.
func (s *site) ps(t *testing.T, flags ...string) []specs.Endpoint {
	t.Helper()
	var all []specs.Endpoint
	must(t, s.BerthJSON(&all, append([]string{"ps"}, flags...)...))
	return all
}

// expectNothingLeft compares a site with its snapshot from before its containers:
// the links must be equal, and no lease or attachment may be left.
func (s *site) expectNothingLeft(t *testing.T, before snapshot) {
	t.Helper()
	err := lab.Eventually(time.Minute, func() error {
		if after := s.snapshot(t); after.links != before.links {
			return fmt.Errorf("links were\n%s\nand are\n%s", before.links, after.links)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	s.expectReleased(t)
}

// expectReleased checks that a site has no leases, and no attachments except ended
// ones, whose counts remain.
func (s *site) expectReleased(t *testing.T) {
	t.Helper()
	err := lab.Eventually(10*time.Second, func() error { // the agent would release them within 30 s
		if leases := s.leases(t); len(leases) != 0 {
			return fmt.Errorf("leases are left: %s", strings.Join(leases, ", "))
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	if all := s.ps(t); len(all) != 0 {
		t.Errorf("berth ps still shows %+v", all)
	}
	for _, e := range s.ps(t, "--all") {
		if e.Phase != specs.PhaseEnded || e.Ended.IsZero() {
			t.Errorf("berth ps --all shows %+v, want it ended", e)
		}
	}
}

// executor executes a command in a container.
type executor interface {
	Exec(id, name string, args ...string) (string, error)
}

// defaultRoutes returns the IPv4 default routes in a container, as ip(8) prints them.
func defaultRoutes(t *testing.T, in executor, id string) string {
	t.Helper()
	out, err := in.Exec(id, "ip", "-4", "route", "show", "default")
	must(t, err)
	return out
}
