package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/containernetworking/cni/libcni"

	"berth/internal/testnet"
	"berth/specs"
	"berth/test/lab"
	"berth/test/traffic"
)

// oddConflist is a network of CNI with three plugins; the first one is replaced.
const oddConflist = `{"cniVersion": "1.0.0", "name": "home", "plugins": [%s,
	{"type": "tuning", "sysctl": {"net.ipv4.conf.net1.arp_announce": "2"}},
	{"type": "tuning", "allmulti": true}]}`

// oddMacvlan is the first plugin.
const oddMacvlan = `{"type": "macvlan", "master": "eth1", "mode": "bridge", "ipam": {"type": "host-local", "dataDir": %q,
	"ranges": [[{"subnet": "192.0.2.0/24", "rangeStart": "192.0.2.210", "rangeEnd": "192.0.2.220", "gateway": "192.0.2.1"}],
		[{"subnet": "2001:db8::/64", "gateway": "2001:db8::1"}]], "routes": [{"dst": "0.0.0.0/0"}]}}`

// The first container has the first address of the range, so that no container has the second one.
const inUseOfRange, unusedOfRange = "192.0.2.210", "192.0.2.211"

// cniNode runs networks of CNI on a site's host as a runtime does.
type cniNode struct {
	*site
	lib  *libcni.CNIConfig
	file string // of the network
}

func newCNINode(t *testing.T) *cniNode {
	t.Helper()
	s := newSite(t)
	plugins := filepath.Join(s.Dir, "plugins")
	must(t, os.MkdirAll(plugins, 0o755))
	program := filepath.Join(plugins, "berth-cni")
	testnet.Script(t, program, "exec "+filepath.Join(bin, "berth-cni")+" "+strings.Join(s.Flags(), " "))
	return &cniNode{site: s, file: filepath.Join(s.Dir, "10-home.conflist"),
		lib: libcni.NewCNIConfigWithCacheDir([]string{plugins, "/usr/lib/cni"}, filepath.Join(s.Dir, "cni-cache"), nil)}
}

// within calls a function of libcni with the network of a file, in the host's namespace.
func (n *cniNode) within(t *testing.T, pod *lab.Machine, do func(*libcni.NetworkConfigList, *libcni.RuntimeConf) error) {
	t.Helper()
	list, err := libcni.ConfListFromFile(n.file)
	must(t, err)
	must(t, traffic.Within(n.Path(), func() error {
		return do(list, &libcni.RuntimeConf{ContainerID: pod.Name, NetNS: pod.Path(), IfName: "net1"})
	}))
}

// adopt runs berth adopt with a variable of the environment, and returns its output.
func (s *site) adopt(t *testing.T, env string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := s.Command(ctx, filepath.Join(bin, "berth"), slices.Concat(s.Flags(), []string{"adopt"}, args)...)
	cmd.Env = append(cmd.Environ(), env)
	text, err := lab.Output(cmd)
	must(t, err)
	return text
}

// TestAdoptedConflist adopts a network of CNI with several plugins, and replaces the plugin as printed: the
// plugins after it work as before, and the address in use is not given out.
func TestAdoptedConflist(t *testing.T) {
	t.Parallel()
	n := newCNINode(t)
	n.agent(t)
	write := func(first string) { must(t, os.WriteFile(n.file, fmt.Appendf(nil, oddConflist, first), 0o644)) }
	write(fmt.Sprintf(oddMacvlan, filepath.Join(n.Dir, "leases")))
	var pods [2]*lab.Machine
	for i := range pods {
		var err error
		pods[i], err = lab.NewMachine(n.id(fmt.Sprint("pod", i)))
		must(t, err)
		defer func() { must(t, pods[i].Remove()) }()
	}
	add := func(list *libcni.NetworkConfigList, rt *libcni.RuntimeConf) error {
		_, err := n.lib.AddNetworkList(t.Context(), list, rt)
		return err
	}
	n.within(t, pods[0], add)
	n.observedOn(t, inUseOfRange)
	printed := n.adopt(t, "", "--file", n.file)
	for _, want := range []string{"leave the plugins after it (tuning, tuning)", "replace the plugin macvlan"} {
		if !strings.Contains(printed, want) {
			t.Errorf("berth adopt printed no %q:\n%s", want, printed)
		}
	}
	remove := func(list *libcni.NetworkConfigList, rt *libcni.RuntimeConf) error {
		return n.lib.DelNetworkList(t.Context(), list, rt)
	}
	was := n.file
	n.file = filepath.Join(n.Dir, "20-home.conflist")
	write(pluginIn(t, printed))
	n.within(t, pods[1], add)
	shown := findEndpoint(t, n.ps(t), pods[1].Name)
	if shown.Network != "home" || shown.Mode != specs.ModeBridge || len(shown.Addresses) != 2 || shown.Addresses[0].Addr().String() != unusedOfRange {
		t.Errorf("the container on the adopted network is %+v", shown)
	}
	n.expectReached(t, unusedOfRange)
	if out, err := pods[1].Run("cat", "/proc/sys/net/ipv4/conf/net1/arp_announce"); err != nil || strings.TrimSpace(out) != "2" {
		t.Errorf("the plugin tuning has set %q, %v, want 2", out, err)
	}
	for _, do := range []func(*libcni.NetworkConfigList, *libcni.RuntimeConf) error{
		func(list *libcni.NetworkConfigList, rt *libcni.RuntimeConf) error {
			return n.lib.CheckNetworkList(t.Context(), list, rt)
		},
		remove,
	} {
		n.within(t, pods[1], do)
	}
	n.file = was
	n.within(t, pods[0], remove)
	must(t, lab.Eventually(60*time.Second, func() error {
		if all := n.ps(t); len(all) != 0 {
			return fmt.Errorf("berth ps still shows %+v", all)
		}
		return nil
	}))
	n.expectReleased(t)
}

// pluginIn returns the plugin of CNI that is printed.
func pluginIn(t *testing.T, printed string) string {
	t.Helper()
	for line := range strings.Lines(printed) {
		if line = strings.TrimSpace(line); json.Valid([]byte(line)) {
			return line
		}
	}
	t.Fatalf("no plugin is printed:\n%s", printed)
	return ""
}
