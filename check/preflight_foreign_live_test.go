package check

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"berth/internal/state"
	"berth/internal/testnet"
	"berth/specs"
)

// TestForeignAddressInTheRange has an address of the network's range that another program has: it is
// named if the agent runs, which keeps its record true. A network of podman's on the parent is
// named in any case.
func TestForeignAddressInTheRange(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.Root)
	h := newHost(t)
	h.writeNetwork("lan", lan)
	index := testnet.Link(t, h.ns, "eth1").Attrs().Index
	all := []state.ForeignAddress{
		{Addr: netip.MustParseAddr("192.0.2.70"), ParentIndex: index, Holder: "eth0 of cam"},
		{Addr: netip.MustParseAddr("192.0.2.71"), ParentIndex: index + 1, Holder: "eth0 of other"},
	}
	if err := state.Open(h.c.Dirs.State).Update(t.Context(), func(tx *state.Tx) error { return tx.SetForeignAddresses(all) }); err != nil {
		t.Fatal(err)
	}
	h.c.Root = t.TempDir()
	h.writePodmanNetwork("home", "eth1")
	h.writePodmanNetwork("away", "eth2")
	for _, c := range []struct {
		agent *specs.AgentStatus
		want  int
	}{{nil, 0}, {&specs.AgentStatus{Attached: true}, 1}} {
		h.c.Agent = c.agent
		found, pools := 0, 0
		testnet.In(t, h.ns, func() {
			for _, l := range h.c.Preflight(t.Context(), "lan") {
				if l.Check == "foreign" && l.Result == Warn && strings.Contains(l.Message, "eth0 of cam has 192.0.2.70") && !strings.Contains(l.Message, "other has") {
					found++
				}
				if l.Check == "pools" && l.Result == Warn && strings.Contains(l.Message, "podman:home") {
					pools++
				} else if l.Check == "pools" {
					t.Errorf("%+v", l)
				}
			}
		})
		if pools != 1 {
			t.Errorf("with agent %t: %d lines about podman's network, want 1", c.agent != nil, pools)
		}
		if found != c.want {
			t.Errorf("with agent %t: %d lines, want %d", c.agent != nil, found, c.want)
		}
	}
}

// writePodmanNetwork writes podman's file of a network that gives out the whole subnet of lan.
func (h *host) writePodmanNetwork(name, parent string) {
	h.Helper()
	dir := filepath.Join(h.c.Root, "etc/containers/networks")
	text := fmt.Sprintf(`{"name":%q,"driver":"macvlan","network_interface":%q,"subnets":[{"subnet":"192.0.2.0/24"}]}`, name, parent)
	err := errors.Join(os.MkdirAll(dir, 0o755), os.WriteFile(filepath.Join(dir, name+".json"), []byte(text), 0o644))
	if err != nil {
		h.Fatal(err)
	}
}
