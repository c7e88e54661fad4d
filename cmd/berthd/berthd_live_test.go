package main

import (
	"context"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"berth/agent/client"
	"berth/internal/testnet"
	"berth/specs"

	"golang.org/x/sys/unix"
)

const lanFile = "parent = \"eth1\"\n"

func TestCountsFromTheFirstFrame(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.writeNetwork("lan", lanFile)
	a := l.startAgent()
	web := l.attachContainer("web", 1)
	// The first scrape after the attachment has its series.
	wantLine(t, a.scrapeMetrics(), `berth_network_transmit_packets_total{container_id="web",interface="net1",network="lan",parent="eth1"} 0`)
	web.sendFrames(50)
	web.waitSent(50)
	text := a.scrapeMetrics()
	wantLine(t, text, `berth_network_transmit_packets_total{container_id="web",interface="net1",network="lan",parent="eth1"} 50`)
	wantLine(t, text, `berth_network_transmit_bytes_total{container_id="web",interface="net1",network="lan",parent="eth1"} 7100`)
	wantLine(t, text, `berth_violations_total{kind="mac-spoof",network="lan",parent="eth1"} 0`)
	wantLine(t, text, `berth_endpoint_info{container_id="web",interface="net1",network="lan",parent="eth1",name="web-name",image="",pod="",namespace="",mac="02:00:5e:00:53:01",driver="macvlan",mode="bridge"} 1`)
}

func TestKilledAgentLosesNoCount(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.writeNetwork("lan", lanFile)
	a := l.startAgent()
	web := l.attachContainer("web", 1)
	web.sendFrames(30)
	for range 3 {
		a.stopAgent(syscall.SIGKILL)
		web.sendFrames(30)
		a = l.startAgent()
		web.sendFrames(10)
	}
	web.waitSent(150)
	a.stopAgent(syscall.SIGKILL)
	db := l.attachContainer("db", 2) // while no agent runs
	db.sendFrames(20)
	a = l.startAgent()
	db.waitSent(20)
	web.waitSent(150)
	a.stopAgent(syscall.SIGTERM)
	db.sendFrames(5)
	l.startAgent()
	db.waitSent(25)
}

func TestRegistersEarlierAttachments(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	web := l.attachContainer("web", 1) // no agent ever ran, and no network file names the parent
	web.sendFrames(5)
	l.startAgent()
	web.sendFrames(7)
	web.waitSent(7)
	if p := l.parentIs(parent, specs.ParentCounting); p.Endpoints != 1 {
		t.Errorf("%d endpoints at the parent, want 1", p.Endpoints)
	}
}

func TestFollowsParents(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	a := l.startAgent()
	l.writeNetwork("lab", "parent = \"eth2\"\n")
	const missing = `parent "eth2" of network "lab" does not exist; create it, or correct the network's file`
	if p := l.parentIs("eth2", specs.ParentWaiting); p.Problem != missing {
		t.Errorf("problem %q, want %q", p.Problem, missing)
	}
	l.writeNetwork("lan", lanFile)
	before := l.parentIs(parent, specs.ParentCounting)
	mustSucceed(t, testnet.Netlink(t, l.host).LinkDel(testnet.Link(t, l.host, parent)))
	l.parentIs(parent, specs.ParentWaiting)
	l.sink.Close()
	l.makeWire()
	after := l.parentIs(parent, specs.ParentCounting)
	if before.Index == after.Index {
		t.Fatalf("the new interface has index %d as the old", after.Index)
	}
	web := l.attachContainer("web", 1)
	web.sendFrames(10)
	web.waitSent(10)
	if n := strings.Count(a.log.String(), "msg=problem what=\"parent \\\"eth2\\\""); n != 1 {
		t.Errorf("the missing parent was logged %d times, want once\n%s", n, a.log)
	}
	mustSucceed(t, os.Remove(l.config+"/networks.d/lab.toml"))
	testnet.Eventually(t, "no parent eth2", func() bool {
		return len(l.agentStatus().Parents) == 1 && len(l.agentStatus().Problems) == 0
	})
}

func TestDetachAndAttach(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.writeNetwork("lan", lanFile)
	l.startAgent()
	web := l.attachContainer("web", 1)
	web.sendFrames(10)
	mustSucceed(t, l.client.Detach(t.Context(), false))
	if s := l.agentStatus(); s.Attached || l.onlyParent().State != specs.ParentDetached {
		t.Errorf("status after detach %+v", s)
	}
	web.sendFrames(10)
	web.waitSent(10) // sent, and not counted meanwhile
	l.writeNetwork("lab", lanFile)
	testnet.Eventually(t, "the new network", func() bool { return len(l.onlyParent().Networks) == 2 })
	web.sendFrames(10)
	web.waitSent(10) // it stays detached
	mustSucceed(t, l.client.Attach(t.Context()))
	web.sendFrames(10)
	web.waitSent(20)
	mustSucceed(t, l.client.Detach(t.Context(), true))
	if _, err := os.Stat(l.bpffs); !os.IsNotExist(err) {
		t.Errorf("pinned after a purge: %v, want nothing", err)
	}
	if e := l.endpointOf("web"); e.Counted {
		t.Errorf("counted after a purge: %+v", e.Counters)
	}
	mustSucceed(t, l.client.Attach(t.Context()))
	web.sendFrames(3)
	web.waitSent(3)
}

func TestEndedContainerIsKept(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.writeNetwork("lan", lanFile)
	a := l.startAgent()
	web := l.attachContainer("web", 1)
	web.sendFrames(25)
	mustSucceed(t, web.newReleaser().Container(t.Context(), "web"))
	testnet.Eventually(t, "final counts", func() bool {
		web.waitSent(25) // at every moment of the way
		return l.slotOf("web") == 0
	})
	wantLine(t, a.scrapeMetrics(), `berth_network_transmit_packets_total{container_id="web",interface="net1",network="lan",parent="eth1"} 25`)
	again := l.attachContainer("web2", 1)
	again.sendFrames(4)
	again.waitSent(4) // in a slot that another endpoint had
	web.waitSent(25)
}

func TestForgedMACIsFlagged(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.writeNetwork("lan", lanFile)
	a := l.startAgent()
	web := l.attachContainer("web", 1)
	forged := specs.FrameMAC{2, 0, 0x5e, 0, 0x53, 0x66}
	web.forgeFrames(forged, 3)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	for e, err := range l.client.Events(ctx, client.Filter{Follow: true}) {
		mustSucceed(t, err)
		if e.Kind != specs.MACSpoof || e.MAC != forged || e.Parent != parent || e.Direction != "egress" {
			t.Errorf("event %+v", e)
		}
		if s := e.Sender; s == nil || s.ContainerID != "web" || s.Name != "web-name" || s.Network != "lan" || s.MAC != web.mac {
			t.Errorf("sender %+v, want web", s)
		}
		if e.Frame.SourceIP.String() != "192.0.2.1" || e.Frame.Protocol != "udp" || len(e.Frame.Bytes) == 0 {
			t.Errorf("frame %+v", e.Frame)
		}
		break
	}
	wantLine(t, a.scrapeMetrics(), `berth_violations_total{kind="mac-spoof",network="lan",parent="eth1"} 3`)
}

// forgeFrames sends UDP frames by a raw socket, from another MAC.
func (c *container) forgeFrames(mac specs.FrameMAC, n int) {
	c.t.Helper()
	frame := append([]byte{2, 0, 0x5e, 0, 0x53, 0xfe}, mac[:]...)
	frame = append(frame, 0x08, 0x00, 0x45, 0, 0, 28, 0, 1, 0, 0, 64, 17, 0, 0)
	frame = append(frame, c.record.Addresses[0].Addr().AsSlice()...)
	frame = append(frame, 192, 0, 2, 250, 0, 1, 0, 2, 0, 8, 0, 0)
	testnet.In(c.t, c.ns, func() {
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		mustSucceed(c.t, err)
		defer unix.Close(fd)
		for range n {
			mustSucceed(c.t, unix.Sendto(fd, frame, 0, &unix.SockaddrLinklayer{Ifindex: c.record.LinkIndex, Halen: 6}))
		}
	})
}
