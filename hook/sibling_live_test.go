package hook

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"berth/bpf"
	"berth/internal/testnet"
	"berth/specs"
)

const ipvlan = `driver = "ipvlan"
mode = "l2"
parent = "PARENT"
conflict_timeout = "0"
[[subnet]]
subnet = "192.0.2.0/24"
`

// datapath pins an agent's programs and attaches them to the parent until the
// test ends.
func (h *host) datapath() *bpf.Datapath {
	h.Helper()
	d, err := bpf.Load(h.dirs.BPFFS, bpf.Options{MaxEndpoints: 8})
	if err != nil {
		h.Fatalf("%+v", err)
	}
	h.Cleanup(func() {
		if err := d.Purge(); err != nil {
			h.Error(err)
		}
		_ = d.Close()
	})
	parent := testnet.Link(h.T, testnet.Here(h.T), h.parent).Attrs()
	if err := d.Attach(parent.Index, specs.MAC(parent.HardwareAddr)); err != nil {
		h.Fatal(err)
	}
	return d
}

// TestIPvlanSiblingsAreCounted pins an agent's programs and starts two containers
// whose traffic does not pass the parent, in a network that enforces rules and one that does not.
func TestIPvlanSiblingsAreCounted(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.IPvlan)
	for name, more := range map[string]string{"open": "", "enforcing": "enforce = ['mac-spoof', 'ip-spoof', 'rogue-dhcp', 'rogue-ra']\n"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			siblingsAreCounted(t, more+ipvlan)
		})
	}
}

func siblingsAreCounted(t *testing.T, file string) {
	h := newHost(t)
	d := h.datapath()
	h.network("lan", file)
	a, b := h.box("a", "lan"), h.box("b", "lan")
	h.mustStart(a)
	h.mustStart(b)
	of, to := h.firstOf("a"), h.firstOf("b")
	if err := ping(t, a.ns, to.Addresses[0].Addr().String()); err != nil {
		t.Fatal(err)
	}
	read := func(slot uint32) specs.Counters {
		c, err := d.Maps().Counters(slot)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	sent, received := read(of.Slot).Transmit.Local, read(to.Slot).Receive.Local
	if sent != received || sent.Unicast.Packets == 0 {
		t.Errorf("a sent %+v, b received %+v", sent, received)
	}
	if back := read(to.Slot).Transmit.Local; back.Unicast.Packets == 0 || back != read(of.Slot).Receive.Local {
		t.Errorf("b sent %+v, a received %+v", back, read(of.Slot).Receive.Local)
	}
	h.mustStop(a)
	h.mustStop(b)
	testnet.Eventually(t, "no link of theirs", func() bool {
		if err := h.releaserHere().Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		links, err := os.ReadDir(filepath.Join(h.dirs.BPFFS, "v1", "links"))
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range links {
			if strings.HasPrefix(l.Name(), "inside-") || strings.HasPrefix(l.Name(), "guard-") {
				return false
			}
		}
		return true
	})
}
