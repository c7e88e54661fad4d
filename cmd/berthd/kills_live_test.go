package main

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"berth/internal/testnet"
	"berth/specs"
)

// killSeed is the environment variable with the seed of the kills' times.
const killSeed = "BERTHD_KILL_SEED"

// The number of kills, the longest time between an agent's start and its kill, and the
// number of kills between two checks of the counts.
const (
	kills      = 100
	killsShort = 10
	killWithin = 400 * time.Millisecond
	lookEvery  = 10
)

// TestManyKillsLoseNoCount: the programs count while agents are killed at any point: at the
// end every frame is counted, and at no time are there more or fewer. Without tcx in the
// kernel, programs are replaced in another way.
func TestManyKillsLoseNoCount(t *testing.T) {
	t.Parallel()
	times := kills
	if testing.Short() {
		times = killsShort
	}
	for _, attach := range []string{"auto", "clsact"} {
		t.Run(attach, func(t *testing.T) {
			t.Parallel()
			killMany(t, attach, times)
		})
	}
}

func killMany(t *testing.T, attach string, times int) {
	l := newLab(t)
	l.writeNetwork("lan", lanFile)
	l.agentConfig(fmt.Sprintf("metrics_split = true\nattach = %q", attach))
	begin := time.Now()
	a := l.startAgent()
	whole := min(2*time.Since(begin), killWithin)
	load := l.startBustle()
	a.stopAgent(syscall.SIGKILL)
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv(killSeed); text != "" {
		var err error
		seed, err = strconv.ParseUint(text, 10, 64)
		mustSucceed(t, err)
	}
	t.Logf("seed %d (%s repeats it), kills within %v of the start", seed, killSeed, whole)
	random := rand.New(rand.NewPCG(seed, 0))
	unready := 0
	for i := range times - 1 {
		a = l.launchProcess(l.agentCommand("--metrics", "127.0.0.1:0"))
		if i%lookEvery == lookEvery-1 {
			a.waitReady()
			load.checkBustle(a)
		}
		select {
		case err := <-a.exit:
			t.Fatalf("berthd ended by itself: %v\n%s", err, a.log)
		case <-time.After(time.Duration(random.Int64N(int64(whole)))):
		}
		if !a.isReady() {
			unready++
		}
		a.stopAgent(syscall.SIGKILL)
	}
	if times == kills && unready == 0 {
		t.Errorf("none of %d kills came before the agent was ready", times)
	}
	load.endBustle()
	a = l.startAgent()
	load.checkBustle(a)
	t.Logf("%d kills, of them %d before the agent was ready; frames: %d out, %d in, %d to the sibling",
		times, unready, load.out.started.Load(), load.in.started.Load(), load.sibling.started.Load())
}

// flow sends datagrams at a bounded rate, a few at a time, and waits for them.
type flow struct {
	from, to          *net.UDPConn
	started, received atomic.Uint64
	done              chan error
}

const (
	flowBurst = 3
	flowEvery = 2 * time.Millisecond
)

// newFlow creates a flow that sends until stop is closed.
func newFlow(t *testing.T, from, to *testnet.NS, addr string, port int, stop <-chan struct{}) *flow {
	t.Helper()
	f := &flow{done: make(chan error, 1)}
	at := net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(addr), uint16(port)))
	testnet.In(t, to, func() {
		var err error
		f.to, err = net.ListenUDP("udp4", at)
		mustSucceed(t, err)
	})
	testnet.In(t, from, func() {
		var err error
		f.from, err = net.DialUDP("udp4", nil, at)
		mustSucceed(t, err)
	})
	t.Cleanup(func() { f.from.Close(); f.to.Close() })
	go func() { f.done <- f.runFlow(stop) }()
	return f
}

func (f *flow) runFlow(stop <-chan struct{}) error {
	tick := time.NewTicker(flowEvery)
	defer tick.Stop()
	buf := make([]byte, 2*len(payload))
	for {
		select {
		case <-stop:
			return nil
		case <-tick.C:
		}
		for range flowBurst {
			f.started.Add(1)
			if _, err := f.from.Write(payload); err != nil {
				return err
			}
		}
		for range flowBurst {
			if err := f.to.SetReadDeadline(time.Now().Add(2 * time.Minute)); err != nil {
				return err
			}
			if _, _, err := f.to.ReadFrom(buf); err != nil {
				return err
			}
			f.received.Add(1)
		}
	}
}

// bustle is traffic of two containers, on the wire and between them.
type bustle struct {
	*lab
	web, db          *container
	out, in, sibling *flow
	stop             chan struct{}
	last             map[string]uint64 // series of the last scrape
}

// startBustle starts traffic between two containers and the LAN.
func (l *lab) startBustle() *bustle {
	l.t.Helper()
	t := l.t.(*testing.T)
	d := &bustle{lab: l, web: l.attachContainer("web", 1), db: l.attachContainer("db", 2), stop: make(chan struct{})}
	// No machine sends ARP requests: a neighbour's frames would be counted too.
	testnet.Run(t, l.lan, "ip", "neigh", "replace", "192.0.2.1", "lladdr", d.web.mac.String(), "dev", "wire")
	testnet.Run(t, d.web.ns, "ip", "neigh", "replace", "192.0.2.2", "lladdr", d.db.mac.String(), "dev", "net1")
	d.out = newFlow(t, d.web.ns, l.lan, lanAddr, lanPort+1, d.stop)
	d.in = newFlow(t, l.lan, d.web.ns, "192.0.2.1", lanPort, d.stop)
	d.sibling = newFlow(t, d.web.ns, d.db.ns, "192.0.2.2", lanPort, d.stop)
	return d
}

// endBustle stops the traffic, and waits until all of it has arrived.
func (d *bustle) endBustle() {
	d.t.Helper()
	close(d.stop)
	for _, f := range []*flow{d.out, d.in, d.sibling} {
		mustSucceed(d.t, <-f.done)
		if f.started.Load() == 0 || f.started.Load() != f.received.Load() {
			d.t.Fatalf("%d frames sent, %d arrived", f.started.Load(), f.received.Load())
		}
	}
}

// checkBustle compares the agent's counts with the traffic: at least the frames that had arrived
// before, at most those sent by then, and no series falls or disappears.
func (d *bustle) checkBustle(a *agent) {
	d.t.Helper()
	before := [...]uint64{d.out.received.Load(), d.in.received.Load(), d.sibling.received.Load()}
	web, db := d.endpointOf("web").Counters, d.endpointOf("db").Counters
	series := trafficSeries(d.t, a.scrapeMetrics())
	after := [...]uint64{d.out.started.Load(), d.in.started.Load(), d.sibling.started.Load()}
	for i, counted := range [][]specs.Count{
		{web.Transmit.External.Unicast}, {web.Receive.External.Unicast}, {web.Transmit.Local.Unicast, db.Receive.Local.Unicast},
	} {
		for _, c := range counted {
			if c.Packets < before[i] || c.Packets > after[i] || c.Bytes != c.Packets*frameBytes {
				d.t.Errorf("flow %d: counted %+v, want %d to %d packets of %d bytes", i, c, before[i], after[i], frameBytes)
			}
		}
	}
	if none := (specs.Count{}); db.Transmit.Local.Unicast != none || db.Transmit.External.Unicast != none || db.Receive.External.Unicast != none || web.Receive.Local.Unicast != none {
		d.t.Errorf("counted what nobody sent: web %+v, db %+v", web, db)
	}
	for _, name := range slices.Sorted(maps.Keys(d.last)) {
		if now, there := series[name]; !there || now < d.last[name] {
			d.t.Errorf("series %s was %d and is %d (there: %t)", name, d.last[name], now, there)
		}
	}
	d.last = series
}

// trafficSeries reads the series of endpoints' traffic from a scrape.
func trafficSeries(t testing.TB, text string) map[string]uint64 {
	t.Helper()
	all := make(map[string]uint64)
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "berth_network_") {
			name, value, _ := strings.Cut(strings.TrimSpace(line), "} ")
			n, err := strconv.ParseUint(value, 10, 64)
			mustSucceed(t, err)
			all[name] = n
		}
	}
	if len(all) == 0 {
		t.Errorf("no traffic in\n%s", text)
	}
	return all
}
