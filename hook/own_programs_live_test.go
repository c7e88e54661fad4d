package hook

import (
	"testing"

	"berth/bpf"
	"berth/internal/release"
	"berth/internal/testnet"
)

// firstAddress is the address that the pool of network lan gives out first.
const firstAddress = "192.0.2.2"

// TestProgramsStayWithNewAddresses: an interface has its own programs although its addresses became
// known, or changed, after it was registered.
func TestProgramsStayWithNewAddresses(t *testing.T) {
	t.Parallel()
	const enforce = "enforce = ['mac-spoof']\n"
	for name, file := range map[string]string{
		"leased":        "parent = 'PARENT'\nipam = 'dhcp'\n" + enforce,
		"after a probe": enforce + lan,
		"ipvlan":        "driver = 'ipvlan'\nparent = 'PARENT'\nipam = 'dhcp'\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if name == "ipvlan" {
				testnet.Need(t, testnet.IPvlan)
			}
			h, _ := dhcpHost(t, testnet.DHCPConfig{Kind: "dnsmasq", Seconds: 600})
			h.network("lan", file)
			d := h.datapath()
			if name == "after a probe" {
				testnet.Address(t, h.lan, "wire", firstAddress+"/24")
			}
			b := h.box("a", "lan")
			h.mustStart(b)
			h.wantPrograms(d)
			if got := h.firstOf("a").Addresses; len(got) != 1 || got[0].Addr().String() == firstAddress {
				t.Errorf("addresses %v", got)
			}
			h.mustStop(b)
		})
	}
}

// wantPrograms checks that the interface of container "a" lacks none of the programs that it needs.
func (h *host) wantPrograms(d *bpf.Datapath) {
	h.Helper()
	r := h.firstOf("a")
	if len(release.OwnPrograms(r)) == 0 {
		h.Fatalf("%+v needs no program", r)
	}
	if lacked, err := release.LackedPrograms(d.Maps(), r); err != nil || len(lacked) > 0 {
		h.Errorf("it lacks %v, %v", lacked, err)
	}
}
