package main

import (
	"net/netip"
	"os/exec"
	"testing"

	"berth/bpf"
	"berth/internal/config"
	"berth/internal/hostshim"
	"berth/internal/release"
	"berth/internal/state"
	"berth/internal/testnet"
	"berth/specs"
)

// ipvlanFile is a network of ipvlan interfaces, which do not ask for each other.
const ipvlanFile = lanFile + "driver = 'ipvlan'\nconflict_timeout = '0'\nipv6 = 'off'\n[[subnet]]\nsubnet = '192.0.2.0/24'\n"

// attachIPvlan attaches a container with an ipvlan interface that has some of its programs.
func (l *lab) attachIPvlan(id string, n byte, enforce []specs.Kind, programs ...bpf.OwnProgram) *container {
	l.t.Helper()
	c := l.attachAs(id, n, func(at *state.Attachment) {
		at.Driver, at.Mode, at.Enforce = specs.IPvlan, specs.ModeL2, enforce
		at.MAC = specs.MAC(testnet.Link(l.t, l.host, parent).Attrs().HardwareAddr)
	})
	c.attachPrograms(programs...)
	return c
}

func (c *container) attachPrograms(programs ...bpf.OwnProgram) {
	c.t.Helper()
	maps, err := bpf.Open(c.bpffs)
	mustSucceed(c.t, err)
	defer maps.Close()
	testnet.In(c.t, c.ns, func() {
		for _, o := range programs {
			mustSucceed(c.t, maps.AttachInside(o, release.Endpoint(c.record)))
		}
	})
}

// TestMissingGuardProgram has an ipvlan interface without the guard program, which matters once a
// container of a network that enforces rules is on the same parent, and one without the sibling
// program, whose frames the guard programs accept although they have no mark. The host reaches the
// containers by an interface that the agent has given the shim program.
func TestMissingGuardProgram(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.Types, testnet.IPvlan)
	l := newLab(t)
	l.writeNetwork("lan", ipvlanFile)
	l.startAgent()
	reaches := func(from *testnet.NS, to *container, seconds string) bool {
		var err error
		testnet.In(t, from, func() {
			err = exec.Command("ping", "-n", "-c", "1", "-W", seconds, to.record.Addresses[0].Addr().String()).Run()
		})
		return err == nil
	}
	open := l.attachIPvlan("open", 1, nil, bpf.SiblingProgram)
	l.answersCounting("nothing is enforced")
	strict := l.attachIPvlan("strict", 2, []specs.Kind{specs.IPSpoof}, bpf.SiblingProgram, bpf.GuardProgram)
	l.answersFailed("forged frames can reach some of its ipvlan interfaces")
	open.attachPrograms(bpf.GuardProgram)
	l.answersCounting("every interface has its programs")

	old := l.attachIPvlan("old", 3, nil)
	l.answersFailed("frames that some of its ipvlan interfaces send to siblings are not counted")
	if !reaches(old.ns, strict, "60") {
		t.Error("a sibling without programs is not heard")
	}
	old.attachPrograms(bpf.SiblingProgram, bpf.GuardProgram)
	l.answersCounting("the third has its programs")
	if !reaches(old.ns, open, "60") {
		t.Error("a sibling with programs is not heard")
	}
	n, err := config.Network(l.config, "lan")
	mustSucceed(t, err)
	shims := hostshim.Shims{Store: l.store}
	testnet.In(t, l.host, func() {
		_, err = shims.Enable(t.Context(), n, []netip.Addr{netip.MustParseAddr("192.0.2.100")})
	})
	mustSucceed(t, err)
	testnet.Eventually(t, "an answer to the host", func() bool { return reaches(l.host, strict, "5") })
}
