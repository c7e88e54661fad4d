//go:build engines

package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"berth/test/lab"
)

// strictPolicy permits the networks of lanNetwork's kind, with requested addresses.
const strictPolicy = "[policy]\nnetworks = [\"l*\"]\nstatic_ips = true\n"

// expectPodRefused checks that a pod does not start, and that crictl prints words of the reason. A
// containerd that keeps refused sandboxes refuses the pod's container.
func (n *node) expectPodRefused(t *testing.T, c lab.Container, want ...string) {
	t.Helper()
	if _, err := n.cri.Start(c); err == nil {
		t.Errorf("pod %s started", c.ID)
		must(t, n.cri.Stop(c.ID))
	} else {
		for _, w := range want {
			if !strings.Contains(unquote(err.Error()), w) {
				t.Errorf("pod %s: crictl lacks %q: %v", c.ID, w, err)
			}
		}
	}
}

// expectRequestRefused is expectPodRefused for a pod with these annotations.
func (n *node) expectRequestRefused(t *testing.T, name string, request annotations, want ...string) {
	t.Helper()
	c := n.sleeper(name)
	c.Annotations = request
	n.expectPodRefused(t, c, want...)
}

// TestCRIRequestsRefused requests by the annotations of pods what the policy or the format
// forbids, while the agent is away. Afterwards a pod with a permitted request starts.
func TestCRIRequestsRefused(t *testing.T) {
	t.Parallel()
	n := &node{site: newSite(t)}
	must(t, n.Policy(strictPolicy))
	must(t, n.Network("lan", podLAN))
	must(t, n.Network("prod", strings.ReplaceAll(podLAN, "192.0.2.", "203.0.113.")))
	n.serveRuntime(t, "")
	n.takeBaseline(t)
	plugin := n.startPlugin(t)
	defer stopDaemon(t, plugin)
	for name, c := range map[string]struct {
		request annotations
		want    []string
	}{
		"network":  {annotations{"berth/networks": "prod"}, []string{`"prod"`, "[policy] networks in berth.toml"}},
		"parent":   {annotations{"berth/parent": "eth1"}, []string{"parent", `"eth1"`, "[policy] parents in berth.toml"}},
		"address":  {annotations{"berth/networks": `[{"name":"lan","ips":["198.51.100.7"]}]`}, []string{`"198.51.100.7"`, "192.0.2.0/24"}},
		"mac":      {annotations{"berth/networks": `[{"name":"lan","mac":"` + heldMAC + `"}]`}, []string{heldMAC, "static_macs"}},
		"longname": {annotations{"berth/networks": "lan@abcdefghijklmnop"}, []string{`"abcdefghijklmnop"`, "15 bytes"}},
		"longnet":  {annotations{"berth/networks": strings.Repeat("l", 65)}, []string{"berth/networks[0]", "64"}},
		"key":      {annotations{"berth/networks": `[{"name":"lan","vlan":"7"}]`}, []string{"berth/networks[0]", `"vlan"`}},
		"other":    {annotations{"berth/netwroks": "lan"}, []string{`"berth/netwroks"`, "berth/networks"}},
		"absent":   {annotations{"berth/networks": "lam"}, []string{`"lam"`, "no such network", "lan"}},
		"nojson":   {annotations{"berth/networks": `[{"name":"lan"`}, []string{"berth/networks", "JSON"}},
	} {
		n.expectRequestRefused(t, name, c.request, c.want...)
	}
	must(t, n.cri.RemovePods())
	n.expectNothingLeft(t, n.before)
	c := n.sleeper("web")
	_, err := n.cri.Start(c)
	must(t, err)
	n.expectPodHas(t, c, firstOfPool)
	n.stopPods(t, c)
}

// expectPodHas checks that a pod has the interface net1 with an address, which the LAN reaches.
func (n *node) expectPodHas(t *testing.T, c lab.Container, address string) {
	t.Helper()
	shown, err := n.cri.Exec(c.ID, "ip", "-o", "address", "show", "net1")
	if err != nil || !strings.Contains(shown, address+"/24") {
		t.Errorf("pod %s has %s, %v, want %s", c.ID, shown, err, address)
	}
	n.expectReached(t, address)
}

// delegating is a plugin of CNI that calls berth-cni as Multus does: after the pod's own
// network, with the interface net1 and a definition, which is the file with the pod's name.
// A pod without such a file gets its own network alone.
const delegating = `#!/bin/sh
[ "$CNI_COMMAND" != VERSION ] || exec echo '{"cniVersion":"1.0.0","supportedVersions":["0.3.1","0.4.0","1.0.0"]}'
conf=$(cat)
pod=$(printf %s "$CNI_ARGS" | sed 's/.*K8S_POD_NAME=\([^;]*\).*/\1/')
if [ "$CNI_COMMAND" != CHECK ] && [ -e "DIR/$pod" ]; then
	out=$(CNI_IFNAME=net1 CALL <"DIR/$pod") || { status=$?; printf %s "$out"; exit $status; }
fi
[ "$CNI_COMMAND" != ADD ] || printf %s "$conf" | jq .prevResult
`

// delegateTo adds such a plugin to the network of a node's pods, and returns the directory of its
// definitions.
func (n *node) delegateTo(t *testing.T) (definitions string) {
	t.Helper()
	definitions = filepath.Join(n.Dir, "definitions")
	must(t, os.Mkdir(definitions, 0o755))
	plugin := "/usr/lib/cni/delegating-" + n.Name
	call := strings.Join(append([]string{filepath.Join(bin, "berth-cni")}, n.Flags()...), " ")
	text := strings.NewReplacer("DIR", definitions, "CALL", call).Replace(delegating)
	must(t, os.WriteFile(plugin, []byte(text), 0o755))
	t.Cleanup(func() { must(t, os.Remove(plugin)) })
	file := filepath.Join(filepath.Dir(n.cri.ConfigFile()), "cni/10-pods.conflist")
	conf, err := os.ReadFile(file)
	must(t, err)
	const end = "\t}]\n}\n"
	changed := strings.TrimSuffix(string(conf), end) + "\t}, {\"type\": \"" + filepath.Base(plugin) + "\"}]\n}\n"
	must(t, n.cri.StopDaemon())
	must(t, os.WriteFile(file, []byte(changed), 0o644))
	must(t, n.cri.StartDaemon())
	return definitions
}

// TestCRIDefinitionsRefused gives pods definitions of networks, as a user of the namespace writes
// them, that request what the policy or the format forbids. crictl prints the reason.
func TestCRIDefinitionsRefused(t *testing.T) {
	t.Parallel()
	n := &node{site: newSite(t)}
	must(t, n.Policy(strictPolicy))
	must(t, n.Network("lan", podLAN))
	must(t, n.Network("prod", strings.ReplaceAll(podLAN, "192.0.2.", "203.0.113.")))
	must(t, n.Network("lshop", strings.ReplaceAll("namespaces = [\"shop-*\"]\n"+podLAN, "192.0.2.", "198.18.0.")))
	n.serveRuntime(t, "")
	definitions := n.delegateTo(t)
	n.takeBaseline(t)
	for name, c := range map[string]struct {
		more string
		want []string
	}{
		"policy":    {`"network": "prod"`, []string{`"prod"`, "[policy] networks in berth.toml"}},
		"namespace": {`"network": "lshop"`, []string{"lshop", "namespace", "default"}},
		"absent":    {`"network": "lam"`, []string{`"lam"`, "no such network"}},
		"parent":    {`"network": "lan", "parent": "eth1"`, []string{`"parent"`, "no definition in place"}},
		"macvlan":   {`"network": "lan", "master": "eth1", "mode": "bridge"`, []string{`"master"`, "no definition in place"}},
		"address":   {`"network": "lan", "args": {"cni": {"ips": ["198.51.100.7"]}}`, []string{`"198.51.100.7"`, "192.0.2.0/24"}},
		"mac":       {`"network": "lan", "args": {"cni": {"mac": "` + heldMAC + `"}}`, []string{heldMAC, "static_macs"}},
		"key":       {`"network": "lan", "vlan": 7`, []string{`"vlan"`, "want one of"}},
		"long":      {`"network": "` + strings.Repeat("l", 65) + `"`, []string{"network", "64"}},
	} {
		text := `{"cniVersion": "0.4.0", "name": "lan", "type": "berth-cni", ` + c.more + `}`
		must(t, os.WriteFile(filepath.Join(definitions, n.id(name)), []byte(text), 0o644))
		n.expectRequestRefused(t, name, nil, c.want...)
	}
	must(t, n.cri.RemovePods())
	n.expectNothingLeft(t, n.before)
	c := n.sleeper("web")
	c.Annotations = nil
	text := `{"cniVersion": "0.4.0", "name": "lan", "type": "berth-cni", "network": "lan"}`
	must(t, os.WriteFile(filepath.Join(definitions, c.ID), []byte(text), 0o644))
	_, err := n.cri.Start(c)
	must(t, err)
	n.expectPodHas(t, c, firstOfPool)
	n.stopPods(t, c)
}
