package cli

import (
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"testing"

	"berth/bpf"
	"berth/internal/state"
	"berth/internal/testnet"
	"berth/specs"
)

const parentName = "berthtap0"

func TestMain(m *testing.M) { testnet.Main(m) }

// TestCountsOfPinnedMaps: without an agent the counts come from the pinned maps, and berth
// agent detach removes the programs by itself.
func TestCountsOfPinnedMaps(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.Root)
	w := newWorld(t)
	w.bpffs = "/sys/fs/bpf/" + testnet.Unique("cli")
	wire, index := w.startCounting()

	for range 3 {
		wire.Write(frameTo("02:00:5e:00:53:01", 100))
	}
	testnet.Eventually(t, "three frames are counted", func() bool {
		e := w.onlyEndpoint()
		return e.Counted && e.Counters.Receive.Total() == specs.Count{Packets: 3, Bytes: 300}
	})
	mustEqual(t, "ps", `
CONTAINER  NETWORK@IF  ADDRESS, MAC       PARENT, MODE  RX      TX
web        lan@net1    192.0.2.65/24      `+parentName+`     300 B   0 B
                       02:00:5e:00:53:01  bridge        3 pkts  0 pkts
`, w.mustRun("ps"))

	mustEqual(t, "detach", "detached; counts are kept\n", w.mustRun("agent", "detach"))
	wire.Write(frameTo("02:00:5e:00:53:01", 100))
	if got := attachedParents(t, w.bpffs); len(got) != 0 {
		t.Errorf("programs are attached after detach at %v (the parent is %d)", got, index)
	}
	if got := w.onlyEndpoint().Counters.Receive.Total().Packets; got != 3 {
		t.Errorf("%d packets after detach, want the 3 of before", got)
	}
	mustEqual(t, "purge", "detached; counts are removed\n", w.mustRun("agent", "detach", "--purge"))
	if w.onlyEndpoint().Counted {
		t.Error("an endpoint is counted after the counts were removed")
	}
	if left, _ := os.ReadDir(w.bpffs); len(left) > 0 {
		t.Errorf("left under bpffs: %v", left)
	}
}

// startCounting creates a parent whose wire the test holds, with a recorded endpoint that is
// counted by programs which no agent holds any more.
func (w *world) startCounting() (wire *testnet.TapDevice, index int) {
	w.t.Helper()
	here := testnet.Here(w.t)
	wire = testnet.Tap(w.t, here, parentName)
	parent := testnet.Link(w.t, here, parentName).Attrs()
	index = parent.Index
	w.putRecord(1, func(a *state.Attachment) { a.Parent, a.ParentIndex, a.Slot = parentName, index, 1 })
	d, err := bpf.Load(w.bpffs, bpf.Options{MaxEndpoints: 8})
	if err != nil {
		w.t.Fatal(err)
	}
	e := bpf.Endpoint{
		Slot: 1, ParentIndex: index, MAC: mustMAC("02:00:5e:00:53:01"), Driver: specs.Macvlan, Mode: specs.ModeBridge, Cookie: 1,
	}
	if err := d.Maps().Register(e); err != nil {
		w.t.Fatal(err)
	}
	if err := d.Attach(index, specs.MAC(parent.HardwareAddr)); err != nil {
		w.t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		w.t.Fatal(err)
	}
	return wire, index
}

// onlyEndpoint returns the only endpoint.
func (w *world) onlyEndpoint() specs.Endpoint {
	w.t.Helper()
	var all []specs.Endpoint
	if err := json.Unmarshal([]byte(w.mustRun("ps", "--json")), &all); err != nil || len(all) != 1 {
		w.t.Fatalf("ps --json: %d endpoints (%v), want 1", len(all), err)
	}
	return all[0]
}

// frameTo returns a frame from outside with a length in bytes, without FCS.
func frameTo(to string, length int) []byte {
	dst, _ := net.ParseMAC(to)
	src, _ := net.ParseMAC("02:00:5e:00:53:aa")
	f := append(append(dst, src...), 0x88, 0xb5) // an experimental EtherType (IEEE 802)
	return append(f, make([]byte, length-len(f))...)
}

// attachedParents returns the pinned links.
func attachedParents(t *testing.T, bpffs string) []string {
	t.Helper()
	found, err := filepath.Glob(bpffs + "/v*/links/*")
	if err != nil {
		t.Fatal(err)
	}
	return found
}
