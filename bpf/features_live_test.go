package bpf

import (
	"slices"
	"testing"

	"berth/internal/testnet"
)

// TestActiveFeatures compares the features of an interface with what ethtool has set. No interface
// of a namespace can have the feature that berth looks for, so another one stands for it.
func TestActiveFeatures(t *testing.T) {
	t.Parallel()
	l := newLab(t, Options{})
	const feature = "tx-gso-list"
	active := func() (all []string) {
		t.Helper()
		l.inHost(func() (err error) { all, err = activeFeatures(l.parent); return err })
		return all
	}
	for _, on := range []string{"off", "on"} {
		testnet.Run(t, l.ns, "ethtool", "-K", "eth0", feature, on)
		if all := active(); slices.Contains(all, feature) != (on == "on") || len(all) < 5 {
			t.Errorf("%s: %q", on, all)
		}
	}
	l.inHost(func() error {
		all, err := activeFeatures(1 << 20)
		if len(all) > 0 {
			t.Errorf("an interface that is gone has %q", all)
		}
		return err
	})
	l.nothingAhead("without the card's own forwarding")
}

// TestCardsForwardingIsAhead checks the text for a card that delivers frames past the parent.
func TestCardsForwardingIsAhead(t *testing.T) {
	t.Parallel()
	want := `the card's own forwarding on "eth0" (switch it off: ethtool -K eth0 l2-fwd-offload off)`
	if got := forwardingAhead("eth0", []string{"rx-gro", "l2-fwd-offload"}); !slices.Equal(got, []string{want}) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := forwardingAhead("eth0", []string{"hw-tc-offload"}); got != nil {
		t.Errorf("got %q, want none", got)
	}
}
