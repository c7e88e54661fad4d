package cli

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/bbolt"

	"berth/internal/config"
	"berth/internal/foreign"
	"berth/ipam"
	"berth/specs"
)

// TestAdoptedRanges converts ranges of addresses to a prefix and exclusions. berth then gives out
// exactly the addresses of the range.
func TestAdoptedRanges(t *testing.T) {
	for _, c := range []struct {
		subnet, gateway, from, to, ipRange string
		exclude                            []string
	}{
		{"192.0.2.0/24", "192.0.2.1", "192.0.2.0", "192.0.2.255", "", nil},
		{"192.0.2.0/24", "192.0.2.1", "192.0.2.64", "192.0.2.127", "192.0.2.64/26", nil},
		{"192.0.2.0/24", "192.0.2.1", "192.0.2.1", "192.0.2.254", "", nil},
		{"192.0.2.0/24", "192.0.2.1", "192.0.2.65", "192.0.2.126", "192.0.2.64/26", []string{"192.0.2.64", "192.0.2.127"}},
		{"192.0.2.0/24", "192.0.2.1", "192.0.2.200", "192.0.2.220", "192.0.2.192/27", []string{"192.0.2.192/29", "192.0.2.221", "192.0.2.222/31"}},
		{"192.0.2.0/24", "", "192.0.2.127", "192.0.2.128", "", []string{"192.0.2.0/26", "192.0.2.64/27", "192.0.2.96/28", "192.0.2.112/29",
			"192.0.2.120/30", "192.0.2.124/31", "192.0.2.126", "192.0.2.129", "192.0.2.130/31", "192.0.2.132/30", "192.0.2.136/29", "192.0.2.144/28", "192.0.2.160/27", "192.0.2.192/26"}},
		{"192.0.2.6/31", "", "192.0.2.6", "192.0.2.7", "", nil},
		{"192.0.2.6/31", "", "192.0.2.7", "192.0.2.7", "192.0.2.7/32", nil},
		{"2001:db8::/64", "", "2001:db8::", "2001:db8::ffff:ffff:ffff:ffff", "", nil},
	} {
		f := foreign.Subnet{Subnet: mustPrefix(c.subnet), From: mustAddr(c.from), To: mustAddr(c.to)}
		if c.gateway != "" {
			f.Gateway = mustAddr(c.gateway)
		}
		s, notes := adoptSubnet(&f, nil)
		var exclude []string
		for _, e := range s.Exclude {
			exclude = append(exclude, e.String())
		}
		ipRange := ""
		if s.IPRange.IsValid() {
			ipRange = s.IPRange.String()
		}
		if d := cmp.Diff(c.exclude, exclude); d != "" || ipRange != c.ipRange || len(notes) > 0 {
			t.Errorf("%s to %s: ip_range %q, want %q, notes %q, exclusions (-want +got):\n%s", c.from, c.to, ipRange, c.ipRange, notes, d)
		}
		pool := ipam.NewPool("lan", s, nil)
		for a := f.Subnet.Addr(); a.Is4() && f.Subnet.Contains(a); a = a.Next() {
			isTheirs := !a.Less(f.From) && !f.To.Less(a)
			if given := pool.GivesOut(a); given && !isTheirs || !given && isTheirs && pool.Reserved(a) == "" {
				t.Errorf("%s to %s: %s is given out: %t", c.from, c.to, a, given)
			}
		}
	}
}

// TestAdoptedExclusions excludes the addresses in use and the reserved ones, each once, unless there
// are too many.
func TestAdoptedExclusions(t *testing.T) {
	f := foreign.Subnet{Subnet: mustPrefix("192.0.2.0/23"), Gateway: mustAddr("192.0.2.1"), From: mustAddr("192.0.2.0"), To: mustAddr("192.0.3.255"),
		Reserved: []netip.Addr{mustAddr("192.0.2.9")}}
	in := []netip.Addr{mustAddr("192.0.2.70"), mustAddr("192.0.2.1"), mustAddr("192.0.2.9"), mustAddr("192.0.2.70"), mustAddr("198.51.100.7")}
	s, _ := adoptSubnet(&f, in)
	want := []specs.Exclusion{specs.ExcludeAddr(mustAddr("192.0.2.9")), specs.ExcludeAddr(mustAddr("192.0.2.70"))}
	if d := cmp.Diff(want, s.Exclude, equalAddresses); d != "" {
		t.Errorf("exclusions (-want +got):\n%s", d)
	}
	for a := mustAddr("192.0.2.2"); a != mustAddr("192.0.3.200"); a = a.Next() {
		in = append(in, a)
	}
	if s, notes := adoptSubnet(&f, in); len(s.Exclude) > 0 || len(notes) != 1 {
		t.Errorf("%d exclusions and the notes %q, want a note instead", len(s.Exclude), notes)
	}
}

// TestAdoptRefusals names the reason for which a network cannot be adopted.
func TestAdoptRefusals(t *testing.T) {
	name := specs.EngineNetwork{Engine: specs.EngineCNI, Name: "home"}
	for want, f := range map[string]foreign.Network{
		"names no parent": {Name: name, Driver: specs.Macvlan},
		"mode":            {Name: name, Driver: specs.IPvlan, Mode: "bridge", Parent: "eth1"},
	} {
		if _, _, err := adoptNetwork(&f, "home", nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want an error with %q", err, want)
		}
	}
}

// TestAdoptWithoutGateway notes that the containers get no default route, unless that is intended.
func TestAdoptWithoutGateway(t *testing.T) {
	subnets := []foreign.Subnet{{Subnet: mustPrefix("192.0.2.0/24"), From: mustAddr("192.0.2.64"), To: mustAddr("192.0.2.95")}}
	for _, noRoute := range []bool{false, true} {
		f := foreign.Network{Name: specs.EngineNetwork{Engine: specs.EngineDocker, Name: "home"}, Driver: specs.Macvlan, Mode: specs.ModeBridge,
			Parent: "eth1", IPAM: specs.IPAMLocal, Subnets: subnets, NoRoute: noRoute}
		if _, notes, err := adoptNetwork(&f, "home", nil); err != nil || (len(notes) == 1) == noRoute {
			t.Errorf("without a route %t: notes %q, %v", noRoute, notes, err)
		}
	}
}

// TestAdoptVLANOfDocker notes that docker may delete the parent.
func TestAdoptVLANOfDocker(t *testing.T) {
	for _, c := range []struct {
		engine, parent string
		want           int
	}{{specs.EngineDocker, "eth1.10", 1}, {specs.EngineDocker, "eth1", 0}, {specs.EnginePodman, "eth1.10", 0}} {
		f := foreign.Network{Name: specs.EngineNetwork{Engine: c.engine, Name: "home"}, Driver: specs.Macvlan, Mode: specs.ModeBridge,
			Parent: c.parent, IPAM: specs.IPAMDHCP}
		if _, notes, err := adoptNetwork(&f, "home", nil); err != nil || len(notes) != c.want {
			t.Errorf("%s on %s: notes %q, %v, want %d", c.engine, c.parent, notes, err, c.want)
		}
	}
}

// adoptWorld is a world whose host has a network of podman's with two containers, and one of CNI's.
func adoptWorld(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.env.root = w.dir + "/root"
	t.Setenv("DOCKER_HOST", "unix://"+w.dir+"/docker.sock") // none listens
	for path, text := range map[string]string{
		"etc/containers/networks/home.json": `{"name":"home","driver":"macvlan","network_interface":"eth1","subnets":[
{"subnet":"192.0.2.0/24","gateway":"192.0.2.1","lease_range":{"start_ip":"192.0.2.65","end_ip":"192.0.2.126"}}],"ipam_options":{"driver":"host-local"}}`,
		"etc/cni/net.d/10-home.conflist": `{"name":"home","plugins":[{"type":"ipvlan","master":"eth1","mode":"l3","mtu":1400,"ipam":{"type":"host-local","subnet":"198.51.100.0/24"}}]}`,
	} {
		path = filepath.Join(w.env.root, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	w.writePodmanAddresses(map[string]string{"192.0.2.70": hexA, "192.0.2.71": hexB})
	return w
}

// writePodmanAddresses writes podman's database with addresses on the network home.
func (w *world) writePodmanAddresses(held map[string]string) {
	w.t.Helper()
	path := filepath.Join(w.env.root, "run/containers/networks/ipam.db")
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		w.t.Fatal(err)
	}
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	defer db.Close()
	err = db.Update(func(tx *bbolt.Tx) error {
		network, err := tx.CreateBucket([]byte("home"))
		if err != nil {
			return err
		}
		subnet, err := network.CreateBucket([]byte("192.0.2.0/24"))
		if err != nil {
			return err
		}
		for a, id := range held {
			if err := subnet.Put(mustAddr(a).AsSlice(), []byte(id)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

func TestAdopt(t *testing.T) {
	w := adoptWorld(t)
	const file = `driver = 'macvlan'
parent = 'eth1'
mode = 'bridge'
ipam = 'local'
ipv6 = 'off'

[[subnet]]
subnet = '192.0.2.0/24'
gateway = '192.0.2.1'
ip_range = '192.0.2.64/26'
exclude = ['192.0.2.64', '192.0.2.127', '192.0.2.70', '192.0.2.71']
`
	const moves = `
Create a network of podman on it, once (podman 4.5 or newer):
    podman network create --driver berth --opt network=lan lan

To move 3f2a91c04b7e, remove it and start it again with
    podman run --network lan …
or, by an annotation, with
    podman run --network none --annotation berth/networks=lan …

To move 3f2b00c04b7e, remove it and start it again with
    podman run --network lan …
or, by an annotation, with
    podman run --network none --annotation berth/networks=lan …
`
	mustEqual(t, "adopt --dry-run", "\n# "+w.dir+"/etc/networks.d/lan.toml\n"+file+moves, w.mustRun("adopt", "podman:home", "--name", "lan", "--dry-run"))
	if all, err := config.Names(w.dir + "/etc"); err != nil || len(all) > 0 {
		t.Errorf("a dry run wrote %q, %v", all, err)
	}
	mustEqual(t, "adopt", "\nlan\n"+moves, w.mustRun("adopt", "podman:home", "--name", "lan"))
	text, err := os.ReadFile(config.NetworkFile(w.dir+"/etc", "lan"))
	if err != nil || string(text) != file {
		t.Errorf("the file is\n%s, %v, want\n%s", text, err, file)
	}
	w.mustFail(exitFailed, "a network has this name already", "adopt", "podman:home", "--name", "lan")
}

func TestAdoptKeepsAddresses(t *testing.T) {
	w := adoptWorld(t)
	out := w.mustRun("adopt", "podman:home", "--keep-addresses", "--dry-run")
	if !strings.Contains(out, "--annotation berth/ip=192.0.2.70 …") || strings.Contains(out, "'192.0.2.70'") ||
		!strings.Contains(out, "podman network create --driver berth --opt network=home berth-home\n") ||
		!strings.Contains(out, "podman run --network berth-home:ip=192.0.2.70 …") {
		t.Errorf("no request of 192.0.2.70, or it is excluded:\n%s", out)
	}
}

func TestAdoptOfCNI(t *testing.T) {
	w := adoptWorld(t)
	byName := w.mustRun("adopt", "cni:home", "--dry-run")
	for _, want := range []string{"driver = 'ipvlan'", "mode = 'l3'", "mtu = 1400", "default_route = false", "subnet = '198.51.100.0/24'", `{"type": "berth-cni", "network": "home"`} {
		if !strings.Contains(byName, want) {
			t.Errorf("no %q in\n%s", want, byName)
		}
	}
	if byFile := w.mustRun("adopt", "--file", w.env.root+"/etc/cni/net.d/10-home.conflist", "--dry-run"); byFile != byName {
		t.Errorf("by its file it is\n%s\nby its name\n%s", byFile, byName)
	}
}

func TestAdoptUsage(t *testing.T) {
	w := adoptWorld(t)
	w.mustFail(exitFailed, "cni:home, podman:home", "adopt", "home")
	w.mustFail(exitFailed, "there are: cni:home, podman:home", "adopt", "lan")
	w.mustFail(exitUsage, "either NETWORK or --file", "adopt")
	w.mustFail(exitFailed, "no such file", "adopt", "--file", w.dir+"/none.json")
}

// dualSubnets are those of a network of both families.
var dualSubnets = []specs.Subnet{{Subnet: mustPrefix("192.0.2.0/24")}, {Subnet: mustPrefix("2001:db8::/64")}}

// TestMovesOfDocker prints the commands and the lines of compose by which docker's containers get to a
// network, by a network of docker and by an annotation.
func TestMovesOfDocker(t *testing.T) {
	n := &specs.Network{Name: "lan", IPAM: specs.IPAMLocal, Subnets: dualSubnets}
	m := newMover(&foreign.Network{Name: specs.EngineNetwork{Engine: "docker", Name: "home"}, Version: "28.5.2+dfsg1"}, n)
	mustEqual(t, "moves", `

Create a network of docker on it, once:
    docker network create --driver berth --ipam-driver berth --ipv6 --subnet 192.0.2.0/24 --subnet 2001:db8::/64 --opt network=lan lan

To move shop-db-1, remove it and start it again with
    services:
      db:
        networks: [lan]
    networks:
      lan:
        external: true
or, by an annotation, with
    services:
      db:
        runtime: berth
        network_mode: none
        annotations:
          berth/networks: lan

To move shop-web-1, remove it and start it again with
    services:
      web:
        networks:
          lan:
            ipv4_address: 192.0.2.7
            ipv6_address: 2001:db8::7
    networks:
      lan:
        external: true
or, by an annotation, with
    services:
      web:
        runtime: berth
        network_mode: none
        annotations:
          berth/networks: lan
          berth/ip: "192.0.2.7,2001:db8::7"

To move tv, remove it and start it again with
    docker run --network name=lan,ip=192.0.2.8 …
or, by an annotation, with
    docker run --runtime berth --network none --annotation berth/networks=lan --annotation berth/ip=192.0.2.8 …

To move two, remove it and start it again with
    docker run --runtime berth --network none --annotation berth/networks=lan --annotation berth/ip=192.0.2.9,198.51.100.9 …
`, m.textOf([]movedContainer{
		{name: "shop-db-1", service: "db"},
		{name: "shop-web-1", service: "web", addresses: []netip.Addr{mustAddr("192.0.2.7"), mustAddr("2001:db8::7")}},
		{name: "tv", addresses: []netip.Addr{mustAddr("192.0.2.8")}},
		{name: "two", addresses: []netip.Addr{mustAddr("192.0.2.9"), mustAddr("198.51.100.9")}},
	}))
}

// TestDoorsOfAdoptedNetworks prints the engine's own network only if the engine can have one, under a
// name that the old one does not have.
func TestDoorsOfAdoptedNetworks(t *testing.T) {
	for _, c := range []struct {
		engine, version, name string
		nerdctl               bool
		ipam                  specs.IPAM
		subnets               []specs.Subnet
		want                  []string
		not                   string
	}{
		{engine: "docker", version: "26.1.5+dfsg1", name: "home", want: []string{"--runtime berth"}, not: "network create"},
		{engine: "docker", version: "27.5.1", name: "home", want: []string{"--runtime berth"}, not: "network create"},
		{engine: "docker", version: "26.0.2", name: "home", want: []string{"docker network create"}},
		{engine: "docker", version: "", name: "lan", want: []string{"--opt network=lan berth-lan\n", "docker run --network berth-lan …"}},
		{engine: "docker", version: "29.0.0", name: "home", subnets: dualSubnets[1:], want: []string{"--ipam-driver berth --ipv4=false --ipv6 --subnet 2001:db8::/64 "}},
		{engine: "docker", version: "28.5.2", name: "home", ipam: specs.IPAMDHCP, want: []string{"--ipam-driver null --opt network=lan lan"}, not: "--subnet"},
		{engine: "podman", name: "lan", want: []string{"--driver berth --opt network=lan berth-lan\n", "podman run --network berth-lan …"}},
		{engine: "cni", nerdctl: true, name: "home", want: []string{"berth install --engine nerdctl", "nerdctl run --net lan …"}, not: "annotation"},
		{engine: "cni", nerdctl: true, name: "lan", want: []string{"adopt it with --name"}, not: "nerdctl run"},
	} {
		found := &foreign.Network{Name: specs.EngineNetwork{Engine: c.engine, Name: c.name}, Version: c.version, Nerdctl: c.nerdctl}
		text := newMover(found, &specs.Network{Name: "lan", IPAM: c.ipam, Subnets: c.subnets}).textOf(nil)
		for _, want := range c.want {
			if !strings.Contains(text, want) || c.not != "" && strings.Contains(text, c.not) {
				t.Errorf("%s %s, network %s: want %q and not %q in\n%s", c.engine, c.version, c.name, want, c.not, text)
			}
		}
	}
}

// TestMovesOfCNI names the plugin that is replaced, and those that stay.
func TestMovesOfCNI(t *testing.T) {
	found := &foreign.Network{Name: specs.EngineNetwork{Engine: "cni", Name: "home"}, Driver: specs.IPvlan, Further: []string{"tuning", "sbr"}}
	mustEqual(t, "moves", `

In CNI's configuration, replace the plugin ipvlan by
    {"type": "berth-cni", "network": "lan", "capabilities": {"ips": true, "mac": true}}
leave the plugins after it (tuning, sbr) as they are, and start its containers again.
`, newMover(found, &specs.Network{Name: "lan"}).textOf(nil))
}

// TestAdoptNamesOfNerdctl names the containers as the agent shows them, which nerdctl's own file has not,
// and by the ID that nerdctl accepts if no agent runs.
func TestAdoptNamesOfNerdctl(t *testing.T) {
	w := adoptWorld(t)
	for path, text := range map[string]string{
		"etc/cni/net.d/nerdctl-flat.conflist": `{"name":"flat","nerdctlID":"9f","plugins":[{"type":"ipvlan","master":"eth1","mode":"l2",` +
			`"ipam":{"type":"host-local","ranges":[[{"subnet":"192.0.2.0/24","gateway":"192.0.2.1"}]]}}]}`,
		"var/lib/cni/networks/flat/192.0.2.201": "my-apps-" + hexA + "\neth0",
	} {
		path = filepath.Join(w.env.root, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	expect := func(want string) {
		t.Helper()
		out := w.mustRun("adopt", "cni:flat", "--name", "lan", "--dry-run")
		if !strings.Contains(out, "\nTo move "+want+", remove it and start it again with\n    nerdctl run --net lan …") {
			t.Errorf("container %s is not named in\n%s", want, out)
		}
	}
	expect(hexA[:12])
	shown := sampleEndpoints()[:2]
	for i, id := range []string{hexB, hexA} {
		shown[i].ContainerID, shown[i].Name = id, []string{"other", "camera"}[i]
	}
	w.startAgent(&backend{names: shown})
	expect("camera")
}
