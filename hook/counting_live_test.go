package hook

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"berth/bpf"
	"berth/internal/testnet"
)

// pinDatapath pins an agent's programs and maps, not attached to any parent.
func (h *host) pinDatapath(attach string) *bpf.Datapath {
	h.Helper()
	d, err := bpf.Load(h.dirs.BPFFS, bpf.Options{MaxEndpoints: 8, Attach: attach})
	if err != nil {
		h.Fatalf("%+v", err)
	}
	h.Cleanup(func() {
		if err := d.Purge(); err != nil {
			h.Error(err)
		}
		_ = d.Close()
	})
	return d
}

// TestFirstFrameIsCounted starts containers on parents without attached programs,
// one of them a VLAN that the hook makes: every frame that their interfaces send
// after they come up is counted.
func TestFirstFrameIsCounted(t *testing.T) {
	t.Parallel()
	for name, on := range map[string]string{"parent": "PARENT", "VLAN": "PARENT.40"} {
		for _, attach := range []string{"auto", bpf.Clsact} {
			t.Run(name+" by "+attach, func(t *testing.T) {
				t.Parallel()
				if name == "VLAN" {
					testnet.Need(t, testnet.VLAN)
				}
				h := newHost(t)
				d := h.pinDatapath(attach)
				h.write("berth.toml", "[agent]\nattach = \""+attach+"\"\n")
				h.network("lan", strings.Replace(lan, "PARENT", on, 1))
				a := h.box("a", "lan")
				h.mustStart(a)
				if err := pingWithin(t, a.ns, "192.0.2.200", 2); err == nil { // sends ARP requests
					t.Error("nobody has this address")
				}
				slot := h.firstOf("a").Slot
				testnet.Eventually(t, "as many frames counted as were sent", func() bool {
					sent := testnet.Link(t, a.ns, "net1").Attrs().Statistics.TxPackets
					c, err := d.Maps().Counters(slot)
					if err != nil {
						t.Fatal(err)
					}
					return sent > 0 && c.Transmit.Total().Packets == sent
				})
			})
		}
	}
}

// TestDetachedOnRequest checks that the hook does not touch a parent while the
// agent is detached.
func TestDetachedOnRequest(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	d := h.pinDatapath("auto")
	if err := d.DetachAll(); err != nil {
		t.Fatal(err)
	}
	h.network("lan", lan)
	h.mustStart(h.box("a", "lan"))
	if all, err := d.Attached(); err != nil || len(all) != 0 {
		t.Errorf("attached to %+v, %v", all, err)
	}
}

// TestStartsWithoutAPin removes each pinned object in turn: a container still
// starts, in every mode that uses it.
func TestStartsWithoutAPin(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.Macvlan)
	h := newHost(t)
	h.pinDatapath("auto")
	source := strings.Replace(lan, "[[", "mode = \"source\"\nsource_macs = [\"02:00:00:00:00:bb\"]\nconflict_timeout = \"0\"\n[[", 1)
	h.network("src", source)
	dir := filepath.Join(h.dirs.BPFFS, "v1")
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		aside := filepath.Join(h.dirs.BPFFS, f.Name())
		if err := os.Rename(filepath.Join(dir, f.Name()), aside); err != nil {
			t.Fatal(err)
		}
		b := h.box("without-"+f.Name(), "src")
		h.mustStart(b)
		h.mustStop(b)
		if err := os.Rename(aside, filepath.Join(dir, f.Name())); err != nil && !errors.Is(err, os.ErrExist) {
			t.Fatal(err)
		}
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	h.mustStart(h.box("without-all", "src"))
}
