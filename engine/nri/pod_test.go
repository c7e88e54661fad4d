package nri

import (
	"net/netip"
	"testing"

	"github.com/containerd/nri/pkg/api"
	"github.com/google/go-cmp/cmp"

	"berth/hook"
	"berth/internal/state"
	"berth/specs"
)

func TestStatusOfEachKindOfInterface(t *testing.T) {
	got, err := statusOf([]*state.Attachment{
		{Network: "lan", Parent: "eth1", Interface: "net1", MTU: 1500, MAC: specs.MAC{2, 0, 0x5e, 0, 0x53, 1},
			Addresses: []netip.Prefix{netip.MustParsePrefix("192.0.2.7/24"), netip.MustParsePrefix("2001:db8::7/64")},
			Gateways:  []netip.Addr{netip.MustParseAddr("192.0.2.1")}},
		{Parent: "eth2", Interface: "net2", MTU: 9000, MAC: specs.MAC{2, 0, 0x5e, 0, 0x53, 2}},
	})
	want := `[{"name":"lan","interface":"net1","ips":["192.0.2.7","2001:db8::7"],"mac":"02:00:5e:00:53:01","mtu":1500,"gateway":["192.0.2.1"],"dns":{}},` +
		`{"name":"eth2","interface":"net2","mac":"02:00:5e:00:53:02","mtu":9000,"dns":{}}]`
	if err != nil || got != want {
		t.Errorf("%v\n     %s\nwant %s", err, got, want)
	}
}

func TestOfAPodItsNamesAndBerthsAnnotations(t *testing.T) {
	s, asked, err := sandboxOf(&api.PodSandbox{Id: "s", Name: "web", Namespace: "prod", Uid: "u", Pid: 7, Annotations: map[string]string{
		"berth/networks": "lan", podNamespace: "forged", "nerdctl/name": "forged", "example.com/x": "y",
	}})
	if err != nil || len(asked) != 1 || asked[0].Network != "lan" {
		t.Errorf("asked %+v, %v", asked, err)
	}
	want := hook.Sandbox{
		ID: "s", Pid: 7, Namespace: "prod",
		Names: map[string]string{podName: "web", podNamespace: "prod", podUID: "u"},
	}
	if diff := cmp.Diff(want, s); diff != "" {
		t.Errorf("sandbox (-want +got)\n%s", diff)
	}
}

func TestAStatusThatAContainerHas(t *testing.T) {
	all := []*state.Attachment{
		{Network: "lan", Interface: "net1", MAC: specs.MAC{2, 0, 0x5e, 0, 0x53, 1}}, {Network: "lan", Interface: "net2", MAC: specs.MAC{2, 0, 0x5e, 0, 0x53, 2}},
	}
	text, err := statusOf(all)
	if err != nil {
		t.Fatal(err)
	}
	one, err := statusOf(all[:1])
	if err != nil {
		t.Fatal(err)
	}
	for value, want := range map[string]bool{
		"": false, "x": false, "[]": false, "null": false, one: false, text: true,
		`[{"interface":"net2","mac":"02:00:5e:00:53:02"},{"interface":"net1","mac":"02:00:5e:00:53:01","more":1},{"interface":"eth0"}]`: true,
		`[{"interface":"net2","mac":"02:00:5e:00:53:02"},{"interface":"net1","mac":"02:00:5e:00:53:09"}]`:                               false,
	} {
		if got := hasStatus(value, all); got != want {
			t.Errorf("%s has the status: %t, want %t", value, got, want)
		}
	}
}
