package specs

import (
	"strings"
	"testing"
)

// An error names the key and the value, and describes the wanted value in a user's words: no type
// and no function of Go.
func TestErrorsInUsersWords(t *testing.T) {
	t.Parallel()
	const net = "parent = \"p\"\n"
	for text, want := range map[string]string{
		"subnet = 3":                                 `line 2: subnet is a TOML integer: want a list`,
		"[subnet]\nsubnet = \"192.0.2.0/24\"":        `line 2: subnet is one table: want a list of tables, each below [[subnet]]`,
		"[[subnet]]\nsubnet = \"192.0.2.0/024\"":     `line 3: subnet.subnet "192.0.2.0/024": want an address or prefix`,
		"subnet = [{ subnet = \"fe80::%e/64\" }]":    `line 2: subnet.subnet "fe80::%e/64": want an address or prefix`,
		"[[subnet]]\ngateway = \"router\"":           `line 3: subnet.gateway "router": want an address or prefix`,
		"[[route]]\nto = \"default\"":                `line 3: route.to "default": want an address or prefix`,
		"[[route]]":                                  `route[0].to "": want a network's own address`,
		"ipv6_token = \"x\"":                         `line 2: ipv6_token "x": want an address or prefix`,
		"sysctls = 1":                                `line 2: sysctls is a TOML integer: want a table`,
		"[[sysctls]]\na = 1":                         `line 2: sysctls is a list of tables: want one table, below [sysctls]`,
		"[sysctls]\n\"net.ipv4.conf.IFNAME.x\" = 1.": `line 3`,
		"[sysctls]\n\"a.b\" = 1.5":                   `line 3: sysctls.a.b is a TOML float: want a whole number`,
		"[sysctls]\n\"a.b\" = 2026-11-29":            `line 3: sysctls.a.b is a TOML local date: want a whole number`,
		"mtu = 99999999999999999999":                 `line 2: mtu is too large: want a smaller number`,
		"enforce = [[\"ip-spoof\"]]":                 `line 2: enforce is a TOML array: want a text`,
	} {
		err := decodeNetwork([]byte(net + text + "\n"))
		if err == nil || !strings.HasPrefix(err.Error(), want) || namesGo(err.Error()) {
			t.Errorf("%s: error %v, want %s", text, err, want)
		}
	}
	for text, want := range map[string]string{
		"[[policy]]":                           `line 1: policy is a list of tables: want one table, below [policy]`,
		"[[agent]]\nattach = \"tcx\"":          `line 1: agent is a list of tables: want one table, below [agent]`,
		"[agent]\nmax_endpoints = 4294967296":  `line 2: agent.max_endpoints is too large: want a smaller number`,
		"[policy]\nvlans = [\"+5\"]":           `policy.vlans[0] "+5": want a VLAN id`,
		"[policy]\nvlans = [\"1-+5\"]":         `policy.vlans[0] "1-+5": want a VLAN id`,
		"[agent]\nevents_file = \"/a\\u0000\"": `agent.events_file "/a\x00": want the absolute path`,
		"[agent]\nevents_file = \"/a\\nb\"":    `agent.events_file "/a\nb": want the absolute path`,
		"[agent]\ndocker = \"/\\u001b[1m\"":    `agent.docker "/\x1b[1m": want the absolute path`,
		"[agent]\ncontainerd = [\"/\\u0000\"]": `agent.containerd[0] "/\x00": want the absolute path`,
		"[cluster]\ndirectory = \"/a\\u0000\"": `cluster.directory "/a\x00": want the absolute path`,
		"[agent]\nsocket_group = \"a\\nb\"":    `agent.socket_group "a\nb": want the name of a group`,
	} {
		err := decodeConfig([]byte(text + "\n"))
		if err == nil || !strings.HasPrefix(err.Error(), want) || namesGo(err.Error()) {
			t.Errorf("%s: error %v, want %s", text, err, want)
		}
	}
}

// namesGo reports whether a text has a word of Go's that no user knows.
func namesGo(text string) bool {
	for _, word := range []string{"invalid Prefix", "struct", "uint32", "into int", "map["} {
		if strings.Contains(text, word) {
			return true
		}
	}
	return false
}

// Editors put a byte order mark before JSON as before TOML.
func TestByteOrderMarkBeforeJSON(t *testing.T) {
	t.Parallel()
	all, err := ParseAnnotations(map[string]string{KeyNetworks: "\ufeff[{\"name\": \"lan\"}]"})
	if err != nil || len(all) != 1 || all[0].Network != "lan" {
		t.Errorf("annotation: %v, error %v", all, err)
	}
	c, err := ParseCNI([]byte("\ufeff{\"name\": \"n\", \"network\": \"lan\"}"))
	if err != nil || c.Network != "lan" {
		t.Errorf("CNI: %v, error %v", c, err)
	}
}

// encoding/json replaces each byte that is not UTF-8 by U+FFFD, so that two texts become one.
func TestJSONIsUTF8(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"[{\"name\": \"lan\xff\"}]", "[{\"parent\": \"eth\xfe\"}]", "[{\"na\xffme\": \"lan\"}]"} {
		if _, err := ParseAnnotations(map[string]string{KeyNetworks: text}); err == nil || !strings.Contains(err.Error(), "UTF-8") {
			t.Errorf("%q: error %v, want one about UTF-8", text, err)
		}
	}
	if _, err := ParseCNI([]byte("{\"name\": \"n\xff\", \"network\": \"lan\"}")); err == nil || !strings.Contains(err.Error(), "UTF-8") {
		t.Errorf("CNI: error %v, want one about UTF-8", err)
	}
}
