package main

import (
	"context"
	"net/netip"
	"os"
	"strings"
	"time"

	"berth/test/leases"
)

const (
	keeper   = "berth-dhcp.service"
	leaseFor = 30 * time.Second
)

// leaseAddresses serves DHCP at the LAN's other end.
func leaseAddresses() error {
	server := leases.Server{Link: far, Own: netip.MustParsePrefix(gateway + "/24"), Time: leaseFor, Log: os.Stdout}
	return server.Serve(context.Background())
}

// keepLeases: systemd starts berth-dhcp with the first lease, and again after a kill; the lease is
// renewed each time, and given back at the end, with which berth-dhcp ends.
func keepLeases(m *machine) {
	m.runCommand("systemctl", "start", "lan-leases.service")
	m.eventually("the DHCP server listens", func() bool { return strings.Contains(m.leaseLog(), "listening") })
	m.wantProperty(keeper, "ActiveState", "inactive")
	m.runCommand("berth", "network", "create", "leased", "--ipam-driver", "dhcp",
		"-o", "parent="+parent, "-o", "dhcp_timeout=15s")
	m.runCommand("podman", "run", "-d", "--name", "leased", "--network", "none",
		"--annotation", "berth/networks=leased", "bb", "sleep", "100000")
	m.eventually(keeper+" runs", func() bool { return m.property(keeper, "ActiveState") == "active" })
	address := m.endpoint("leased").Addresses[0].Addr().String()
	asked := strings.Count(m.leaseLog(), "DISCOVER")
	m.waitRenewal()
	m.runCommand("systemctl", "kill", "-s", "KILL", keeper)
	m.waitRenewal()
	m.runCommand("podman", "rm", "-f", "-t", "0", "leased")
	m.eventually("the lease is given back", func() bool { return strings.Contains(m.leaseLog(), "RELEASE "+address) })
	m.eventually(keeper+" ends with the last lease", func() bool {
		return m.property(keeper, "ActiveState") == "inactive"
	})
	if n := strings.Count(m.leaseLog(), "DISCOVER"); n != asked {
		m.errorf("%d further DISCOVERs:\n%s", n-asked, m.leaseLog())
	}
	m.runCommand("berth", "network", "rm", "leased")
	m.runCommand("systemctl", "stop", "lan-leases.service")
}

func (m *machine) leaseLog() string {
	return m.runCommand("journalctl", "-q", "-o", "cat", "-u", "lan-leases.service")
}

// waitRenewal waits until the lease of the container is renewed once more.
func (m *machine) waitRenewal() {
	renewed := func() time.Time {
		e := m.endpoint("leased")
		if len(e.DHCP) != 1 || e.DHCP[0].Lease == nil {
			m.fatalf("the container has no lease: %+v", e)
		}
		return e.DHCP[0].Lease.Renewed
	}
	before := renewed()
	m.eventually("the lease is renewed", func() bool { return renewed().After(before) })
}
