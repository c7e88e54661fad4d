package cli

import (
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/spf13/pflag"

	"berth/internal/config"
	"berth/specs"
)

func mustAddr(s string) netip.Addr     { return netip.MustParseAddr(s) }
func mustPrefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }

var equalAddresses = cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{})

func TestCreateDHCPReachesTheFile(t *testing.T) {
	w := newWorld(t)
	w.mustRun(strings.Fields("network create lan -o parent=eth1 --ipam-driver dhcp -o ipv6=dhcp -o dhcp_timeout=5s -o dhcp_client_id=name -o dhcp_hostname=none -o dhcp_release=false")...)
	got, err := config.Network(w.dir+"/etc", "lan")
	if err != nil {
		t.Fatal(err)
	}
	want := &specs.Network{Name: "lan", Parent: "eth1", IPAM: specs.IPAMDHCP, IPv6: specs.IPv6DHCP, MAC: specs.MACDerived,
		DHCPTimeout: new(specs.Duration(5e9)), DHCPClientID: specs.ClientIDName, DHCPHostname: specs.HostnameNone, DHCPRelease: new(false)}
	want.SetDefaults()
	if diff := cmp.Diff(want, got, equalAddresses); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// TestCreateFlagsReachTheFile requires that every flag has its setting in the file.
func TestCreateFlagsReachTheFile(t *testing.T) {
	base := specs.Network{Parent: "eth1", Subnets: []specs.Subnet{{Subnet: mustPrefix("192.0.2.0/24"), Gateway: mustAddr("192.0.2.1")}}}
	const given = "--subnet 192.0.2.0/24 --gateway 192.0.2.1 -o parent=eth1 "
	for flags, change := range map[string]func(*specs.Network){
		"":                                 func(*specs.Network) {},
		"-d macvlan":                       func(*specs.Network) {},
		"--driver ipvlan":                  func(n *specs.Network) { n.Driver = specs.IPvlan },
		"--attachable --ipv4 --ipv6=false": func(*specs.Network) {},
		"--ip-range 192.0.2.64/26":         func(n *specs.Network) { n.Subnets[0].IPRange = mustPrefix("192.0.2.64/26") },
		"--ip-range=192.0.2.70/26":         func(n *specs.Network) { n.Subnets[0].IPRange = mustPrefix("192.0.2.64/26") },
		"--aux-address r2=192.0.2.3": func(n *specs.Network) {
			n.Subnets[0].Exclude = []specs.Exclusion{specs.ExcludeAddr(mustAddr("192.0.2.3"))}
		},
		"--aux-address 192.0.2.3": func(n *specs.Network) {
			n.Subnets[0].Exclude = []specs.Exclusion{specs.ExcludeAddr(mustAddr("192.0.2.3"))}
		},
		"--ipam-driver static":                  func(n *specs.Network) { n.IPAM = specs.IPAMStatic },
		"-o parent=eth2 --opt parent=eth3":      func(n *specs.Network) { n.Parent = "eth3" },
		"-o macvlan_mode=private":               func(n *specs.Network) { n.Mode = specs.ModePrivate },
		"--opt=mode=vepa":                       func(n *specs.Network) { n.Mode = specs.ModeVEPA },
		"-o mode=passthru -o nopromisc=1":       func(n *specs.Network) { n.Mode, n.NoPromisc = specs.ModePassthru, true },
		"-o com.docker.network.driver.mtu=1400": func(n *specs.Network) { n.MTU = 1400 },
		"--aux-address a=192.0.2.96/28": func(n *specs.Network) {
			n.Subnets[0].Exclude = []specs.Exclusion{{Prefix: mustPrefix("192.0.2.96/28")}}
		},
		"-o route=0.0.0.0/1,224.0.0.0/4,128.0.0.0/1,240.0.0.0/4": func(n *specs.Network) {
			n.Routes = []specs.Route{{To: mustPrefix("0.0.0.0/1")}, {To: mustPrefix("224.0.0.0/4")}, {To: mustPrefix("128.0.0.0/1")}, {To: mustPrefix("240.0.0.0/4")}}
		},
		"-o mtu=1400":              func(n *specs.Network) { n.MTU = 1400 },
		"-o bc_queue_len=5000":     func(n *specs.Network) { n.BCQueueLen = 5000 },
		"-o mac=derived":           func(n *specs.Network) { n.MAC = specs.MACDerived },
		"-o default_route=false":   func(n *specs.Network) { n.DefaultRoute = new(false) },
		"-o metric=50":             func(n *specs.Network) { n.Metric = 50 },
		"-o route=198.51.100.0/24": func(n *specs.Network) { n.Routes = []specs.Route{{To: mustPrefix("198.51.100.0/24")}} },
		"-o ipam=static":           func(n *specs.Network) { n.IPAM = specs.IPAMStatic },
		"-o conflict_timeout=0":    func(n *specs.Network) { n.ConflictTimeout = new(specs.Duration(0)) },
		"-o ipv6=slaac --ipv6":     func(n *specs.Network) { n.IPv6 = specs.IPv6SLAAC },
		"-o parent_timeout=5s":     func(n *specs.Network) { n.ParentTimeout = specs.Duration(5 * time.Second) },
		"-o sysctls=net.ipv4.conf.IFNAME.rp_filter=2,net.ipv4.neigh.IFNAME.ucast_solicit=5": func(n *specs.Network) {
			n.Sysctls = specs.Sysctls{"net.ipv4.conf.IFNAME.rp_filter": 2, "net.ipv4.neigh.IFNAME.ucast_solicit": 5}
		},
		"-o sticky=true":                     func(n *specs.Network) { n.Sticky = true },
		"-o ipv6=slaac -o ipv6_token=::53":   func(n *specs.Network) { n.IPv6, n.IPv6Token = specs.IPv6SLAAC, mustAddr("::53") },
		"-o reuse=oldest":                    func(n *specs.Network) { n.Reuse = specs.ReuseOldest },
		"-o namespaces=prod-*,lab":           func(n *specs.Network) { n.Namespaces = []string{"prod-*", "lab"} },
		"-d ipvlan -o ipvlan_mode=l3":        func(n *specs.Network) { n.Driver, n.Mode = specs.IPvlan, specs.ModeL3 },
		"-d ipvlan -o ipvlan_flag=private":   func(n *specs.Network) { n.Driver, n.IPvlanFlag = specs.IPvlan, specs.FlagPrivate },
		"-o mode=source -o source_macs=" + m: func(n *specs.Network) { n.Mode, n.SourceMACs = specs.ModeSource, parseMACs(t, m) },
	} {
		w := newWorld(t)
		mustEqual(t, flags+": output", "lan\n", w.mustRun(strings.Fields("network create lan "+given+flags)...))
		want := base
		want.Name, want.Subnets = "lan", []specs.Subnet{base.Subnets[0]}
		change(&want)
		want.SetDefaults()
		got, err := config.Network(w.dir+"/etc", "lan")
		if err != nil {
			t.Errorf("%s: %v", flags, err)
			continue
		}
		if diff := cmp.Diff(&want, got, equalAddresses); diff != "" {
			t.Errorf("%s: file (-want +got):\n%s", flags, diff)
		}
	}
}

const m = "02:00:5e:00:53:01,02:00:5e:00:53:02"

func parseMACs(t *testing.T, list string) (all []specs.MAC) {
	for _, s := range strings.Split(list, ",") {
		mac, err := specs.ParseMAC(s)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, mac)
	}
	return all
}

// TestCreatePairsBySubnet checks docker's rule: a range or gateway belongs to the subnet
// that contains it, in any order.
func TestCreatePairsBySubnet(t *testing.T) {
	w := newWorld(t)
	w.mustRun("network", "create", "lan", "-o", "parent=eth1", "--ipv6",
		"--gateway", "2001:db8::1", "--gateway=198.51.100.1",
		"--ip-range", "198.51.100.128/25,192.0.2.64/26",
		"--subnet", "192.0.2.0/24,198.51.100.0/24", "--subnet", "2001:db8::/64",
		"--aux-address", "a=198.51.100.200", "--aux-address", "b=2001:db8::2")
	text, err := os.ReadFile(config.NetworkFile(w.dir+"/etc", "lan"))
	if err != nil {
		t.Fatal(err)
	}
	mustEqual(t, "file", `
driver = 'macvlan'
parent = 'eth1'
mode = 'bridge'
ipam = 'local'
ipv6 = 'off'

[[subnet]]
subnet = '192.0.2.0/24'
ip_range = '192.0.2.64/26'

[[subnet]]
subnet = '198.51.100.0/24'
gateway = '198.51.100.1'
ip_range = '198.51.100.128/25'
exclude = ['198.51.100.200']

[[subnet]]
subnet = '2001:db8::/64'
gateway = '2001:db8::1'
exclude = ['2001:db8::2']
`, string(text))
}

// TestCreateWithRouterOutside: a router outside of the subnet is reached on link.
func TestCreateWithRouterOutside(t *testing.T) {
	w := newWorld(t)
	w.mustRun(strings.Fields("network create lan -o parent=eth1 --subnet 192.0.2.0/24,2001:db8::/64,2001:db8:1::/64 --gateway 198.51.100.1,fe80::1")...)
	n, err := config.Network(w.dir+"/etc", "lan")
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"198.51.100.1", "fe80::1", "fe80::1"} {
		if got := n.Subnets[i].Gateway.String(); got != want {
			t.Errorf("gateway of %s is %s, want %s", n.Subnets[i].Subnet, got, want)
		}
	}
}

func TestCreateRefuses(t *testing.T) {
	w := newWorld(t)
	const two = "--subnet 192.0.2.0/24 --subnet 198.51.100.0/24 "
	for flags, want := range map[string]string{
		"-d bridge":              `--driver "bridge": want one of macvlan, ipvlan`,
		"-d macvlan -o parent":   `-o parent "": want the host's interface`,
		"--subnet 192.0.2.0":     `--subnet "192.0.2.0": want an address and prefix length`,
		"--subnet 192.0.2.1/24":  `--subnet "192.0.2.1/24": want the network's own address: 192.0.2.0/24`,
		"--subnet 224.0.0.0/24":  `--subnet "224.0.0.0/24": want unicast addresses`,
		"--subnet 192.0.2.0/24,": `--subnet "": want an address and prefix length`,
		"--subnet 2001:db8::/64,2001:db8:1::/64 --gateway 2001:db8:2::1":       `--gateway "2001:db8:2::1": no --subnet contains it`,
		"--subnet 2001:db8::/64,2001:db8:1::/64 --gateway fe80::1,2001:db8::1": `--gateway "2001:db8::1": subnet 2001:db8::/64 already has the gateway fe80::1`,
		"--subnet 192.0.2.0/24 --gateway fe80::1":                              `--gateway "fe80::1": no --subnet contains it (192.0.2.0/24)`,
		two + "--aux-address 192.0.2.97/28":                                    `--aux-address "192.0.2.97/28": want`,
		two + "--aux-address 192.0.0.0/16":                                     `--aux-address "192.0.0.0/16": no --subnet contains it`,
		two + "-o route=127.1.0.0/16":                                          `-o route "127.1.0.0/16": frames to addresses in`,
		two + "-o com.docker.network.driver.mtu=67":                            `-o mtu "67": want 0 (the parent's) or 68`,
		"--gateway 192.0.2.1":                                                  `--gateway "192.0.2.1": there is no --subnet that contains it`,
		two + "--gateway x":                                                    `--gateway "x": want the address of a router in a subnet`,
		two + "--gateway 203.0.113.1": `--gateway "203.0.113.1": no --subnet contains it ` +
			`(192.0.2.0/24, 198.51.100.0/24)`,
		two + "--gateway 192.0.2.0":                                 `--gateway "192.0.2.0": it is the network's own or the broadcast address of 192.0.2.0/24`,
		two + "--gateway 192.0.2.255":                               `--gateway "192.0.2.255": it is the network's own or`,
		two + "--gateway 192.0.2.1,192.0.2.2":                       `--gateway "192.0.2.2": subnet 192.0.2.0/24 already has the gateway 192.0.2.1`,
		two + "--ip-range 192.0.2.64":                               `--ip-range "192.0.2.64": want an address and prefix length inside a subnet`,
		two + "--ip-range 192.0.0.0/16":                             `--ip-range "192.0.0.0/16": no --subnet contains it`,
		two + "--ip-range 192.0.2.0/16":                             `--ip-range "192.0.0.0/16": want a range inside the subnet 192.0.2.0/24`,
		two + "--ip-range 192.0.2.0/25,192.0.2.128/25":              `--ip-range "192.0.2.128/25": subnet 192.0.2.0/24 already has the range 192.0.2.0/25`,
		two + "--aux-address r=203.0.113.1":                         `--aux-address "r=203.0.113.1": no --subnet contains it`,
		two + "--aux-address r=":                                    `--aux-address "r=": want [NAME=]ADDRESS`,
		two + "--aux-address 192.0.2.0/24":                          `--subnet "192.0.2.0/24": it has no address for a container: all are excluded or reserved`,
		two + "--ip-range 192.0.2.64/26 --aux-address 192.0.2.0/25": `--ip-range "192.0.2.64/26": it has no address for a container`,
		two + "--ip-range 192.0.2.1/32 --gateway 192.0.2.1":         `--ip-range "192.0.2.1/32": it has no address for a container`,
		two + "--subnet 192.0.2.128/25":                             `--subnet "192.0.2.128/25": it overlaps the subnet 192.0.2.0/24`,
		two + "-o frob=1":                                           `-o "frob": want one of allow, `,
		two + "-o macvlan_mode=hairpin":                             `-o macvlan_mode "hairpin": want one of bridge, private, vepa, passthru, source`,
		two + "-d ipvlan -o macvlan_mode=bridge":                    `-o macvlan_mode "bridge": driver ipvlan does not have this option; set -d macvlan`,
		two + "-o ipvlan_mode=l2":                                   `-o ipvlan_mode "l2": driver macvlan does not have this option; set -d ipvlan`,
		two + "-o parent=eth1.4095":                                 `-o parent "eth1.4095": want a VLAN id of 1 to 4094`,
		two + "-o parent=" + strings.Repeat("a", 128):               `-o parent "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa…": want at most 127 bytes instead of 128`,
		two + "-o mtu=67":                                           `-o mtu "67": want 0 (the parent's) or 68 to 65535 bytes`,
		two + "-o mtu=-1":                                           `-o mtu "-1": want a whole number`,
		two + "-o nopromisc=true":                                   `-o nopromisc "true": mode bridge has no such flag; set mode passthru`,
		two + "-o mode=source":                                      `-o source_macs "": want the MACs that mode source lets in`,
		two + "-o conflict_timeout=soon":                            `-o conflict_timeout "soon": want a duration`,
		two + "-o ipam=none":                                        `-o ipam "none": the network has a subnet`,
		two + "--ipam-driver null":                                  `-o ipam "none": the network has a subnet`,
		two + "--ipam-driver dhcpd":                                 `--ipam-driver "dhcpd": want default, local, cluster, static, dhcp or none`,
		two + "--ipam-driver dhcp":                                  `-o ipam "dhcp": the DHCP server has the IPv4 subnet`,
		"--ipam-driver dhcp --ipv4=false":                           `--ipv4 "false": --ipam-driver dhcp leases IPv4`,
		"-o dhcp_timeout=5s":                                        `-o dhcp_timeout "5s": the network does not use DHCP`,
		two + "--ipv6":                                              `--ipv6 "true": the network has no IPv6 addresses`,
		two + "--ipv4=false":                                        `--ipv4 "false": there is an IPv4 --subnet; remove it`,
		"--subnet 2001:db8::/64 --ipv6=false":                       `--ipv6 "false": the network has IPv6 addresses; remove the IPv6 --subnet or -o ipv6`,
		"--subnet 2001:db8::/64 -o ipv6=slaac":                      `-o ipv6 "slaac": the network has an IPv6 subnet`,
		"--subnet 2001:db8::/64 --gateway ::":                       `--gateway "::": want a unicast address of the subnet's family`,
		"--subnet 2001:db8::/64 --gateway 2001:db8::1%eth0":         `--gateway "2001:db8::1%eth0": want`,
		"--internal":                                                `--internal: a network of berth's is on the LAN by its nature`,
		"--label a=b":                                               `--label: berth keeps no labels`,
		"--scope swarm":                                             `--scope: a network of berth's belongs to one host`,
		"--config-from other":                                       `--config-from: a file in networks.d can be copied`,
		"--ipam-opt a=b":                                            `--ipam-opt: berth's own address pools have no options`,
	} {
		w.mustFail(exitUsage, want, strings.Fields("network create lan -o parent=eth1 "+flags)...)
	}
	w.mustFail(exitUsage, `NAME "../lan": want 1 to 64 letters`, "network", "create", "../lan")
	if _, err := os.Stat(w.dir + "/etc"); err == nil {
		t.Error("a refused command has written something")
	}
}

func TestCreateRefusesAnExistingNetwork(t *testing.T) {
	w := newWorld(t)
	create := strings.Fields("network create lan --subnet 192.0.2.0/24 -o parent=eth1")
	w.mustRun(create...)
	w.mustFail(exitFailed, fmt.Sprintf("berth: network \"lan\": a network has this name already: %s/etc/networks.d/lan.toml\n", w.dir), create...)
}

func TestCreateNotes(t *testing.T) {
	for flags, want := range map[string]string{
		"--subnet 192.0.2.0/24 --gateway 192.0.2.1":                                                 "",
		"--subnet 192.0.2.0/24 -o default_route=false":                                              "",
		"--subnet 192.0.2.0/24 --gateway 192.0.2.1 --aux-address 192.0.2.0/24 --ipam-driver static": "",
		"-d ipvlan -o ipvlan_mode=l3 --subnet 192.0.2.0/24":                                         "",
		"--ipam-driver none":                  "",
		"":                                    "containers get no addresses, because no --subnet was given and berth does not choose one",
		"--subnet 192.0.2.0/24":               "no default route: no --gateway was given (Docker took the first address before late 2025)",
		"--subnet 2001:db8::/64":              "no default route: no --gateway was given",
		"--subnet 192.0.2.0/24,2001:db8::/64": "no default route: no --gateway was given (Docker took the first address before late 2025)",
		"--subnet 192.0.2.0/24,2001:db8::/64 --gateway 192.0.2.1":           "no IPv6 default route: no IPv6 --gateway was given",
		"--subnet 192.0.2.0/24,2001:db8::/64 --gateway 2001:db8::1":         "no IPv4 default route: no IPv4 --gateway was given (Docker took the first address before late 2025)",
		"--subnet 192.0.2.0/24 --gateway 192.0.2.1 --ip-range 192.0.2.9/28": "--ip-range 192.0.2.9/28 is the range 192.0.2.0/28",
	} {
		w := newWorld(t)
		w.mustRun(strings.Fields("network create lan -o parent=lo0 " + flags)...)
		if want != "" {
			want = "berth: network lan: " + want + "\n"
		}
		mustEqual(t, flags, want, w.err.String())
	}
}

// FuzzCreateFlags requires for any command line an error, or a network that its file
// reproduces.
func FuzzCreateFlags(f *testing.F) {
	f.Add("--subnet\n192.0.2.0/24\n--gateway\n192.0.2.1\n-o\nparent=eth1.100\n-omtu=1400")
	f.Add("--subnet=192.0.2.0/24,2001:db8::/64\n--ip-range=192.0.2.9/26\n--aux-address=a=192.0.2.9\n-oparent=eth1\n--ipv6")
	f.Add("-d\nipvlan\n-o\nipvlan_mode=l3s\n-o\nparent=e\n-o\nroute=198.51.100.0/24 via 192.0.2.1 metric 7")
	f.Add("-o\nparent=eth1\n-o\nmacvlan_mode=source\n-o\nsource_macs=02:00:5e:00:53:01\n--ipam-driver=null\n-oipv6=slaac")
	f.Add("--internal\n--label=a\n--ipv4=0\n-oconflict_timeout=1h")
	f.Fuzz(func(t *testing.T, line string) {
		var o createFlags
		flags := pflag.NewFlagSet("create", pflag.ContinueOnError)
		flags.Usage = func() {}
		o.registerFlags(flags)
		if flags.Parse(strings.Split(line, "\n")) != nil {
			return
		}
		n, _, err := o.parseNetwork("lan")
		if err != nil {
			if text := err.Error(); !strings.HasPrefix(text, "-") {
				t.Errorf("error %q does not begin with a flag", text)
			}
			return
		}
		text, err := specs.EncodeNetwork(n)
		if err != nil {
			t.Fatal(err)
		}
		back, err := specs.DecodeNetwork("lan", text)
		if err != nil {
			t.Fatalf("file is not read back: %v\n%s", err, text)
		}
		if diff := cmp.Diff(n, back, equalAddresses, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("read back (-made +read):\n%s", diff)
		}
	})
}
