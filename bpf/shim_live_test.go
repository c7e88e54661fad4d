package bpf

import (
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/vishvananda/netlink"

	"berth/internal/testnet"
	"berth/specs"
)

// TestShim lets the host reach a container of a network that enforces rules, by an ipvlan interface
// of its own: the container's guard program accepts the host's ARP request only with a mark.
func TestShim(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.IPvlan)
	l := newLab(t, Options{})
	c := l.ipvlan(specs.ModeL2)
	c.Enforce = []specs.Kind{specs.IPSpoof}
	must(t, l.maps.Register(c.Endpoint))
	must(t, testnet.Netlink(t, l.ns).LinkAdd(&netlink.IPVlan{
		LinkAttrs: netlink.LinkAttrs{Name: "shim", ParentIndex: l.parent}, Mode: netlink.IPVLAN_MODE_L2,
	}))
	index := testnet.Link(t, l.ns, "shim").Attrs().Index
	testnet.Up(t, l.ns, "shim")
	testnet.Address(t, l.ns, "shim", "192.0.2.200/24")
	reaches := func(within string) bool {
		var err error
		testnet.In(t, l.ns, func() { err = exec.Command("ping", "-n", "-c", "1", "-W", within, c.ip.String()).Run() })
		return err == nil
	}
	if reaches("5") { // until the kernel gives up the address, or the next ping would wait for that and fail
		t.Error("the guard program accepts a frame without a mark")
	}
	for range 2 {
		l.inHost(func() error { return l.AttachShim(index) })
		if !reaches("20") {
			t.Error("the host does not reach the container")
		}
	}
	dir := filepath.Dir(l.pins.dir)
	must(t, l.Close())
	l.Datapath = mustLoad(t, l.ns, dir, Options{})
	if !reaches("20") {
		t.Error("the host does not reach the container after a restart of the agent")
	}
}
