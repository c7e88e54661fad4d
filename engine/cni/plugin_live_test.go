package cni

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/containernetworking/cni/pkg/types/create"

	"berth/engine/doortest"
	"berth/internal/testnet"
)

// TestAddCheckDel adds, checks and deletes an interface in every version of the protocol.
func TestAddCheckDel(t *testing.T) {
	t.Parallel()
	for _, protocol := range Versions {
		t.Run(protocol, func(t *testing.T) {
			t.Parallel()
			n, ns := newNode(t), testnet.Namespace(t)
			r := on(ns, "c1", conf(protocol, ""))
			out := n.must("ADD", r)
			got, err := create.Create(protocol, []byte(out))
			if err != nil || got.Version() != protocol {
				t.Fatalf("result %v, %v:\n%s", got, err, out)
			}
			a := n.FirstOf("c1")
			for _, want := range []string{`"192.0.2.2/24"`, `"gateway": "192.0.2.1"`, `"dst": "0.0.0.0/0"`, `"net0"`, `"` + ns.Path() + `"`, `"` + a.MAC.String() + `"`} {
				if !strings.Contains(out, want) {
					t.Errorf("no %s in the result:\n%s", want, out)
				}
			}
			if has := strings.Contains(out, `"mtu": 1500`); has != (protocol == "1.1.0") {
				t.Errorf("mtu in the result of version %s: %v", protocol, has)
			}
			link := testnet.Run(t, ns, "ip", "-o", "-d", "link", "show", "net0")
			if !strings.Contains(link, a.MAC.String()) || !strings.Contains(link, "macvlan mode bridge") {
				t.Errorf("interface: %s", link)
			}
			check := on(ns, "c1", withResult(r.conf, out))
			if protocol == "0.3.1" {
				n.refused("CHECK", check, codeVersion, `cniVersion "0.3.1": want 0.4.0 or newer for CHECK`)
			} else if out := n.must("CHECK", check); out != "" {
				t.Errorf("CHECK wrote %s", out)
			}
			for range 2 {
				if out := n.must("DEL", check); out != "" {
					t.Errorf("DEL wrote %s", out)
				}
				n.RequireNothing(ns)
			}
		})
	}
}

func TestVersions(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	out := n.must("VERSION", request{conf: `{"cniVersion": "1.0.0"}`})
	var got supported
	if err := json.Unmarshal([]byte(out), &got); err != nil || got.CNIVersion != "1.0.0" || strings.Join(got.SupportedVersions, " ") != "0.3.1 0.4.0 1.0.0 1.1.0" {
		t.Errorf("%v: %s", err, out)
	}
	n.must("VERSION", request{}) // runtimes before 1.0 write nothing
	ns := testnet.Namespace(t)
	for protocol, text := range map[string]string{
		"0.1.0": `cniVersion "0.1.0": want one of ["0.3.1"`, "": `cniVersion "": want`, "2.0.0": `cniVersion "2.0.0": want`, "x": `cniVersion "x": want`,
	} {
		n.refused("ADD", on(ns, "c1", conf(protocol, "")), codeVersion, text)
	}
	n.refused("GC", request{conf: conf("1.0.0", `, "cni.dev/valid-attachments": []`)}, codeVersion, "want 1.1.0 or newer for GC")
	n.refused("STATUS", request{conf: conf("1.0.0", "")}, codeVersion, "want 1.1.0 or newer for STATUS")
	n.refused("RUN", request{conf: conf("1.0.0", "")}, codeEnvironment, `CNI_COMMAND "RUN": want ADD`)
}

// TestDelOfWhatNeverWas requires that DEL succeeds whatever is missing: the attachment, the
// namespace, the network, a valid configuration.
func TestDelOfWhatNeverWas(t *testing.T) {
	t.Parallel()
	n, ns := newNode(t), testnet.Namespace(t)
	n.must("DEL", on(ns, "c1", conf("1.1.0", "")))
	n.must("DEL", on(nil, "c1", conf("1.1.0", "")))
	n.must("DEL", request{id: "c1", ifname: "net0", netNS: "/run/netns/gone", conf: conf("0.3.1", "")})
	n.must("DEL", on(ns, "c1", `{"cniVersion": "1.0.0", "name": "cni-lan", "type": "berth-cni", "parent": "eth0"}`))
	n.must("DEL", on(ns, "c1", conf("1.0.0", `, "runtimeConfig": {"ips": "x"}, "prevResult": 7`)))
	n.must("ADD", on(ns, "c1", conf("1.1.0", "")))
	n.Write("networks.d/lan.toml", "broken")
	n.must("DEL", on(nil, "c1", conf("1.1.0", "")))
	n.RequireNothing(ns)
}

// TestDelAfterTheNamespace requires that DEL frees the address of a namespace that has ended.
func TestDelAfterTheNamespace(t *testing.T) {
	t.Parallel()
	n, ns := newNode(t), testnet.Namespace(t)
	n.must("ADD", on(ns, "c1", conf("1.1.0", "")))
	if err := ns.Close(); err != nil {
		t.Fatal(err)
	}
	n.must("DEL", on(nil, "c1", conf("1.1.0", "")))
	n.RequireNothing()
}

func TestLayer2Only(t *testing.T) {
	t.Parallel()
	n, ns := newNode(t), testnet.Namespace(t)
	n.Write("networks.d/lan.toml", "parent = 'PARENT'\n")
	r := on(ns, "c1", conf("1.1.0", ""))
	out := n.must("ADD", r)
	if got := n.added(out); len(got.Interfaces) != 1 || len(got.IPs) != 0 || len(got.Routes) != 0 {
		t.Errorf("result %s", out)
	}
	n.must("CHECK", on(ns, "c1", withResult(r.conf, out)))
	n.must("DEL", r)
	n.RequireNothing(ns)
}

// TestRequestedAddressAndMAC requests them in every way, and with one of them in two.
func TestRequestedAddressAndMAC(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	n.allowStatic()
	for name, r := range map[string]request{
		"runtimeConfig":      {conf: conf("1.1.0", `, "capabilities": {"ips": true, "mac": true}, "runtimeConfig": {"ips": ["192.0.2.9/24"], "mac": "02:00:5e:00:53:09"}`)},
		"CNI_ARGS":           {conf: conf("0.3.1", ""), args: "IgnoreUnknown=1;IP=192.0.2.9;MAC=02:00:5e:00:53:09;NERDCTL_CNI_DHCP_HOSTNAME=web"},
		"args of the config": {conf: conf("1.0.0", `, "args": {"cni": {"ips": ["192.0.2.9"], "mac": "02:00:5E:00:53:09"}}`)},
		"all of them": {conf: conf("1.1.0", `, "runtimeConfig": {"ips": ["192.0.2.9/24"], "mac": "02:00:5e:00:53:09"}, "args": {"cni": {"ips": ["192.0.2.9"]}}`),
			args: "IP=192.0.2.9;MAC=02:00:5e:00:53:09"},
	} {
		ns := testnet.Namespace(t)
		r.id, r.ifname, r.netNS = "c1", "net0", ns.Path()
		out := n.must("ADD", r)
		if !strings.Contains(out, `"192.0.2.9/24"`) || !strings.Contains(out, `"02:00:5e:00:53:09"`) {
			t.Errorf("%s: result %s", name, out)
		}
		if got := testnet.Run(t, ns, "ip", "-o", "link", "show", "net0"); !strings.Contains(got, "02:00:5e:00:53:09") {
			t.Errorf("%s: interface %s", name, got)
		}
		n.must("DEL", r)
		n.RequireNothing(ns)
	}
}

// TestChained requires that the results of the plugins before are passed on.
func TestChained(t *testing.T) {
	t.Parallel()
	n, ns := newNode(t), testnet.Namespace(t)
	n.Write("networks.d/lan.toml", strings.Replace(doortest.LAN, "gateway", "exclude = ['192.0.2.2']\n# gateway", 1))
	before := `{"interfaces": [{"name": "eth0", "mac": "02:00:5e:00:53:01", "sandbox": "/x"}], "ips": [{"interface": 0, "address": "198.51.100.2/24"}],
		"routes": [{"dst": "203.0.113.0/24"}], "dns": {"nameservers": ["198.51.100.1"]}}` // without a version
	out := n.must("ADD", on(ns, "c1", withResult(conf("1.1.0", ""), before)))
	got := n.added(out)
	if len(got.Interfaces) != 2 || got.Interfaces[0].Name != "eth0" || got.Interfaces[1].Name != "net0" || len(got.IPs) != 2 || *got.IPs[1].Interface != 1 ||
		len(got.Routes) != 1 || len(got.DNS.Nameservers) != 1 || !strings.Contains(out, `"192.0.2.1/24"`) {
		t.Errorf("result %s", out)
	}
	later := strings.Replace(out, `"198.51.100.2/24"`, `"198.51.100.3/24"`, 1) // by a later plugin
	n.must("CHECK", on(ns, "c1", withResult(conf("1.1.0", ""), later)))
	for _, bad := range []string{"7", `{"ips": [null]}`, `{"interfaces": [null]}`, `{"routes": [null]}`, `{"cniVersion": "0.4.0"}`} {
		n.refused("ADD", on(testnet.Namespace(t), "c2", withResult(conf("1.1.0", ""), bad)), codeDecoding, "prevResult")
	}
}

// TestNerdctlCalls makes the calls of nerdctl: its ID has its namespace before it, and a DEL
// without a namespace comes before each ADD.
func TestNerdctlCalls(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	n.allowStatic()
	id := strings.Repeat("0a", 32)
	for range 2 { // nerdctl restart
		ns := testnet.Namespace(t)
		r := on(nil, "my-ns-"+id, conf("1.0.0", `, "capabilities": {"ips": true}`))
		r.ifname, r.args = "eth0", "IgnoreUnknown=1;IP=192.0.2.70;NERDCTL_CNI_DHCP_HOSTNAME=web"
		n.must("DEL", r)
		r.netNS = ns.Path()
		out := n.must("ADD", r)
		if all := n.Attachments(id); len(all) != 1 || !strings.Contains(out, "192.0.2.70/24") {
			t.Errorf("%s: %s", out, n.Records())
		}
	}
	n.must("DEL", request{id: "my-ns-" + id, ifname: "eth0", conf: conf("1.0.0", "")})
	n.RequireNothing()
}

func TestAddTwice(t *testing.T) {
	t.Parallel()
	n, ns := newNode(t), testnet.Namespace(t)
	r := on(ns, "c1", conf("1.1.0", ""))
	n.must("ADD", r)
	n.refused("ADD", r, codeFailed, `the container has an interface "net0" already; request another name`)
	r.id = "c2"
	n.refused("ADD", r, codeFailed, `the container has an interface "net0" already`)
	r.ifname = "net5"
	r.conf = strings.Replace(r.conf, "cni-lan", "other", 1)
	n.Write("networks.d/lan.toml", doortest.LAN+"\n") // the default route is of the first
	n.must("ADD", r)
	n.must("DEL", on(ns, "c2", r.conf)) // net0 is another container's
	if got := len(n.Attachments("c1")) + len(n.Attachments("c2")); got != 2 {
		t.Errorf("%d attachments:\n%s", got, n.Records())
	}
}

// TestCheckFailsAfterADrift requires that CHECK reports each change.
func TestCheckFailsAfterADrift(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	n.allowStatic()
	for text, change := range map[string]string{
		`has no address 192.0.2.2/24 any more`:       "addr del 192.0.2.2/24 dev net0",
		`has MAC 02:00:5e:00:53:55`:                  "link set net0 address 02:00:5e:00:53:55",
		`interface "net0" is down`:                   "link set net0 down",
		`the container has no interface "net0" any`:  "link del net0",
		`no route to 0.0.0.0/0 through interface`:    "route del default",
		`is macvlan private; it was made as macvlan`: "link set net0 type macvlan mode private",
	} {
		ns := testnet.Namespace(t)
		r := on(ns, "c1", conf("1.1.0", ""))
		out := n.must("ADD", r)
		r.conf = withResult(r.conf, out)
		n.must("CHECK", r)
		testnet.Run(t, ns, "ip", strings.Fields(change)...)
		n.refused("CHECK", r, codeChanged, text)
		n.must("DEL", r)
		n.RequireNothing(ns)
	}
	ns := testnet.Namespace(t)
	r := on(ns, "c1", conf("1.1.0", ""))
	out := n.must("ADD", r)
	n.refused("CHECK", r, codeConfiguration, "prevResult is missing")
	n.refused("CHECK", on(ns, "c1", withResult(r.conf, `{"cniVersion": "1.1.0"}`)), codeChanged, `prevResult has no interface "net0"`)
	n.refused("CHECK", on(ns, "c1", withResult(r.conf, strings.Replace(out, "192.0.2.2/24", "192.0.2.7/24", 1))), codeChanged, "not reserved for it")
	n.refused("CHECK", on(ns, "c2", withResult(r.conf, out)), codeChanged, `no record of interface "net0" of container "c2"`)
	other := testnet.Namespace(t)
	n.refused("CHECK", on(other, "c1", withResult(r.conf, strings.Replace(out, ns.Path(), other.Path(), 1))), codeNamespace, "is not that in which")
}

// TestPodsByMultus drives the plugin as Multus does: the outer call's arguments are
// repeated, and CHECK and DEL have the cached result.
func TestPodsByMultus(t *testing.T) {
	t.Parallel()
	n, ns := newNode(t), testnet.Namespace(t)
	n.Write("networks.d/lan.toml", "namespaces = ['prod-*']\ndefault_route = false\n"+doortest.LAN)
	n.allowStatic()
	pod := "K8S_POD_NAMESPACE=prod-a;K8S_POD_NAME=web;K8S_POD_INFRA_CONTAINER_ID=c1;K8S_POD_UID=u1"
	r := on(ns, "c1", conf("0.3.1", `, "capabilities": {"ips": true, "mac": true}, "runtimeConfig": {"ips": ["192.0.2.9"], "mac": "02:00:5e:00:53:09"}, "ipam": {}, "dns": {}`))
	r.args = "IgnoreUnknown=true;" + pod + ";IgnoreUnknown=1;" + pod + ";K8S_POD_MORE=x"
	out := n.must("ADD", r)
	a := n.FirstOf("c1")
	if a.Annotations[podName] != "web" || a.Annotations[podNamespace] != "prod-a" || a.Annotations[podUID] != "u1" {
		t.Errorf("names %v", a.Annotations)
	}
	if strings.Contains(out, "0.0.0.0/0") {
		t.Errorf("a default route in %s", out)
	}
	r.conf = withResult(strings.Replace(r.conf, "0.3.1", "0.4.0", 1), strings.Replace(out, "0.3.1", "0.4.0", 1))
	n.must("CHECK", r)
	for _, netNS := range []string{ns.Path(), ""} {
		r.netNS = netNS
		n.must("DEL", r)
		n.RequireNothing(ns)
	}
	for args, text := range map[string]string{
		"K8S_POD_NAMESPACE=dev;K8S_POD_NAME=web": `network "lan": the namespace "dev" may not use it`,
		"":                                       `network "lan": the namespace "" may not use it`,
	} {
		r := on(ns, "c1", conf("1.0.0", ""))
		r.args = args
		n.refused("ADD", r, codePolicy, text)
	}
	r = on(ns, "c1", conf("1.0.0", ""))
	r.args = "K8S_POD_NAMESPACE=dev;K8S_POD_NAMESPACE=prod-a"
	n.refused("ADD", r, codeConfiguration, `CNI_ARGS.K8S_POD_NAMESPACE "prod-a": want one value; "dev" is given too`)
}
