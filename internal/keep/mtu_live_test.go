package keep

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"berth/internal/state"
	"berth/internal/testnet"
)

// TestChangedMTU: an interface follows the MTU of its server at a renewal, up to that of its
// network, also if a keeper is killed between the kernel and the record.
func TestChangedMTU(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	server := testnet.ServeDHCP(t, s.lan, testnet.DHCPConfig{Kind: "dhcpd", Link: "wire", Seconds: 600, Options: "option interface-mtu 1400;"})
	b := s.start("a")
	mustHave := func(mtu int) {
		t.Helper()
		testnet.Eventually(t, fmt.Sprintf("the MTU is %d", mtu), func() bool {
			return s.record("a").MTU == mtu && strings.Contains(testnet.Run(t, b.ns, "ip", "link", "show", "net1"), fmt.Sprintf("mtu %d ", mtu))
		})
	}
	mustHave(1400)
	for _, step := range []struct {
		options string
		mtu     int
		killed  bool
	}{{"option interface-mtu 1300;", 1300, true}, {"option interface-mtu 1450;", 1450, false}, {"", 1500, false}} {
		server.Stop()
		server.Serve(func(c *testnet.DHCPConfig) { c.Options = step.options })
		server.Start()
		s.age("a", 310*time.Second)
		if step.killed {
			if err := s.keeperProcess("set the MTU").Wait(); err == nil {
				t.Error("the keeper did not die")
			}
		}
		keeper := s.keeperProcess(testnet.NoStep)
		mustHave(step.mtu)
		_ = keeper.Process.Kill()
		_ = keeper.Wait()
	}
	s.stop(b)
}

// age makes the lease of a container older, so that the next keeper renews it.
func (s *site) age(id string, by time.Duration) {
	s.Helper()
	err := s.store.Update(s.Context(), func(tx *state.Tx) error {
		all, err := tx.OfContainer(id)
		if err != nil {
			return err
		}
		all[0].DHCP[0].Began -= by
		return tx.Put(all[0])
	})
	if err != nil {
		s.Fatal(err)
	}
}
