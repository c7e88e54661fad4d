package cni

import (
	"fmt"
	"strings"
	"testing"

	"berth/engine/doortest"
	"berth/hook"
	"berth/internal/testnet"
	"berth/specs"
)

// gcConf returns a configuration with the attachments that a runtime still uses, each as
// ID/IFNAME.
func gcConf(valid ...string) string {
	var list []string
	for _, v := range valid {
		id, ifname, _ := strings.Cut(v, "/")
		list = append(list, fmt.Sprintf(`{"containerID": %q, "ifname": %q}`, id, ifname))
	}
	return conf("1.1.0", `, "cni.dev/valid-attachments": [`+strings.Join(list, ",")+`], "cni.dev/attachments": []`)
}

// TestGC requires that GC takes back the attachments that the runtime does not list, and none
// of another door, CNI network or network of berth's.
func TestGC(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	n.Write("networks.d/lan.toml", "default_route = false\n"+doortest.LAN)
	n.Write("networks.d/lan2.toml", strings.Replace(doortest.LAN, "192.0.2.", "198.51.100.", 2))
	nerdctls := "default-" + strings.Repeat("ab", 32)
	listed, stale, other := testnet.Namespace(t), testnet.Namespace(t), testnet.Namespace(t)
	add := func(id, ifname, conf string, in *testnet.NS) {
		r := on(in, id, conf)
		r.ifname = ifname
		n.must("ADD", r)
	}
	add(nerdctls, "net0", conf("1.1.0", ""), listed)
	add("c1", "net1", conf("1.1.0", ""), listed)
	add("c2", "net0", conf("1.1.0", ""), stale)
	add("c1", "net2", conf("1.1.0", ""), stale) // another interface of a listed container
	add("c3", "net0", strings.Replace(conf("1.1.0", ""), "cni-lan", "cni-lan2", 1), other)
	add("c4", "net1", strings.Replace(conf("1.1.0", ""), `"lan"`, `"lan2"`, 1), other)
	h := &hook.Hook{Dirs: n.Dirs, Store: n.Store, Log: logOf(n)}
	if _, err := h.Attach(t.Context(), hook.Sandbox{ID: "c5", NetNS: other.Path()}, []specs.Selection{{Network: "lan", Interface: "net5"}}); err != nil {
		t.Fatal(err)
	}
	n.refused("GC", request{conf: conf("1.1.0", "")}, codeConfiguration, "cni.dev/valid-attachments is missing")
	n.refused("GC", request{conf: strings.Replace(gcConf(), `"network"`, `"x"`, 1)}, codeConfiguration, "network is missing")
	for range 2 {
		n.must("GC", request{conf: gcConf(nerdctls+"/net0", "c1/net1", "c9/net0")})
		for id, want := range map[string]int{nerdctls[len("default-"):]: 1, "c1": 1, "c2": 0, "c3": 1, "c4": 1, "c5": 1} {
			if got := len(n.Attachments(id)); got != want {
				t.Errorf("%d attachments of %s, want %d", got, id, want)
			}
		}
	}
	if got := testnet.Run(t, stale, "ip", "-o", "link", "show", "type", "macvlan"); got != "" {
		t.Errorf("left behind: %s", got)
	}
	n.must("DEL", on(other, "c5", conf("1.1.0", ""))) // a hook's, which DEL leaves alone
	if got := len(n.Attachments("c5")); got != 1 {
		t.Errorf("%d attachments of c5", got)
	}
	n.must("GC", request{conf: strings.Replace(gcConf(), "[]", "null", 1)}) // no attachments: a Go runtime's nil
	if got := len(n.Attachments("c1")); got != 0 {
		t.Errorf("%d attachments of c1", got)
	}
}

// TestGCGoesOn requires that an attachment that another process works on does not stop GC.
func TestGCGoesOn(t *testing.T) {
	t.Parallel()
	n, ns := newNode(t), testnet.Namespace(t)
	for i, id := range []string{"c1", "c2"} {
		r := on(ns, id, conf("1.1.0", ""))
		r.ifname = fmt.Sprintf("net%d", i)
		n.must("ADD", r)
	}
	unlock, err := n.Store.Hold(t.Context(), n.FirstOf("c1").Key())
	if err != nil {
		t.Fatal(err)
	}
	n.must("GC", request{conf: gcConf()})
	if len(n.Attachments("c1")) != 1 || len(n.Attachments("c2")) != 0 {
		t.Errorf("records:\n%s", n.Records())
	}
	unlock()
	n.must("GC", request{conf: gcConf()})
	n.RequireNothing(ns)
}

func TestStatus(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	r := request{conf: conf("1.1.0", "")}
	if out := n.must("STATUS", r); out != "" {
		t.Errorf("STATUS wrote %s", out)
	}
	n.RequireNothing()
	n.Write("networks.d/lan.toml", strings.Replace(doortest.LAN, "gateway", "ip_range = '192.0.2.8/31'\n#", 1))
	n.must("STATUS", r)
	full := testnet.Namespace(t)
	for i := range 2 {
		add := on(full, fmt.Sprint("c", i), conf("1.1.0", ""))
		add.ifname = fmt.Sprint("net", i)
		n.must("ADD", add)
	}
	n.refused("STATUS", r, codeNotReady, "192.0.2.8/31")
	if err := full.Close(); err != nil {
		t.Fatal(err)
	}
	testnet.Eventually(t, "the addresses of ended containers are reclaimed", func() bool {
		_, bad := n.callPlugin("STATUS", r)
		return bad.Code == 0
	})
	n.must("GC", request{conf: gcConf()}) // STATUS is content with one free address
	n.RequireNothing()
	n.Write("berth.toml", "[policy]\nnetworks = ['prod']\n")
	n.refused("STATUS", r, codeNotReady, "[policy] networks in berth.toml permits only")
	n.Write("berth.toml", "")
	n.refused("STATUS", request{conf: conf("1.1.0", `, "parent": "x"`)}, codeNotReady, `key "parent"`)
	testnet.Run(t, testnet.Here(t), "ip", "link", "set", n.Parent, "down")
	n.refused("STATUS", r, codeLimited, "is down; set it up")
	testnet.Run(t, testnet.Here(t), "ip", "link", "del", n.Parent)
	n.refused("STATUS", r, codeLimited, "does not exist")
	n.Write("networks.d/lan.toml", "broken")
	n.refused("STATUS", r, codeNotReady, "networks.d/lan.toml")
}
