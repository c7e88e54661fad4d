package hook

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"berth/internal/testnet"
	"berth/specs"
)

// startWith runs the hook with networks as its arguments, as a CDI device does.
func (h *host) startWith(b *box, networks ...string) error {
	k := h.hook()
	k.Networks = networks
	return k.Run(h.Context(), CreateRuntime, bytes.NewReader(b.state("creating")))
}

// Each device runs the hook once, with its own network, and the annotations' hook
// may run too: in any order the container gets the union.
func TestDevicesAndAnnotationsAreAUnion(t *testing.T) {
	t.Parallel()
	for name, runs := range map[string][][]string{
		"devices first":     {{"lan"}, {"other"}, nil},
		"annotations first": {nil, {"other"}, {"lan"}},
		"devices alone":     {{"other"}, {"lan"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t)
			h.network("lan", lan)
			h.network("other", strings.ReplaceAll(lan, "192.0.2.", "198.51.100."))
			a := h.box("a", "lan@lan0")
			before := h.snapshot(a)
			for _, networks := range runs {
				if err := h.startWith(a, networks...); err != nil {
					t.Fatalf("networks %q: %v", networks, err)
				}
			}
			requireContains(t, ipIn(t, a.ns, "-o addr show lan0"), "192.0.2.2/24")
			requireContains(t, ipIn(t, a.ns, "-o addr show net1"), "198.51.100.2/24")
			if got := len(h.attachments("a")); got != 2 {
				t.Errorf("%d attachments, want 2:\n%s", got, h.records())
			}
			if got := testnet.Run(t, a.ns, "ip", "route", "show", "default"); strings.Count(got, "default") != 1 {
				t.Errorf("default routes: %s", got)
			}
			h.mustStop(a)
			h.unchanged(a, before)
		})
	}
}

// The user that starts a container chooses its devices, so the policy applies to
// them.
func TestADeviceIsHeldToPolicy(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.network("lan", lan)
	h.network("prod", lan+"\n")
	h.write("berth.toml", "[policy]\nnetworks = [\"lan\"]\n")
	a := h.box("a", "lan")
	a.annotations = nil
	if err := h.startWith(a); err != nil || h.records() != "" {
		t.Errorf("neither annotation nor device: %v, records %q", err, h.records())
	}
	if err := h.startWith(a, "lan"); err != nil {
		t.Error(err)
	}
	err := h.startWith(a, "prod")
	if !errors.Is(err, specs.ErrPolicy) || !strings.Contains(err.Error(), `--network`) {
		t.Errorf("error %v, want a refusal that names --network", err)
	}
	h.mustStop(a)
}
