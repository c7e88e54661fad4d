package cli

import (
	"encoding/json"
	"strings"
	"testing"

	"berth/internal/state"
	"berth/specs"
)

func TestDescribeEndpoint(t *testing.T) {
	all := sampleEndpoints()
	all[0].GroupPackets, all[0].LinkLocal, all[0].IPv6Token = new(uint64(1200)), mustAddr("fe80::1200"), mustAddr("::53")
	all[0].Violations[specs.RogueRA], all[0].Dropped = 4, map[specs.Kind]uint64{specs.RogueRA: 3}
	for i, want := range []string{`
container    ` + hexA + `
name         web
image        docker.io/library/nginx
network      lan
interface    net1
state        attached, since 2026-05-04 11:55:00 UTC (5m)
addresses    192.0.2.65/24, 2001:db8::41/64
link-local   fe80::1200
IPv6 token   ::53
MAC          02:00:5e:00:53:01
gateways     192.0.2.1
routes       198.51.100.0/24 via 192.0.2.2 metric 7
parent       eth1.100 (VLAN 100)
mode         macvlan bridge
MTU          1500
received     1.23 GB in 988k pkts
             in addition, multicast and broadcast 1.20k pkts
sent         900 B in 11 pkts
             of this, with siblings on the parent 840 B in 10 pkts
violations   mac-spoof 3
             rogue-ra 4 (3 dropped)
`, `
container    berth-demo-two
network      -
interface    lan0
state        attaching, since 2026-05-04 11:59:59 UTC (1s)
MAC          02:00:5e:00:53:02
parent       eth2
mode         macvlan passthru
MTU          1400
traffic      not counted, because no agent has run since the boot or a purge
`, `
container    ` + hexB + `
network      lan
interface    net1
state        ended 2026-05-04 11:00:00 UTC, 1h ago
addresses    192.0.2.66/24
MAC          02:00:5e:00:53:03
parent       eth1.100 (VLAN 100)
mode         macvlan private
MTU          1500
received     60 B in 1 pkt
sent         0 B in 0 pkts
violations   none
`} {
		var b strings.Builder
		describeEndpoint(&b, &all[i], clock)
		mustEqual(t, all[i].ContainerID, want, b.String())
	}
}

func TestInspectContainers(t *testing.T) {
	w := newWorld(t)
	w.putRecord(1, func(a *state.Attachment) { a.Containers = []string{hexA} })
	w.putRecord(2, func(*state.Attachment) {})
	if got := w.mustRun("inspect", "3f2a"); !strings.HasPrefix(got, "container    "+hexA+"\n") {
		t.Errorf("inspect: %s", got)
	}
	var all []specs.Endpoint
	if err := json.Unmarshal([]byte(w.mustRun("inspect", "--json", "3f2a", "web")), &all); err != nil {
		t.Fatal(err)
	}
	if len(all) != 2 || all[0].ContainerID != hexA || all[1].ContainerID != "web" {
		t.Errorf("inspect --json: %+v", all)
	}
	w.mustFail(exitFailed, `berth: no container has the name "db" or an ID that begins so; berth ps --all lists all containers`, "inspect", "db")
	if code := w.runMain("inspect", "db", "web"); code != exitFailed || !strings.HasPrefix(w.out.String(), "container    web\n") {
		t.Errorf("one of two unknown: exit %d, printed %s", code, &w.out)
	}
	w.mustFail(exitUsage, "berth inspect: the container's ID is missing", "inspect")
}
