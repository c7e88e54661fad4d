package hook

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"berth/internal/testnet"
	"berth/specs"
)

func TestConnectAndDisconnect(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.network("lan", lan)
	h.network("lab", "parent = 'PARENT'\n[[subnet]]\nsubnet = '198.51.100.0/24'\n")
	a := h.box("a", "lan")
	h.mustStart(a)
	before := h.snapshot(a)

	lab := specs.Selection{Network: "lab", Interface: "lab0", IPs: []specs.IP{{Addr: netip.MustParseAddr("198.51.100.7"), Bits: -1}}, MAC: specs.MAC{2, 0, 0x5e, 0, 0x53, 7}}
	got, err := h.hook().Connect(t.Context(), "a", 0, lab)
	if err != nil {
		t.Fatal(err)
	}
	if got.Interface != "lab0" || got.MAC != lab.MAC || got.Containers[0] != "a" || got.Cookie != h.firstOf("a").Cookie {
		t.Errorf("attachment %+v", got)
	}
	if out := testnet.Run(t, a.ns, "ip", "-o", "addr", "show", "lab0"); !strings.Contains(out, "198.51.100.7/24") {
		t.Errorf("address: %s", out)
	}
	connected := h.snapshot(a)
	if _, err := h.hook().Connect(t.Context(), "a", 0, lab); err != nil || h.snapshot(a) != connected {
		t.Errorf("the same again: %v\n%s", err, h.snapshot(a))
	}
	_, err = h.hook().Connect(t.Context(), "a", 0, specs.Selection{Network: "lab"})
	if err == nil || !strings.Contains(err.Error(), `container a is already on network "lab" (interface lab0); disconnect it first: berth network disconnect lab a`) {
		t.Errorf("error of a second one: %v", err)
	}

	ifs, err := h.hook().Disconnect(t.Context(), "a", "lab")
	if err != nil || strings.Join(ifs, ",") != "lab0" || h.snapshot(a) != before {
		t.Errorf("disconnected %q, %v:\n%s\nbefore:\n%s", ifs, err, h.snapshot(a), before)
	}
	if _, err := h.hook().Disconnect(t.Context(), "a", "lab"); err == nil || !strings.Contains(err.Error(), `container a is not on network "lab"`) {
		t.Errorf("error of disconnecting again: %v", err)
	}
	h.mustStop(a)
}

func TestConnectByPid(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.network("lan", lan)
	x := h.box("x", "")
	if _, err := h.hook().Connect(t.Context(), "x", 0, specs.Selection{Network: "lan"}); !errors.Is(err, ErrUnknownContainer) || !strings.Contains(err.Error(), "--pid") {
		t.Errorf("error %v, want ErrUnknownContainer and what to do", err)
	}
	got, err := h.hook().Connect(t.Context(), "x", x.process.Pid, specs.Selection{Network: "lan"})
	if err != nil || got.Interface != "net1" {
		t.Fatalf("%+v, %v", got, err)
	}
	if _, err := h.hook().Connect(t.Context(), "x", x.process.Pid, specs.Selection{Network: "nolan"}); err == nil || !strings.Contains(err.Error(), `network "nolan": there is no such network in`) {
		t.Errorf("error %v", err)
	}
	_, err = h.hook().Connect(t.Context(), "alias", x.process.Pid, specs.Selection{Network: "lan"})
	if err == nil || !strings.Contains(err.Error(), `container "alias": that network namespace belongs to container x; use its id and leave out --pid`) {
		t.Errorf("error of another name: %v", err)
	}
	h.mustStop(x)
	if got := h.records(); got != "" {
		t.Errorf("left behind:\n%s", got)
	}
}
