package nri

import (
	"net/netip"
	"testing"

	"github.com/containerd/nri/pkg/api"

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
	st := stateOf(&api.PodSandbox{Id: "s", Name: "web", Namespace: "prod", Uid: "u", Pid: 7, Annotations: map[string]string{
		"berth/networks": "lan", podNamespace: "forged", "nerdctl/name": "forged", "example.com/x": "y",
	}})
	want := map[string]string{"berth/networks": "lan", podName: "web", podNamespace: "prod", podUID: "u"}
	if st.ID != "s" || st.Pid != 7 || len(st.Annotations) != len(want) {
		t.Errorf("%+v", st)
	}
	for key, value := range want {
		if st.Annotations[key] != value {
			t.Errorf("%s is %q, want %q", key, st.Annotations[key], value)
		}
	}
}
