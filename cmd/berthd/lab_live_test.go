package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"berth/agent/client"
	"berth/bpf"
	"berth/internal/release"
	"berth/internal/state"
	"berth/internal/testnet"
	"berth/network"
	"berth/specs"
)

// runAgent in the environment makes the test binary be berthd.
const runAgent = "BERTHD_RUN"

func TestMain(m *testing.M) {
	if os.Getenv(runAgent) != "" {
		os.Exit(run(os.Args[1:]))
	}
	testnet.Main(m)
}

// lab is a host with a parent, and a machine on the LAN behind it.
type lab struct {
	t                    testing.TB
	host, lan            *testnet.NS
	config, state, bpffs string
	store                *state.Store
	client               *client.Client
	sink                 *net.UDPConn // of the machine on the LAN
}

const (
	parent  = "eth1"
	lanAddr = "192.0.2.250"
	lanPort = 9000
)

func newLab(t *testing.T) *lab {
	t.Helper()
	l := &lab{t: t, host: testnet.Namespace(t), lan: testnet.Namespace(t)}
	dir, err := os.MkdirTemp("/run", "lab")
	if err != nil {
		t.Fatal(err)
	}
	l.config, l.state = filepath.Join(dir, "config"), filepath.Join(dir, "state")
	l.bpffs = filepath.Join("/sys/fs/bpf", filepath.Base(dir))
	l.store, l.client = state.Open(l.state), client.New(l.state)
	t.Cleanup(func() {
		if err := os.RemoveAll(l.bpffs); err != nil {
			t.Error(err)
		}
	})
	l.wire()
	return l
}

// wire makes the parent and what it is plugged into.
func (l *lab) wire() {
	l.t.Helper()
	testnet.Veth(l.t, parent, l.host, "wire", l.lan)
	testnet.Address(l.t, l.lan, "wire", lanAddr+"/24")
	testnet.In(l.t, l.lan, func() {
		var err error
		if l.sink, err = net.ListenUDP("udp4", &net.UDPAddr{Port: lanPort}); err != nil {
			l.t.Fatal(err)
		}
	})
	l.t.Cleanup(func() { l.sink.Close() })
}

func (l *lab) network(name, text string) {
	l.t.Helper()
	file := filepath.Join(l.config, "networks.d", name+".toml")
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		l.t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		l.t.Fatal(err)
	}
}

// agent is a running berthd.
type agent struct {
	*lab
	cmd  *exec.Cmd
	log  *output
	exit chan error
}

// output is what a process wrote; it may be read meanwhile.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// command is berthd on the host of the lab, not started yet.
func (l *lab) command(args ...string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", append([]string{"--config", l.config, "--state", l.state, "--bpffs", l.bpffs}, args...)...)
	cmd.Env = append(os.Environ(), runAgent+"=1")
	return cmd
}

// start runs an agent and waits until it is ready.
func (l *lab) start(args ...string) *agent {
	l.t.Helper()
	a := &agent{lab: l, cmd: l.command(append([]string{"--metrics", "127.0.0.1:0"}, args...)...), log: new(output), exit: make(chan error, 1)}
	a.cmd.Stderr = a.log
	testnet.In(l.t, l.host, func() {
		if err := a.cmd.Start(); err != nil {
			l.t.Fatal(err)
		}
	})
	go func() { a.exit <- a.cmd.Wait() }()
	l.t.Cleanup(func() {
		a.cmd.Process.Kill()
		if l.t.Failed() {
			l.t.Logf("berthd said:\n%s", a.log)
		}
	})
	testnet.Eventually(l.t, "an agent that is ready", func() bool { return strings.Contains(a.log.String(), "msg=ready") })
	return a
}

// stop ends an agent by a signal and waits for it.
func (a *agent) stop(signal syscall.Signal) {
	a.t.Helper()
	if err := a.cmd.Process.Signal(signal); err != nil {
		a.t.Fatal(err)
	}
	select {
	case err := <-a.exit:
		if signal != syscall.SIGKILL && err != nil {
			a.t.Errorf("berthd ended with %v", err)
		}
	case <-time.After(10 * time.Second):
		a.t.Fatal("berthd did not end within 10 s")
	}
}

func (l *lab) status() specs.AgentStatus {
	l.t.Helper()
	s, err := l.client.Status(l.t.Context())
	if err != nil {
		l.t.Fatal(err)
	}
	return s
}

// parentIs waits for a state of a parent.
func (l *lab) parentIs(name string, want specs.ParentState) specs.ParentStatus {
	l.t.Helper()
	var found specs.ParentStatus
	testnet.Eventually(l.t, fmt.Sprintf("parent %s %s", name, want), func() bool {
		for _, p := range l.status().Parents {
			if found = p; p.Name == name && p.State == want {
				return true
			}
		}
		return false
	})
	return found
}

// endpoint returns a container's only endpoint.
func (l *lab) endpoint(id string) specs.Endpoint {
	l.t.Helper()
	all, err := l.client.Endpoints(l.t.Context(), true)
	if err != nil {
		l.t.Fatal(err)
	}
	for _, e := range all {
		if e.ContainerID == id {
			return e
		}
	}
	l.t.Fatalf("no endpoint of %q among %d", id, len(all))
	return specs.Endpoint{}
}

// scrape reads /metrics as Prometheus would.
func (a *agent) scrape() string {
	a.t.Helper()
	address, status := a.status().Metrics, 0
	var body []byte
	testnet.In(a.t, a.host, func() {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			a.t.Fatal(err)
		}
		transport := &http.Transport{DisableKeepAlives: true,
			DialContext: func(context.Context, string, string) (net.Conn, error) { return conn, nil }}
		answer, err := (&http.Client{Transport: transport}).Get("http://" + address + "/metrics")
		if err != nil {
			a.t.Fatal(err)
		}
		defer answer.Body.Close()
		body, _ = io.ReadAll(answer.Body)
		status = answer.StatusCode
	})
	if status != http.StatusOK {
		a.t.Fatalf("scrape: status %d: %s", status, body)
	}
	return string(body)
}

func wantLine(t testing.TB, text, line string) {
	t.Helper()
	if !strings.Contains(text, line+"\n") {
		t.Errorf("no line %q in\n%s", line, text)
	}
}

// container is a namespace with an interface, recorded as the hook does it.
type container struct {
	*lab
	id     string
	ns     *testnet.NS
	record *state.Attachment
	mac    specs.MAC
}

// attach makes container number n with an address of its own.
func (l *lab) attach(id string, n byte) *container {
	l.t.Helper()
	c := &container{lab: l, id: id, ns: testnet.Namespace(l.t), mac: specs.MAC{2, 0, 0x5e, 0, 0x53, n}}
	host, target := l.open(l.host), l.open(c.ns)
	h, inside := handle(l.t, host), handle(l.t, target)
	cookie, err := target.Cookie()
	check(l.t, err)
	nsid, err := h.AssignNSID(target)
	check(l.t, err)
	p, err := h.Parent(parent)
	check(l.t, err)
	c.record = &state.Attachment{
		Cookie: cookie, NSID: nsid, Containers: []string{id}, Annotations: map[string]string{"nerdctl/name": id + "-name"},
		Network: "lan", Driver: specs.Macvlan, Mode: specs.ModeBridge, Parent: parent, ParentIndex: p.Index,
		Interface: "net1", MAC: c.mac, MTU: 1500, Phase: specs.PhaseAttaching, Created: time.Now(),
		Addresses: []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 0, 2, n}), 24)},
	}
	made, err := l.store.Hold(l.t.Context(), c.record.Key())
	check(l.t, err)
	defer made()
	c.put(func(tx *state.Tx) (err error) {
		c.record.Slot, err = tx.ClaimSlot(specs.DefaultMaxEndpoints + 1)
		return err
	})
	if maps, err := bpf.Open(l.bpffs); err == nil {
		check(l.t, maps.Register(release.Endpoint(c.record)))
		check(l.t, maps.Close())
	}
	link, err := h.CreateLink(target, network.Link{Name: "net1", ParentIndex: p.Index, Driver: specs.Macvlan,
		Mode: specs.ModeBridge, MAC: c.mac, MTU: 1500, Alias: c.record.Alias()})
	check(l.t, err)
	check(l.t, target.SetIPv6("net1", network.IPv6Settings{}))
	check(l.t, inside.SetUp(link.Index))
	check(l.t, inside.AddAddress(link.Index, c.record.Addresses[0], true))
	c.record.LinkIndex, c.record.Phase = link.Index, specs.PhaseAttached
	c.put(nil)
	lanMAC := testnet.Link(l.t, l.lan, "wire").Attrs().HardwareAddr.String()
	testnet.Run(l.t, c.ns, "ip", "neigh", "add", lanAddr, "lladdr", lanMAC, "dev", "net1")
	return c
}

func (c *container) put(also func(*state.Tx) error) {
	c.t.Helper()
	check(c.t, c.store.Update(c.t.Context(), func(tx *state.Tx) error {
		if also != nil {
			if err := also(tx); err != nil {
				return err
			}
		}
		return tx.Put(c.record)
	}))
}

// payload makes frames of 14 + 20 + 8 + 100 bytes.
var payload = make([]byte, 100)

const frameBytes = 142

// send sends datagrams to the machine on the LAN and waits for all of them.
func (c *container) send(n int) {
	c.t.Helper()
	testnet.In(c.t, c.ns, func() {
		conn, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(lanAddr), lanPort)))
		check(c.t, err)
		defer conn.Close()
		for range n {
			_, err := conn.Write(payload)
			check(c.t, err)
			check(c.t, c.sink.SetReadDeadline(time.Now().Add(10*time.Second)))
			_, _, err = c.sink.ReadFrom(make([]byte, 200))
			check(c.t, err)
		}
	})
}

// sent checks what the agent says that the container has sent.
func (c *container) sent(n uint64) {
	c.t.Helper()
	want := specs.Count{Packets: n, Bytes: n * frameBytes}
	if got := c.endpoint(c.id).Counters.Transmit.External.Unicast; got != want {
		c.t.Errorf("container %q sent %+v, want %+v", c.id, got, want)
	}
}

func (c *container) releaser() *release.Releaser {
	return &release.Releaser{Store: c.store, BPFFS: c.bpffs, Host: handle(c.t, c.open(c.host))}
}

func (l *lab) open(ns *testnet.NS) *network.Namespace {
	l.t.Helper()
	n, err := network.OpenPath(ns.Path())
	check(l.t, err)
	l.t.Cleanup(func() { n.Close() })
	return n
}

func handle(t testing.TB, n *network.Namespace) *network.Handle {
	t.Helper()
	h, err := n.Open()
	check(t, err)
	t.Cleanup(h.Close)
	return h
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
