package cni

import (
	"strings"
	"testing"

	"berth/engine/doortest"
	"berth/internal/testnet"
	"berth/specs"
)

// TestWhatAnUntrustedTextMayNot requires that a NetworkAttachmentDefinition, which every user
// of a namespace may write, requests nothing that the policy does not allow.
func TestWhatAnUntrustedTextMayNot(t *testing.T) {
	t.Parallel()
	n, ns := newNode(t), testnet.Namespace(t)
	n.Write("berth.toml", "[policy]\nnetworks = ['l*']\n")
	n.Write("networks.d/prod.toml", doortest.LAN)
	for more, want := range map[string]struct {
		code uint
		text string
	}{
		`, "parent": "eth0"`:                              {codeConfiguration, `: key "parent": want no definition in place, only "network"`},
		`, "master": "eth0", "mode": "bridge"`:            {codeConfiguration, `: key "master": want no definition in place`},
		`, "subnet": [{"subnet": "192.0.2.0/24"}]`:        {codeConfiguration, `: key "subnet": want no definition in place`},
		`, "ipam": {"type": "host-local"}`:                {codeConfiguration, `ipam "{\"type\": \"host-local\"}": want no value`},
		`, "default-route": ["192.0.2.7"]`:                {codeConfiguration, `: key "default-route": want one of`},
		`, "config": "/tmp"`:                              {codeConfiguration, `: key "config": want one of`},
		`, "NETWORK": "prod"`:                             {codeConfiguration, `: key "NETWORK": want one of`},
		`, "network": "prod"`:                             {codeDecoding, `: key "network": the object has this key twice`},
		`, "runtimeConfig": {"ips": ["192.0.2.9"]}`:       {codePolicy, `ips "192.0.2.9": containers may not request addresses; set static_ips = true`},
		`, "runtimeConfig": {"portMappings": []}`:         {codeConfiguration, `runtimeConfig: key "portMappings": want one of ips, mac`},
		`, "capabilities": {"portMappings": true}`:        {codeConfiguration, `capabilities: key "portMappings": want one of ips, mac`},
		`, "args": {"cni": {"mac": "02:00:5e:00:53:1"}}`:  {codeConfiguration, `args.cni.mac "02:00:5e:00:53:1": want a MAC address`},
		`, "args": {"cni": {"mac": "02:00:5e:00:53:01"}}`: {codePolicy, `mac "02:00:5e:00:53:01": containers may not request MACs; set static_macs = true`},
		`, "args": {"cni": {"gateway": "x"}}`:             {codeConfiguration, `args.cni: key "gateway": want one of ips, mac`},
	} {
		n.refused("ADD", on(ns, "c1", conf("1.1.0", more)), want.code, want.text)
	}
	for network, want := range map[string]string{"prod": "[policy] networks in berth.toml permits only", "../x": "letters", "lost": `network "lost": there is no such network in`, "": "network"} {
		code := uint(codeConfiguration)
		if network == "prod" {
			code = codePolicy
		}
		n.refused("ADD", on(ns, "c1", strings.Replace(conf("1.1.0", ""), `"lan"`, `"`+network+`"`, 1)), code, want)
	}
	n.RequireNothing(ns)
}

func TestRequestsThatAreNone(t *testing.T) {
	t.Parallel()
	n, ns := newNode(t), testnet.Namespace(t)
	good := on(ns, "c1", conf("1.1.0", ""))
	for name, c := range map[string]struct {
		change func(*request)
		code   uint
		text   string
	}{
		"no id":           {func(r *request) { r.id = "" }, codeEnvironment, "CNI_CONTAINERID is not set"},
		"an id as a path": {func(r *request) { r.id = "../c1" }, codeEnvironment, "invalid characters in containerID"},
		"no interface":    {func(r *request) { r.ifname = "" }, codeEnvironment, "CNI_IFNAME is not set"},
		"a long name":     {func(r *request) { r.ifname = "netnetnetnetnet0" }, codeEnvironment, "too long"},
		"the loopback":    {func(r *request) { r.ifname = "lo" }, codeEnvironment, `CNI_IFNAME "lo": the kernel uses this name itself`},
		"no namespace":    {func(r *request) { r.netNS = "" }, codeEnvironment, "CNI_NETNS is not set"},
		"no such path":    {func(r *request) { r.netNS = "/run/netns/gone" }, codeNamespace, `network namespace of container "c1"`},
		"no namespace at": {func(r *request) { r.netNS = "/etc/passwd" }, codeNamespace, "not a network namespace"},
		"the host's":      {func(r *request) { r.netNS = testnet.Here(t).Path() }, codeNamespace, "is in the host's network namespace"},
		"no JSON":         {func(r *request) { r.conf = "{" }, codeDecoding, "standard input"},
		"no object":       {func(r *request) { r.conf = "[]" }, codeDecoding, "standard input"},
		"nothing":         {func(r *request) { r.conf = "" }, codeDecoding, "standard input"},
		"two objects":     {func(r *request) { r.conf += "{}" }, codeDecoding, "one JSON value and nothing behind it"},
		"too much":        {func(r *request) { r.conf += strings.Repeat(" ", specs.MaxCNI) }, codeIO, "more than 1048576 bytes"},
		"no name":         {func(r *request) { r.conf = strings.Replace(r.conf, "cni-lan", "", 1) }, codeConfiguration, `name "": want CNI's name`},
		"a name as path":  {func(r *request) { r.conf = strings.Replace(r.conf, "cni-lan", "../x", 1) }, codeConfiguration, `name "../x": want`},
		"an argument":     {func(r *request) { r.args = "FOO=1" }, codeConfiguration, `CNI_ARGS "FOO": want IP, MAC or K8S_POD_*`},
		"no argument":     {func(r *request) { r.args = "FOO" }, codeConfiguration, `CNI_ARGS "FOO": want KEY=VALUE`},
		"no address":      {func(r *request) { r.args = "IP=x" }, codeConfiguration, `CNI_ARGS.IP "x": want an address`},
	} {
		r := good
		c.change(&r)
		t.Log(name)
		n.refused("ADD", r, c.code, c.text)
	}
	n.must("ADD", good)
}
