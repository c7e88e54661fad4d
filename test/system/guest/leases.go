package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"berth/specs"
)

// The LAN of DHCP is one of its own: dhcp1 is the parent, eth0 in namespace leases the end with the
// server (lan-leases.service). So the steps of the other LAN do not see its parent vanish.
const (
	leaseParent  = "dhcp1"
	leaseGateway = "203.0.113.1"
	leaseServer  = "lan-leases.service"
	keeper       = "berth-dhcp.service"
	leased       = "leased" // the container and its network
	bundle       = "/var/lib/steps/leased"
)

// layOutLeases makes the LAN of DHCP.
func layOutLeases() error {
	return runAll([][]string{
		{"link", "add", leaseParent, "type", "veth", "peer", "name", "eth0", "netns", "leases"},
		{"-n", "leases", "address", "replace", leaseGateway + "/24", "dev", "eth0"},
		{"-n", "leases", "link", "set", "eth0", "up"},
		{"link", "set", leaseParent, "up"},
	})
}

// leases: systemd starts berth-dhcp with the first lease, and again after a kill and after an
// upgrade. The lease is renewed each time, without a further DISCOVER.
func leases(m *machine) {
	m.wantProperty(keeper, "ActiveState", "inactive")
	m.runCommand("berth", "network", "create", leased, "--ipam-driver", "dhcp", "-o", "parent="+leaseParent,
		"-o", "dhcp_timeout=15s")
	m.makeBundle()
	m.startLeased()
	asked := m.discovers()
	m.eventually(keeper+" runs", func() bool { return m.property(keeper, "ActiveState") == "active" })
	m.waitRenewal()
	m.runCommand("systemctl", "kill", "-s", "KILL", keeper)
	m.waitRenewal()
	pid := m.property(keeper, "MainPID")
	m.runCommand("dpkg", "-i", "/payload/new.deb")
	m.eventually("the new version's "+keeper+" runs", func() bool {
		return m.property(keeper, "ActiveState") == "active" && m.property(keeper, "MainPID") != pid
	})
	m.waitRenewal()
	m.wantLease()
	if n := m.discovers(); n != asked {
		m.errorf("%d further DISCOVERs:\n%s", n-asked, m.leaseLog())
	}
	m.state.Facts[leased] = m.endpoint(leased).Addresses[0].String()
}

// suspend: a lease whose T1 passes while the machine is suspended is renewed at its end, and not
// when the timer would end that stood still meanwhile.
func suspend(m *machine) {
	const seconds, atOnce = 25, 10 * time.Second
	asked := m.discovers()
	m.waitRenewal()
	before := suspended(m)
	m.suspendFor(seconds)
	resumed := time.Now()
	if slept := suspended(m) - before; slept < seconds*time.Second/2 {
		m.fatalf("the machine was suspended for %s, want about %d s", slept, seconds)
	}
	m.waitRenewal()
	if after := m.lease().Renewed.Sub(resumed); after > atOnce {
		m.errorf("the lease was renewed %s after the suspension, want at once", after)
	}
	m.wantLease()
	if n := m.discovers(); n != asked {
		m.errorf("%d further DISCOVERs:\n%s", n-asked, m.leaseLog())
	}
}

// suspendFor suspends the machine to memory (ACPI S3) until an alarm of its clock.
func (m *machine) suspendFor(seconds int) {
	for _, set := range [][2]string{
		{"/sys/power/mem_sleep", "deep"},
		{"/sys/class/rtc/rtc0/wakealarm", "0"},
		{"/sys/class/rtc/rtc0/wakealarm", "+" + strconv.Itoa(seconds)},
		{"/sys/power/state", "mem"},
	} {
		if err := os.WriteFile(set[0], []byte(set[1]), 0); err != nil {
			m.fatalf("%v", err)
		}
	}
}

// suspended returns the time for which the machine was suspended since its start.
func suspended(m *machine) time.Duration {
	var all, awake unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &all); err != nil {
		m.fatalf("%v", err)
	}
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &awake); err != nil {
		m.fatalf("%v", err)
	}
	return time.Duration(all.Nano() - awake.Nano())
}

// rebootAgain reboots a machine without podman; restartMachine reboots the others.
func rebootAgain(*machine) { panic(reboot{}) }

// leasesAfterBoot: the container has the same lease as before the reboot.
func leasesAfterBoot(m *machine) {
	m.wantProperty(keeper, "ActiveState", "inactive")
	m.startLeased()
	m.wantLease()
	if now, was := m.endpoint(leased).Addresses[0].String(), m.state.Facts[leased]; now != was {
		m.errorf("address %s, before the reboot %s:\n%s", now, was, m.leaseLog())
	}
	m.eventually(keeper+" runs", func() bool { return m.property(keeper, "ActiveState") == "active" })
	m.waitRenewal()
}

// heal: the parent is removed and made again. systemd starts `berth heal`, and the container has its
// interface again: name, MAC, address, routes and counts. At its end it gives its lease back.
func heal(m *machine) {
	m.pingLeased()
	was, routes := m.endpoint(leased), m.inLeased("ip", "route")
	m.runCommand("ip", "link", "delete", leaseParent)
	if out, err := m.tryInLeased("ip", "link", "show", was.Interface); err == nil {
		m.fatalf("the interface outlives its parent: %s", out)
	}
	if err := layOutLeases(); err != nil {
		m.fatalf("%v", err)
	}
	m.runCommand("systemctl", "restart", leaseServer)
	m.eventually("the interface is made again, with its routes", func() bool {
		return m.inLeased("ip", "route") == routes
	})
	m.pingLeased()
	m.wantLease()
	now := m.endpoint(leased)
	if now.Interface != was.Interface || now.MAC != was.MAC || !slices.Equal(now.Addresses, was.Addresses) {
		m.errorf("was %+v, is %+v", was, now)
	}
	m.eventually("the counts go on", func() bool {
		return m.endpoint(leased).Counters.Transmit.Total().Packets > was.Counters.Transmit.Total().Packets
	})
	m.eventually("the event", func() bool {
		return strings.Contains(m.runCommand("berth", "events"), string(specs.InterfaceHealed))
	})
	m.waitRenewal()
	m.runCommand("runc", "delete", "--force", leased)
	m.eventually("the lease is given back", func() bool { return strings.Contains(m.leaseLog(), "DHCPRELEASE(") })
	m.eventually(keeper+" ends with the last lease", func() bool {
		return m.property(keeper, "ActiveState") == "inactive"
	})
	m.runCommand("berth", "network", "rm", leased)
}

// makeBundle makes the container's bundle, of busybox.
func (m *machine) makeBundle() {
	bin := filepath.Join(bundle, "rootfs/bin")
	if err := os.MkdirAll(bin, 0o755); err != nil {
		m.fatalf("%v", err)
	}
	m.runCommand("cp", "/bin/busybox", filepath.Join(bin, "sleep"))
	m.runCommand("runc", "spec", "--bundle", bundle)
	file := filepath.Join(bundle, "config.json")
	text, err := os.ReadFile(file)
	if err != nil {
		m.fatalf("%v", err)
	}
	changed := strings.NewReplacer(`"ociVersion"`, `"annotations": {"berth/networks": "`+leased+`"}, "ociVersion"`,
		`"terminal": true`, `"terminal": false`, `"sh"`, `"sleep", "100000"`).Replace(string(text))
	if err := os.WriteFile(file, []byte(changed), 0o644); err != nil {
		m.fatalf("%v", err)
	}
}

func (m *machine) startLeased() {
	m.runCommand("berth-runtime", "run", "--detach", "--bundle", bundle, leased)
}

// tryInLeased runs a program of the machine in the container's network namespace.
func (m *machine) tryInLeased(args ...string) (string, error) {
	var state struct{ Pid int }
	if err := json.Unmarshal([]byte(m.runCommand("runc", "state", leased)), &state); err != nil || state.Pid == 0 {
		m.fatalf("runc state: %+v, %v", state, err)
	}
	return output("nsenter", append([]string{"-n", "-t", strconv.Itoa(state.Pid)}, args...)...)
}

func (m *machine) inLeased(args ...string) string {
	out, err := m.tryInLeased(args...)
	if err != nil {
		m.fatalf("%v", err)
	}
	return out
}

func (m *machine) pingLeased() {
	if out := m.inLeased("busybox", "ping", "-q", "-c", "2", "-W", "20", leaseGateway); !strings.Contains(out,
		"2 packets received") {
		m.errorf("pings of %s: %s", leased, out)
	}
}

func (m *machine) leaseLog() string {
	return m.runCommand("journalctl", "-q", "-b", "-o", "cat", "-u", leaseServer)
}

func (m *machine) discovers() int { return strings.Count(m.leaseLog(), "DHCPDISCOVER(") }

// lease returns the container's lease.
func (m *machine) lease() *specs.DHCPLease {
	e := m.endpoint(leased)
	if len(e.DHCP) != 1 || e.DHCP[0].Lease == nil {
		m.fatalf("the container has no lease: %+v", e)
	}
	return e.DHCP[0].Lease
}

// waitRenewal waits until the lease is renewed once more.
func (m *machine) waitRenewal() {
	before := m.lease().Renewed
	m.eventually("the lease is renewed", func() bool { return m.lease().Renewed.After(before) })
}

var leaseLeft = regexp.MustCompile(`(?m)^` + leased + ` .*(\n.*)*dhcp, [0-9]+m left`)

// wantLease checks that the interface has the leased address, and that berth ps shows the lease.
func (m *machine) wantLease() {
	address := m.lease().Address.String()
	got := m.inLeased("ip", "-4", "-o", "address", "show", "dev", "net1")
	if !strings.Contains(got, " "+address+" ") {
		m.errorf("no %s on net1: %s", address, got)
	}
	if ps := m.runCommand("berth", "ps"); !leaseLeft.MatchString(ps) {
		m.errorf("berth ps shows no lease:\n%s", ps)
	}
}
