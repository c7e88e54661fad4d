package keep

import (
	"os/exec"
	"testing"

	"berth/bpf"
	"berth/internal/release"
	"berth/internal/testnet"
	"berth/specs"
)

// TestProgramsStayWithAnotherLease: an interface keeps its own programs if the server leases another
// address, and the new address is the container's in the maps.
func TestProgramsStayWithAnotherLease(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.dirs.BPFFS = "/sys/fs/bpf/" + testnet.Unique("keep")
	s.writeNetwork("ipam = 'dhcp'\nenforce = ['mac-spoof', 'ip-spoof']")
	d := s.datapath()
	server := testnet.ServeDHCP(t, s.lan, testnet.DHCPConfig{Kind: "dhcpd", Link: "wire", Seconds: 4})
	b := s.start("a")
	old := s.record("a").Addresses[0]
	leaseOthers(server, 600)
	s.keeper()
	testnet.Eventually(t, "there is another address", func() bool {
		r := s.record("a")
		return len(r.Addresses) == 1 && r.Addresses[0] != old && s.has(b, r.Addresses[0].String())
	})
	testnet.Eventually(t, "it is registered", func() bool {
		seen, err := d.Maps().Counters(s.record("a").Slot)
		if err != nil {
			t.Fatal(err)
		}
		testnet.In(t, b.ns, func() { err = exec.Command("ping", "-n", "-c", "1", "-W", "1", "192.0.2.1").Run() })
		now, _ := d.Maps().Counters(s.record("a").Slot)
		return err == nil && now.Transmit.Total().Packets > seen.Transmit.Total().Packets
	})
	if lacked, err := release.LackedPrograms(d.Maps(), s.record("a")); err != nil || len(lacked) > 0 {
		t.Errorf("it lacks %v, %v", lacked, err)
	}
	s.stop(b)
}

// datapath pins an agent's programs and attaches them to the parent until the test ends.
func (s *site) datapath() *bpf.Datapath {
	s.Helper()
	d, err := bpf.Load(s.dirs.BPFFS, bpf.Options{MaxEndpoints: 8})
	if err != nil {
		s.Fatalf("%+v", err)
	}
	s.Cleanup(func() {
		if err := d.Purge(); err != nil {
			s.Error(err)
		}
		_ = d.Close()
	})
	parent := testnet.Link(s.T, testnet.Here(s.T), s.parent).Attrs()
	if err := d.Attach(parent.Index, specs.MAC(parent.HardwareAddr)); err != nil {
		s.Fatal(err)
	}
	return d
}
