//go:build engines

package e2e

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"berth/test/lab"
	"berth/test/leases"
)

// leaseArgument makes the test binary a DHCP server: the trees of engines have none.
const leaseArgument = "lease-addresses"

func init() {
	if len(os.Args) == 2 && os.Args[1] == leaseArgument {
		server := leases.Server{Link: "eth0", Own: netip.MustParsePrefix(neighborIP + "/24"), Time: 10 * time.Minute, Log: os.Stdout}
		fmt.Fprintln(os.Stderr, server.Serve(context.Background()))
		os.Exit(1)
	}
}

// testLeases starts and stops a container on a network with DHCP, twice, and checks that it has
// its lease and gives it back.
func testLeases(t *testing.T, s *site, e lab.Engine, c lab.Container, before snapshot) {
	t.Helper()
	program, err := os.Executable()
	must(t, err)
	server, err := s.neighbor.Start(filepath.Join(t.TempDir(), "leases"), program, leaseArgument)
	must(t, err)
	t.Cleanup(func() { _ = server.Kill() })
	must(t, lab.Eventually(30*time.Second, func() error { return logHas(server, "listening") }))
	for range 2 {
		id, err := e.Start(c)
		must(t, err)
		address := s.expectLease(t, id)
		s.expectReached(t, address)
		must(t, e.Stop(c.ID))
		must(t, lab.Eventually(30*time.Second, func() error { return logHas(server, "RELEASE "+address) }))
		s.expectNothingLeft(t, before)
	}
}

func TestDockerDHCP(t *testing.T) {
	t.Parallel()
	s := newServedSite(t)
	must(t, s.Network("lan", dhcpNetwork))
	d := docker(t, s)
	testLeases(t, s, d, s.sleeper("leased"), s.snapshot(t))
}

func TestNerdctlDHCP(t *testing.T) {
	t.Parallel()
	s := newServedSite(t)
	must(t, s.Network("lan", dhcpNetwork))
	n := nerdctl(t, s)
	testLeases(t, s, n, s.sleeper("leased"), s.snapshot(t))
}

// TestCRIDHCP starts pods of containerd or CRI-O by NRI. The runtime gives its plugins the time
// that docs/dhcp.md recommends.
func TestCRIDHCP(t *testing.T) {
	t.Parallel()
	n := &node{site: newSite(t)}
	must(t, n.Network("lan", "default_route = false\n"+dhcpNetwork))
	n.agent(t)
	timeout := "  plugin_request_timeout = \"15s\"\n"
	if hasCRIO() {
		timeout = "nri_plugin_request_timeout = \"15s\"\n"
	}
	n.serveRuntime(t, timeout)
	n.takeBaseline(t)
	defer stopDaemon(t, n.startPlugin(t))
	testLeases(t, n.site, n.cri, n.sleeper("leased"), n.before)
}
