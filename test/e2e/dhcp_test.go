package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"berth/specs"
	"berth/test/lab"
)

const dhcpNetwork = "parent = \"eth1\"\nipam = \"dhcp\"\nenforce = [\"ip-spoof\", \"mac-spoof\"]\n"

// serveDHCP starts ISC dhcpd, with short leases from a pool of twenty addresses, on the neighbor.
func (s *site) serveDHCP(t *testing.T, first, seconds int) dhcpServer {
	t.Helper()
	dir := t.TempDir()
	must(t, os.Chmod(dir, 0o755))
	conf := filepath.Join(dir, "dhcpd.conf")
	must(t, os.WriteFile(conf, fmt.Appendf(nil, `authoritative;
ping-check false;
default-lease-time %[3]d;
max-lease-time %[3]d;
min-lease-time 1;
subnet 192.0.2.0 netmask 255.255.255.0 {
	range 192.0.2.%[1]d 192.0.2.%[2]d;
	option routers 192.0.2.1;
	option domain-name-servers 192.0.2.53;
}
`, first, first+20, seconds), 0o644))
	must(t, os.WriteFile(filepath.Join(dir, "leases"), nil, 0o644))
	d, err := s.neighbor.Start(filepath.Join(dir, "log"), "dhcpd", "-4", "-f", "-d", "-user", "root", "-group", "root", "-cf", conf,
		"-lf", filepath.Join(dir, "leases"), "-pf", filepath.Join(dir, "pid"), "eth0")
	must(t, err)
	stop := sync.OnceFunc(func() { _ = d.Kill() }) // Kill waits for its end once
	t.Cleanup(stop)
	must(t, lab.Eventually(30*time.Second, func() error { return logHas(d, "Sending on") }))
	return dhcpServer{d, stop}
}

// dhcpServer is a running DHCP server.
type dhcpServer struct {
	*lab.Daemon
	stop func()
}

func logHas(d *lab.Daemon, text string) error {
	got, err := os.ReadFile(d.Log)
	if err == nil && !strings.Contains(string(got), text) {
		err = fmt.Errorf("no %q in\n%s", text, got)
	}
	return err
}

// TestDHCP starts containers of several engines on a network with DHCP. Each has its
// address before its first process, keeps it for several lease times although the keeper
// is killed, and gives it back. The agent sees no violation in it.
func TestDHCP(t *testing.T) {
	for _, engine := range []string{"runc", "podman-crun", "containerd", "runc-late"} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			server := s.serveDHCP(t, 100, 8)
			must(t, s.Network("lan", dhcpNetwork))
			s.agent(t)
			e := engines[engine](t, s)
			before := s.snapshot(t)
			id, err := e.Start(lab.Container{ID: s.id("one"), Annotations: annotations{"berth/networks": "lan"},
				Args: []string{"sh", "-c", "ip -4 addr show net1 | grep -q 192.0.2.1 && sleep 600"}})
			must(t, err)
			s.keepLeases(t)
			address := s.expectLease(t, id)
			s.expectReached(t, address)
			first := time.Now()
			for time.Since(first) < 20*time.Second { // more than twice the lease time, with killed keepers
				must(t, lab.Eventually(30*time.Second, func() error { return logHas(server.Daemon, "DHCPREQUEST for "+address+" from") }))
				if got := s.expectLease(t, id); got != address {
					t.Fatalf("address %s, before %s", got, address)
				}
				s.expectReached(t, address)
			}
			if text, err := s.Berth("inspect", id); err != nil || !strings.Contains(text, "192.0.2.53") || !strings.Contains(text, " left") {
				t.Errorf("berth inspect: %v\n%s", err, text)
			}
			if text, err := s.Run("busybox", "wget", "-qO-", "http://127.0.0.1:9477/metrics"); err != nil ||
				!strings.Contains(text, "berth_lease_expiry_timestamp_seconds{") || !strings.Contains(text, `berth_dhcp_messages_total{type="ack"}`) {
				t.Errorf("metrics: %v\n%s", err, text)
			}
			must(t, e.Stop(s.id("one")))
			must(t, lab.Eventually(30*time.Second, func() error { return logHas(server.Daemon, "DHCPRELEASE of "+address) }))
			s.expectNothingLeft(t, before)
			if text, err := s.Berth("events"); err != nil || strings.Contains(text, "spoof") {
				t.Errorf("events: %v\n%s", err, text)
			}
		})
	}
}

// keeperCaps are the capabilities of deploy/systemd/berth-dhcp.service.
const keeperCaps = "-all,+bpf,+net_admin,+net_broadcast,+net_raw,+sys_admin,+sys_ptrace"

// keepLeases runs berth-dhcp, with the capabilities of its unit, for the rest of the test,
// and kills it each second.
func (s *site) keepLeases(t *testing.T) {
	t.Helper()
	stop, stopped := make(chan struct{}), make(chan struct{})
	log := filepath.Join(t.TempDir(), "berth-dhcp")
	t.Cleanup(func() { close(stop); <-stopped })
	go func() {
		defer close(stopped)
		for {
			d, err := s.Start(log, "setpriv", append([]string{"--bounding-set", keeperCaps, filepath.Join(bin, "berth-dhcp"), "--stay"}, s.Flags()...)...)
			if err != nil {
				t.Error(err)
				return
			}
			select {
			case <-stop:
				_ = d.Kill()
				return
			case <-time.After(time.Second):
				_ = d.Kill()
			}
		}
	}()
}

// expectLease returns the address of the only attachment, which is leased.
func (s *site) expectLease(t *testing.T, id string) string {
	t.Helper()
	all := s.ps(t)
	if len(all) != 1 || all[0].Phase != specs.PhaseAttached || len(all[0].Addresses) != 1 || len(all[0].DHCP) != 1 || all[0].DHCP[0].Lease == nil {
		t.Fatalf("berth ps of %s: %+v", id, all)
	}
	return all[0].Addresses[0].Addr().String()
}

// TestDHCPChangesTheAddress replaces the LAN's DHCP server by one with another pool. The
// container gets an address of that; the datapath, which drops forged addresses, and the
// events follow.
func TestDHCPChangesTheAddress(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	server := s.serveDHCP(t, 100, 8)
	must(t, s.Network("lan", dhcpNetwork))
	s.agent(t)
	e := engines["runc"](t, s)
	id, err := e.Start(lab.Container{ID: s.id("one"), Annotations: annotations{"berth/networks": "lan"}, Args: []string{"sleep", "600"}})
	must(t, err)
	s.keepLeases(t)
	old := s.expectLease(t, id)
	server.stop()
	s.serveDHCP(t, 200, 8)
	var next string
	must(t, lab.Eventually(60*time.Second, func() error {
		all := s.ps(t)
		if len(all) != 1 || len(all[0].Addresses) != 1 || all[0].Addresses[0].Addr().String() == old {
			return fmt.Errorf("berth ps: %+v", all)
		}
		next = all[0].Addresses[0].Addr().String()
		return nil
	}))
	s.expectReached(t, next)
	must(t, lab.Eventually(30*time.Second, func() error {
		text, err := s.Berth("events")
		if err == nil && (!strings.Contains(text, "lease-lost") || !strings.Contains(text, "lease-changed") || !strings.Contains(text, next)) {
			err = fmt.Errorf("events:\n%s", text)
		}
		return err
	}))
	if text, err := s.Berth("events"); err != nil || strings.Contains(text, "spoof") || strings.Contains(text, "drift") {
		t.Errorf("events: %v\n%s", err, text)
	}
	must(t, e.Stop(s.id("one")))
}
