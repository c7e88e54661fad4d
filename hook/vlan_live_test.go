package hook

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"berth/internal/testnet"
)

// Containers start and stop on a VLAN at once: the first makes it and the last
// removes it, repeatedly, and no container finds it half made or missing.
func TestAVLANOfManyAtOnce(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.VLAN)
	const many, cycles = 6, 5
	h := newHost(t)
	h.network("v100", strings.Replace(strings.Replace(lan, "PARENT", "PARENT.100", 1), "[[", "conflict_timeout = '0'\n[[", 1))
	boxes := make([]*box, many)
	for i := range boxes {
		boxes[i] = h.box(fmt.Sprint("c", i), "v100")
	}
	before := h.snapshot(boxes[0])
	var wg sync.WaitGroup
	for _, b := range boxes {
		wg.Go(func() {
			for i := range cycles {
				if err := h.start(b); err != nil {
					t.Errorf("%s, cycle %d: %v", b.id, i, err)
				}
				if err := h.runHook(h.hook(), b.state("stopped")); err != nil {
					t.Errorf("stop %s, cycle %d: %v", b.id, i, err)
				}
			}
		})
	}
	wg.Wait()
	h.unchanged(boxes[0], before)
}

// VLANs on VLANs: each is made on demand, the outer one stays while the inner one
// is used, and both are removed with their last user.
func TestVLANOfAVLAN(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.VLAN)
	h := newHost(t)
	h.network("outer", strings.Replace(lan, "PARENT", "PARENT.40", 1))
	h.network("inner", strings.Replace(lan, "PARENT", "PARENT.40.41", 1))
	a, b, c := h.box("a", "outer"), h.box("b", "inner"), h.box("c", "inner")
	before := h.snapshot(a)
	if err := h.start(b); err == nil || !strings.Contains(err.Error(), `its trunk "`+h.parent+`.40" does not exist`) {
		t.Errorf("without a trunk: %v, want an error that names it", err)
	}
	h.unchanged(a, before)
	for _, box := range []*box{a, b, c} {
		h.mustStart(box)
	}
	requireContains(t, ipIn(t, testnet.Here(t), "-d link show "+h.parent+".40"), "@"+h.parent+":", "vlan protocol 802.1Q id 40")
	requireContains(t, ipIn(t, testnet.Here(t), "-d link show "+h.parent+".40.41"), "@"+h.parent+".40:", "vlan protocol 802.1Q id 41")
	if got := h.firstOf("b"); got.VLAN != 41 || len(got.Outer) != 1 || got.Outer[0].ID != 40 {
		t.Errorf("recorded VLAN %d on %+v, want 41 on 40", got.VLAN, got.Outer)
	}
	ipIn(t, h.lan, "link add link wire name w40 up type vlan id 40")
	ipIn(t, h.lan, "link add link w40 name w41 up type vlan id 41")
	testnet.Address(t, h.lan, "w41", "192.0.2.1/24")
	if err := ping(t, b.ns, "192.0.2.1"); err != nil {
		t.Error(err)
	}
	h.mustStop(a)
	requireContains(t, ipIn(t, testnet.Here(t), "-o link"), h.parent+".40@", h.parent+".40.41@")
	h.mustStop(b)
	requireContains(t, ipIn(t, testnet.Here(t), "-o link"), h.parent+".40@", h.parent+".40.41@")
	h.mustStop(c)
	h.unchanged(a, before)
	if out := ipIn(t, testnet.Here(t), "-o link"); strings.Contains(out, h.parent+".40") {
		t.Errorf("left behind:\n%s", out)
	}
}

// A VLAN of berth's stays if an administrator has put an interface on it.
func TestAVLANThatCarriesAnotherStays(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.VLAN)
	h := newHost(t)
	h.network("v40", strings.Replace(lan, "PARENT", "PARENT.40", 1))
	a := h.box("a", "v40")
	h.mustStart(a)
	ipIn(t, testnet.Here(t), "link add link "+h.parent+".40 name "+h.parent+"q type vlan id 9")
	h.mustStop(a)
	requireContains(t, ipIn(t, testnet.Here(t), "-o link"), h.parent+".40@", h.parent+"q@")
}

// A parent with several names is one layer-2 domain.
func TestAlternativeNamesOfAParent(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.write("berth.toml", "[policy]\nparents = ['"+h.parent+"']\nmodes = ['bridge']\nstatic_ips = true\n")
	ids := map[string]bool{}
	for i, alt := range []string{h.parent + ".100", "alt" + h.parent, "alt" + h.parent + ".7"} {
		ipIn(t, testnet.Here(t), "link property add dev "+h.parent+" altname "+alt)
		name := fmt.Sprint("n", i)
		h.network(name, strings.Replace(lan, "PARENT", alt, 1))
		for _, networks := range []string{name, `[{"parent":"` + alt + `","subnet":[{"subnet":"192.0.2.0/24"}]}]`} {
			b := h.box(fmt.Sprint("c", len(ids)), networks)
			h.mustStart(b)
			got := h.firstOf(b.id)
			if got.Parent != h.parent || got.VLAN != 0 || ids[got.Addresses[0].String()] {
				t.Errorf("by %q: parent %q, VLAN %d, address %s; want %s, none, and an address of its own", alt, got.Parent, got.VLAN, got.Addresses, h.parent)
			}
			ids[got.Addresses[0].String()] = true
		}
	}
	other := testnet.Unique("o")
	testnet.Veth(t, other, testnet.Here(t), "far", h.lan)
	ipIn(t, testnet.Here(t), "link property add dev "+other+" altname "+h.parent+".9")
	err := h.start(h.box("x", `[{"parent":"`+h.parent+`.9","subnet":[{"subnet":"192.0.2.0/24"}]}]`))
	if err == nil || !strings.Contains(err.Error(), "[policy] parents") {
		t.Errorf("the name of another interface: error %v, want a refusal by policy", err)
	}
}
