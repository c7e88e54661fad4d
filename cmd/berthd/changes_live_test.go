package main

import (
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"

	"berth/internal/testnet"
	"berth/specs"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// sortedEndpoints returns endpoints by container, the started ones before the ended ones.
func sortedEndpoints(all []specs.Endpoint) []specs.Endpoint {
	slices.SortFunc(all, func(a, b specs.Endpoint) int {
		if c := strings.Compare(a.ContainerID, b.ContainerID); c != 0 {
			return c
		}
		return b.Created.Compare(a.Created)
	})
	return all
}

// TestChangesAreTheEndpoints requires that a program that follows the changes sees the same as one
// that requests all endpoints: while containers come, talk, break a rule and end, across a purge
// and across another run of the agent.
func TestChangesAreTheEndpoints(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.writeNetwork("lan", lanFile)
	a := l.startAgent()
	follower := l.client.Follower()
	same := func(what string) {
		t.Helper()
		diff := ""
		testnet.Eventually(t, "the same endpoints "+what, func() bool {
			followed, err := follower.Endpoints(t.Context())
			mustSucceed(t, err)
			all, err := l.client.Endpoints(t.Context(), true)
			mustSucceed(t, err)
			diff = cmp.Diff(sortedEndpoints(all), sortedEndpoints(followed), cmpopts.EquateEmpty(), cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{}))
			return diff == ""
		})
	}
	same("before the first container")
	web, db := l.attachContainer("web", 1), l.attachContainer("db", 2)
	same("with two containers")
	web.sendFrames(6)
	web.waitSent(6)
	same("after frames")
	web.forgeFrames(specs.FrameMAC{2, 0, 0x5e, 0, 0x53, 0x66}, 1)
	testnet.Eventually(t, "a violation", func() bool { return len(l.endpointOf("web").Violations) == 1 })
	same("after a violation")
	mustSucceed(t, db.newReleaser().Container(t.Context(), "db"))
	same("after the end of a container")
	mustSucceed(t, l.client.Detach(t.Context(), true))
	same("after a purge")
	mustSucceed(t, l.client.Attach(t.Context()))
	web.sendFrames(3)
	web.waitSent(3)
	same("with counts that began anew")
	a.stopAgent(syscall.SIGKILL)
	l.startAgent()
	same("of another run of the agent")
	web.sendFrames(2)
	web.waitSent(5)
	same("with frames after it")
}
