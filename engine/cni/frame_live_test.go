package cni

import (
	"strings"
	"testing"

	"berth/bpf"
	"berth/internal/testnet"
)

// TestFirstFrameIsCounted requires that every frame of an interface is counted from the
// first on, for the pod that CNI_ARGS name, on a parent without attached programs.
func TestFirstFrameIsCounted(t *testing.T) {
	t.Parallel()
	n, ns := newNode(t), testnet.Namespace(t)
	d, err := bpf.Load(n.Dirs.BPFFS, bpf.Options{MaxEndpoints: 8, Attach: "auto"})
	if err != nil {
		t.Fatalf("%+v", err)
	}
	t.Cleanup(func() {
		if err := d.Purge(); err != nil {
			t.Error(err)
		}
		_ = d.Close()
	})
	r := on(ns, "c1", conf("1.1.0", ""))
	r.args = "K8S_POD_NAMESPACE=prod-a;K8S_POD_NAME=web"
	n.must("ADD", r)
	a := n.FirstOf("c1")
	if a.Slot == 0 || a.Annotations[podName] != "web" {
		t.Fatalf("slot %d, names %v", a.Slot, a.Annotations)
	}
	testnet.Eventually(t, "as many frames counted as were sent", func() bool {
		sent := testnet.Link(t, ns, "net0").Attrs().Statistics.TxPackets
		c, err := d.Maps().Counters(a.Slot)
		if err != nil {
			t.Fatal(err)
		}
		return sent > 0 && c.Transmit.Total().Packets == sent // probes and announcements
	})
	n.must("DEL", r)
	if got := testnet.Run(t, ns, "ip", "-o", "link"); strings.Contains(got, "net0") {
		t.Errorf("left behind: %s", got)
	}
}
