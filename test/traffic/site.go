package traffic

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"

	"berth/agent/client"
	"berth/test/lab"
)

// The LAN's router and another machine on it, with the addresses in the networks' files.
const (
	routerV4, routerV6, routerMAC = "192.0.2.1", "2001:db8:1::1", "02:00:5e:00:53:01"
	pcV4, pcV6, pcMAC             = "192.0.2.3", "2001:db8:1::3", "02:00:5e:00:53:03"
	hostV4                        = "192.0.2.2"
)

// prefixRA is the prefix that the router advertises.
var prefixRA = netip.MustParsePrefix("2001:db8:5::/64")

// A network is the content of a network's file: its parent, and its own keys.
type network struct {
	name, parent string
	text         string // keys other than parent and subnets
	addresses    string // the last byte of the first of its sixteen addresses, "" if it has none
	containers   int
	siblings     bool   // its containers reach each other
	driver       string // that the kernel must have, "" for macvlan
}

var networks = []network{
	{name: "bridge", parent: "eth1", text: `mode = "bridge"`, addresses: "32", containers: 2, siblings: true},
	{name: "slaac", parent: "eth1", text: `ipv6 = "slaac"`, addresses: "48", containers: 1},
	{name: "dhcp", parent: "eth1", text: `ipam = "none"`, containers: 1},
	{name: "private", parent: "eth2", text: `mode = "private"`, addresses: "64", containers: 2},
	{name: "vepa", parent: "eth3", text: `mode = "vepa"`, addresses: "80", containers: 2, siblings: true},
	{name: "source", parent: "eth4", text: fmt.Sprintf("mode = \"source\"\nsource_macs = [%q, %q]", routerMAC, pcMAC),
		addresses: "96", containers: 1},
	{name: "passthru", parent: "eth5", text: `mode = "passthru"`, addresses: "112", containers: 1},
	{name: "ipvlan", parent: "eth6", text: "driver = \"ipvlan\"\nmode = \"l2\"", addresses: "128", containers: 2,
		siblings: true, driver: "ipvlan"},
	{name: "vlan", parent: "eth1.100", text: `mode = "bridge"` +
		"\n[[subnet]]\nsubnet = \"198.51.100.0/24\"\ngateway = \"198.51.100.1\"\nip_range = \"198.51.100.144/28\"",
		containers: 2, siblings: true, driver: "vlan"},
}

// A Site is a LAN with a host, a router and another machine, and with containers of each
// network whose driver this kernel has.
type Site struct {
	Host       *lab.Host
	Client     *client.Client
	LeftOut    []string // networks whose driver the kernel lacks
	lan        *lab.Switch
	router, pc Place
	machines   []*lab.Machine
	nets       []network
	containers map[string][]*Container // by the network's name
	agent      *lab.Daemon
	dhcp       *lab.Daemon

	others       []*Other
	stopPrograms []func() error // those of the containers of engines, then of the engines
}

// besideNetwork is a network of berth's for containers with an interface of another program on the
// same parent, whose default route they have.
const besideNetwork = `parent = "eth1"
default_route = false
conflict_timeout = "50ms"
[[subnet]]
subnet = "192.0.2.0/24"
ip_range = "192.0.2.16/28"
`

// apartNetwork is the same with a subnet of its own.
const apartNetwork = `parent = "eth1"
default_route = false
conflict_timeout = "50ms"
[[subnet]]
subnet = "203.0.113.0/24"
`

// NewSite makes a site with containers of other programs beside berth's. The names of its machines
// begin with name, and bin is the directory of berth's programs.
func NewSite(name, bin string, programs ...string) (*Site, error) {
	s := &Site{containers: make(map[string][]*Container)}
	var err error
	if s.lan, err = lab.NewSwitch(name + "-lan"); err != nil {
		return nil, err
	}
	if s.Host, err = lab.NewHost(name, bin); err != nil {
		return nil, err
	}
	s.Client = client.New(s.Host.State)
	if s.router, err = s.machine(name+"-router", routerMAC, routerV4, routerV6); err != nil {
		return nil, err
	}
	if s.pc, err = s.machine(name+"-pc", pcMAC, pcV4, pcV6); err != nil {
		return nil, err
	}
	if err := errors.Join(s.parents(), s.networks(), s.startDHCP()); err != nil {
		return s, err
	}
	for _, program := range programs {
		if err := s.addOthers(program); err != nil {
			return s, fmt.Errorf("networks of %s: %w", program, err)
		}
	}
	return s, nil
}

// machine makes a machine on the LAN.
func (s *Site) machine(name, mac, v4, v6 string) (Place, error) {
	m, err := lab.NewMachine(name)
	if err != nil {
		return Place{}, err
	}
	s.machines = append(s.machines, m)
	p := Place{Path: m.Path(), IfName: "eth0", V4: netip.MustParseAddr(v4), V6: netip.MustParseAddr(v6)}
	if err := s.lan.Plug(m, "eth0", v4+"/24", v6+"/64"); err != nil {
		return p, err
	}
	_, err = m.Run("ip", "link", "set", "eth0", "address", mac)
	return p, err
}

// parents connects the host's interfaces. The switch reflects frames at the parent for
// vepa, as that mode requires.
func (s *Site) parents() error {
	first := 3 // the router's and the other machine's ports come before
	for i := range 6 {
		var own []string
		if i == 0 {
			own = []string{hostV4 + "/24"}
		}
		if err := s.lan.Plug(s.Host.Machine, fmt.Sprintf("eth%d", i+1), own...); err != nil {
			return err
		}
	}
	_, err := s.lan.Run("ip", "link", "set", fmt.Sprintf("port%d", first+2), "type", "bridge_slave", "hairpin", "on")
	return err
}

// networks writes the files of the networks whose driver the kernel has.
func (s *Site) networks() error {
	errs := []error{
		s.Host.Policy("[policy]\nstatic_ips = true\nstatic_macs = true\n"), s.Host.Network("beside", besideNetwork),
		s.Host.Network("apart", apartNetwork),
	}
	for _, n := range networks {
		if n.driver != "" && !s.supports(n.driver) {
			s.LeftOut = append(s.LeftOut, n.name)
			continue
		}
		text := fmt.Sprintf("parent = %q\nconflict_timeout = \"50ms\"\n%s\n", n.parent, n.text)
		if n.addresses != "" {
			text += fmt.Sprintf("[[subnet]]\nsubnet = \"192.0.2.0/24\"\ngateway = %q\nip_range = \"192.0.2.%s/28\"\n",
				routerV4, n.addresses)
		}
		if n.addresses != "" && n.name != "slaac" {
			text += fmt.Sprintf("[[subnet]]\nsubnet = \"2001:db8:1::/64\"\ngateway = %q\nip_range = \"2001:db8:1::%s0/124\"\n",
				routerV6, n.addresses)
		}
		errs = append(errs, s.Host.Network(n.name, text))
		s.nets = append(s.nets, n)
	}
	if s.supports("vlan") {
		for _, m := range s.machines {
			v4 := map[bool]string{true: "198.51.100.1/24", false: "198.51.100.3/24"}[m == s.machines[0]]
			for _, args := range [][]string{
				{"link", "add", "link", "eth0", "name", "eth0.100", "type", "vlan", "id", "100"},
				{"link", "set", "eth0.100", "up"}, {"address", "add", v4, "dev", "eth0.100"},
			} {
				_, err := m.Run("ip", args...)
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(errs...)
}

// supports reports whether the kernel makes links of a kind.
func (s *Site) supports(kind string) bool {
	more := map[string][]string{"ipvlan": {"mode", "l2"}, "vlan": {"id", "7"}}[kind]
	args := append([]string{"link", "add", "link", "eth6", "name", "try", "type", kind}, more...)
	if _, err := s.Host.Run("ip", args...); err != nil {
		return false
	}
	_, err := s.Host.Run("ip", "link", "delete", "try")
	return err == nil
}

// startDHCP starts a DHCP server on the router. It has an address for each round of two minutes, the time
// of a lease, as BusyBox's server keeps an address that a client has released until its lease ends.
func (s *Site) startDHCP() error {
	dir := filepath.Join(s.Host.Dir, "dhcp")
	conf := fmt.Sprintf("start 192.0.2.200\nend 192.0.2.254\ninterface eth0\nlease_file %[1]s/leases\npidfile %[1]s/pid\n"+
		"opt subnet 255.255.255.0\nopt router %[2]s\nopt lease 120\n", dir, routerV4)
	script := "#!/bin/sh\n[ \"$1\" != bound ] && [ \"$1\" != renew ] || ip address replace $ip/24 dev $interface\n"
	err := errors.Join(os.MkdirAll(dir, 0o755),
		os.WriteFile(filepath.Join(dir, "conf"), []byte(conf), 0o644),
		os.WriteFile(filepath.Join(dir, "leases"), nil, 0o644),
		os.WriteFile(filepath.Join(dir, "script"), []byte(script), 0o755))
	if err != nil {
		return err
	}
	s.dhcp, err = s.machines[0].Start(filepath.Join(dir, "log"), "busybox", "udhcpd", "-f", filepath.Join(dir, "conf"))
	return err
}

// leaseScript returns the path of the script with which udhcpc sets an address.
func (s *Site) leaseScript() string { return filepath.Join(s.Host.Dir, "dhcp", "script") }

// lease makes a container request an address by DHCP.
func (s *Site) lease(c *Container) error {
	_, err := c.Run("busybox", "udhcpc", "-i", c.IfName, "-n", "-q", "-t", "10", "-T", "1", "-s", s.leaseScript())
	return errors.Join(err, c.readAddresses())
}

// Start starts the agent and the containers. Some of the other programs' are older than the agent.
func (s *Site) Start() (err error) {
	older := len(s.others) / 2
	for _, o := range s.others[:older] {
		if err := s.startOther(o); err != nil {
			return err
		}
	}
	if s.agent, err = s.Host.StartAgent("--metrics", ""); err != nil {
		return err
	}
	for _, o := range s.others[older:] {
		if err := s.startOther(o); err != nil {
			return err
		}
	}
	for _, n := range s.nets {
		for i := range n.containers {
			c, err := StartContainer(s.Host, fmt.Sprintf("%s-%s-%d", s.Host.Name, n.name, i), Selection{Name: n.name})
			if err != nil {
				return err
			}
			s.containers[n.name] = append(s.containers[n.name], c)
		}
	}
	for _, c := range s.containers["dhcp"] {
		if err := s.lease(c); err != nil {
			return err
		}
	}
	return nil
}

// Container returns a container of a network.
func (s *Site) Container(network string, i int) *Container { return s.containers[network][i] }

// Close removes the site.
func (s *Site) Close() error {
	errs := []error{s.stopOthers()}
	for _, all := range s.containers {
		for _, c := range all {
			errs = append(errs, c.Stop(s.Host, false))
		}
	}
	if s.agent != nil {
		errs = append(errs, s.agent.Stop())
	}
	if s.dhcp != nil {
		_ = s.dhcp.Kill()
	}
	for _, m := range append(s.machines, s.Host.Machine, &s.lan.Machine) {
		errs = append(errs, m.Remove())
	}
	return errors.Join(errs...)
}
