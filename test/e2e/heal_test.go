package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"berth/specs"
	"berth/test/lab"
)

// healCaps are the capabilities of deploy/systemd/berth-heal.service.
const healCaps = "-all,+net_admin,+net_raw,+sys_admin,+sys_ptrace"

// TestHeal removes the parent of a running container with an address of a pool and a lease, and
// plugs it in again. The agent marks that, `berth heal` makes both interfaces again, and
// the leased address is renewed.
func TestHeal(t *testing.T) {
	t.Parallel()
	for _, engine := range []string{"runc", "podman-crun"} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			server := s.serveDHCP(t, 200, 20) // seconds, in which the interface must be healed
			must(t, s.Network("lan", lanNetwork))
			must(t, s.Network("leased", dhcpNetwork+"default_route = false\n"))
			s.agent(t)
			e := engines[engine](t, s)
			_, err := e.Start(lab.Container{ID: s.id("one"), Annotations: annotations{"berth/networks": "lan,leased"}, Args: []string{"sleep", "600"}})
			must(t, err)
			s.keepLeases(t)
			was := s.ps(t)
			renewed := leaseOf(was, "leased")
			if len(was) != 2 || renewed == nil {
				t.Fatalf("berth ps shows %+v, want an interface with a lease and one without", was)
			}
			_, err = s.Run("ip", "link", "delete", "eth1")
			must(t, err)
			if _, err := e.Exec(s.id("one"), "ip", "link", "show", "net1"); err == nil {
				t.Error("the interface outlives its parent")
			}
			must(t, s.lan.Plug(s.Machine, "eth1"))
			must(t, lab.Eventually(time.Minute, func() error {
				_, err := s.Run("test", "-e", filepath.Join(s.State, "state", "heal"))
				return err
			}))
			args := slices.Concat([]string{"--bounding-set", healCaps, filepath.Join(bin, "berth"), "heal"}, s.Flags())
			if out, err := s.Run("setpriv", args...); err != nil || !strings.Contains(out, "made again: 2") {
				t.Fatalf("berth heal: %v\n%s", err, out)
			}
			s.expectHealed(t, was)
			address := renewed.Address.Addr().String()
			must(t, lab.Eventually(time.Minute, func() error {
				now := s.ps(t)
				if l := leaseOf(now, "leased"); l == nil || !l.Renewed.After(renewed.Renewed.Add(16*time.Second)) {
					return fmt.Errorf("the lease of %s is not kept: %+v", address, now)
				}
				return nil
			}))
			s.expectReached(t, address)
			must(t, e.Stop(s.id("one")))
			must(t, lab.Eventually(30*time.Second, func() error { return logHas(server.Daemon, "DHCPRELEASE of "+address) }))
			if left := s.ps(t); len(left) > 0 {
				t.Errorf("left: %+v", left)
			}
		})
	}
}

// TestVanished shows an interface that vanished with its parent until it is made again.
func TestVanished(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	must(t, s.Network("lan", lanNetwork))
	s.agent(t)
	e := engines["runc"](t, s)
	id, err := e.Start(lab.Container{ID: s.id("one"), Annotations: annotations{"berth/networks": "lan"}, Args: []string{"sleep", "600"}})
	must(t, err)
	_, err = s.Run("ip", "link", "delete", "eth1")
	must(t, err)
	s.expectVanished(t, id, 1)
	must(t, s.lan.Plug(s.Machine, "eth1"))
	if out, err := s.Berth("heal"); err != nil || !strings.Contains(out, "made again: 1") {
		t.Fatalf("berth heal: %v\n%s", err, out)
	}
	if all := s.ps(t); len(all) != 1 || !all[0].Vanished.IsZero() {
		t.Errorf("made again, the interface is shown as %+v", all)
	}
	must(t, lab.Eventually(30*time.Second, func() error {
		if all := s.events(t); all[len(all)-1].Kind != specs.InterfaceHealed {
			return fmt.Errorf("the last event is %+v, want that it was made again", all[len(all)-1])
		}
		return nil
	}))
	must(t, e.Stop(s.id("one")))
}

// expectVanished checks that a container's interfaces, which vanished with their parent, are shown as
// vanished, and that each is an event.
func (s *site) expectVanished(t *testing.T, id string, interfaces int) {
	t.Helper()
	must(t, lab.Eventually(30*time.Second, func() error {
		vanished, told := 0, 0
		for _, e := range s.ps(t) {
			if (e.ContainerID == id || e.Name == id) && !e.Vanished.IsZero() && e.Phase == specs.PhaseAttached {
				vanished++
			}
		}
		for _, e := range s.events(t) {
			if e.Kind == specs.InterfaceVanished && e.Sender != nil && (e.Sender.ContainerID == id || e.Sender.Name == id) {
				told++
			}
		}
		if vanished != interfaces || told != interfaces {
			return fmt.Errorf("%d interfaces of %s are shown as vanished, and %d events tell of it; want %d", vanished, id, told, interfaces)
		}
		return nil
	}))
	if out, err := s.Berth("ps"); err != nil || !strings.Contains(out, "vanished") {
		t.Errorf("berth ps shows no vanished interface: %v\n%s", err, out)
	}
}

// leaseOf returns the DHCP lease of the only container on a network, or nil if it has none.
func leaseOf(all []specs.Endpoint, network string) *specs.DHCPLease {
	for _, e := range all {
		if e.Network == network && len(e.DHCP) == 1 {
			return e.DHCP[0].Lease
		}
	}
	return nil
}

// TestHealStays heals without systemd, as the DaemonSet does: `berth heal --stay` sees none of the
// machine's processes, /proc/sys is read-only to it, and it finds the container's namespace by the
// mount that a pod's has.
func TestHealStays(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	must(t, s.Network("lan", lanNetwork))
	s.agent(t)
	e := engines["runc"](t, s)
	_, err := e.Start(lab.Container{ID: s.id("one"), Annotations: annotations{"berth/networks": "lan"}, Args: []string{"sleep", "600"}})
	must(t, err)
	pid, err := e.PID(s.id("one"))
	must(t, err)
	_, err = s.Run("ip", "netns", "attach", s.id("one"), strconv.Itoa(pid))
	must(t, err)
	t.Cleanup(func() { _, _ = s.Run("ip", "netns", "delete", s.id("one")) })
	d := s.stayHealing(t)
	was := s.ps(t)
	for round := 1; round <= 2; round++ {
		_, err = s.Run("ip", "link", "delete", "eth1")
		must(t, err)
		must(t, s.lan.Plug(s.Machine, "eth1"))
		must(t, lab.Eventually(time.Minute, func() error {
			out, err := os.ReadFile(d.Log)
			if n := strings.Count(string(out), "made again: 1"); err == nil && n < round {
				err = fmt.Errorf("healed %d times of %d:\n%s", n, round, out)
			}
			return err
		}))
		if round == 1 {
			s.expectHealed(t, was)
		}
	}
	must(t, e.Stop(s.id("one")))
}

// stayHealing starts `berth heal --stay` as the DaemonSet confines it.
func (s *site) stayHealing(t *testing.T) *lab.Daemon {
	t.Helper()
	script := "mount --bind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys && " +
		"exec setpriv --no-new-privs --bounding-set " + healCaps + ` "$0" heal --stay "$@"`
	d, err := s.Start(filepath.Join(t.TempDir(), "heal"), "unshare", slices.Concat([]string{"--mount",
		"--propagation=slave", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", script, filepath.Join(bin, "berth")}, s.Flags())...)
	must(t, err)
	t.Cleanup(func() { _ = d.Kill() })
	return d
}

// expectHealed compares the container's endpoints with those before, and requires their events.
func (s *site) expectHealed(t *testing.T, was []specs.Endpoint) {
	t.Helper()
	all := s.ps(t)
	if len(all) != len(was) {
		t.Fatalf("were %+v\nare %+v", was, all)
	}
	for i, now := range all {
		old := was[i]
		if now.Interface != old.Interface || now.MAC != old.MAC || !slices.Equal(now.Addresses, old.Addresses) ||
			now.Counters.Transmit.Total().Packets < old.Counters.Transmit.Total().Packets || now.Phase != specs.PhaseAttached {
			t.Fatalf("was %+v\nis %+v", old, now)
		}
		s.expectReached(t, now.Addresses[0].Addr().String())
	}
	must(t, lab.Eventually(time.Minute, func() error {
		all := s.events(t)
		if n := len(slices.DeleteFunc(slices.Clone(all), func(e specs.Event) bool { return e.Kind != specs.InterfaceHealed })); n != len(was) {
			return fmt.Errorf("%d events of healed interfaces: %+v", n, all)
		}
		return nil
	}))
}
