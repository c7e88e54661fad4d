package hostshim_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"

	"berth/hook"
	"berth/internal/config"
	"berth/internal/hostshim"
	"berth/internal/state"
	"berth/internal/testnet"
	berth "berth/specs"
)

func TestMain(m *testing.M) { testnet.MainOr(m, runProgram) }

// runProgram enables or disables a shim, and ends itself after a step. args are "enable" or
// "disable", and the directories of the configuration and of the state.
func runProgram(args []string) int {
	s := &hostshim.Shims{Store: state.Open(args[2]), Log: slog.New(slog.DiscardHandler), Step: testnet.KillStep}
	n, err := config.Network(args[1], "lan")
	if err == nil && args[0] == "enable" {
		_, err = s.Enable(context.Background(), n, nil)
	} else if err == nil {
		_, err = s.Disable(context.Background(), "lan")
	}
	fmt.Fprintln(os.Stderr, "not killed:", err)
	return 1
}

// lab is a host with the parent eth1 on a switch, and another machine on the
// switch. The host has 192.0.2.10 on eth1, the machine 192.0.2.1.
type lab struct {
	*testing.T
	host, wire, lan *testnet.NS
	dirs            config.Dirs
	store           *state.Store
	step            func(string) error
	patient         context.Context
}

// patience is the deadline of a lab's operations, longer than that of the programs, for
// slow machines.
const patience = 10 * time.Minute

// Context returns a context with a deadline, so that a wait for a lock lasts as long.
func (l *lab) Context() context.Context { return l.patient }

func newLab(t *testing.T) *lab {
	t.Helper()
	testnet.Need(t, testnet.Root, testnet.Macvlan)
	dir := t.TempDir()
	l := &lab{
		T: t, host: testnet.Namespace(t), wire: testnet.Namespace(t), lan: testnet.Namespace(t),
		dirs: config.Dirs{Config: dir + "/etc", State: dir + "/run", BPFFS: "/sys/fs/bpf/" + testnet.Unique("none")},
	}
	l.store = state.Open(l.dirs.State)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	l.patient = ctx
	if err := os.MkdirAll(l.dirs.Config, 0o755); err != nil {
		t.Fatal(err)
	}
	l.linkLocal("1") // no link-local addresses: the kernel adds them, tentative, at unpredictable times
	testnet.Veth(t, "eth1", l.host, "port1", l.wire)
	l.linkLocal("0")
	testnet.Veth(t, "eth0", l.lan, "port2", l.wire)
	testnet.Bridge(t, l.wire, "switch", "port1", "port2")
	for _, prefix := range []string{"192.0.2.10/24", "2001:db8::10/64"} {
		testnet.Address(t, l.host, "eth1", prefix)
	}
	for _, prefix := range []string{"192.0.2.1/24", "2001:db8::1/64"} {
		testnet.Address(t, l.lan, "eth0", prefix)
	}
	testnet.Eventually(t, "the parent is ready", func() bool {
		return !strings.Contains(testnet.Run(t, l.host, "ip", "link"), "NO-CARRIER") &&
			strings.Contains(testnet.Run(t, l.host, "ip", "-6", "route", "show", "table", "all"), "local 2001:db8::10 dev eth1")
	})
	// Strict rp_filter drops a frame if its answer would leave by another
	// interface.
	testnet.Run(t, l.host, "sh", "-c", "echo 1 > /proc/sys/net/ipv4/conf/all/rp_filter")
	return l
}

// linkLocal sets the addr_gen_mode of interfaces that are made later.
func (l *lab) linkLocal(mode string) {
	testnet.Run(l.T, l.host, "sh", "-c", "echo "+mode+" > /proc/sys/net/ipv6/conf/default/addr_gen_mode")
}

const lanFile = `parent = "eth1"
[[subnet]]
subnet = "192.0.2.0/24"
gateway = "192.0.2.1"
ip_range = "192.0.2.64/26"
`

// network writes a network file and returns the parsed network.
func (l *lab) network(name, text string) *berth.Network {
	l.Helper()
	path := config.NetworkFile(l.dirs.Config, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		l.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		l.Fatal(err)
	}
	n, err := config.Network(l.dirs.Config, name)
	if err != nil {
		l.Fatal(err)
	}
	return n
}

func (l *lab) shims() *hostshim.Shims {
	return &hostshim.Shims{Store: l.store, Log: slog.New(slog.NewTextHandler(l.Output(), nil)), Step: l.step}
}

func (l *lab) enable(n *berth.Network, ips ...string) (shim *berth.HostShim, err error) {
	var addrs []netip.Addr
	for _, ip := range ips {
		addrs = append(addrs, netip.MustParseAddr(ip))
	}
	testnet.In(l.T, l.host, func() { shim, err = l.shims().Enable(l.Context(), n, addrs) })
	return shim, err
}

func (l *lab) mustEnable(n *berth.Network, ips ...string) *berth.HostShim {
	l.Helper()
	shim, err := l.enable(n, ips...)
	if err != nil {
		l.Fatal(err)
	}
	return shim
}

func (l *lab) mustDisable(name string) *berth.HostShim {
	l.Helper()
	var shim *berth.HostShim
	var err error
	testnet.In(l.T, l.host, func() { shim, err = l.shims().Disable(l.Context(), name) })
	if err != nil {
		l.Fatal(err)
	}
	return shim
}

func (l *lab) mustReconcile() hostshim.Report {
	l.Helper()
	var done hostshim.Report
	var err error
	testnet.In(l.T, l.host, func() { done, err = l.shims().Reconcile(l.Context()) })
	if err != nil {
		l.Fatal(err)
	}
	return done
}

func (l *lab) list() []berth.HostShim {
	l.Helper()
	var all []berth.HostShim
	var err error
	testnet.In(l.T, l.host, func() { all, err = l.shims().List(l.Context()) })
	if err != nil {
		l.Fatal(err)
	}
	return all
}

// box is a container at the time of the hook.
type box struct {
	id, networks string
	ns           *testnet.NS
	process      *os.Process
}

func (l *lab) box(id, networks string) *box {
	l.Helper()
	b := &box{id: id, networks: networks, ns: testnet.Namespace(l.T)}
	b.process = testnet.Process(l.T, b.ns)
	return b
}

// hook runs the real hook on the host.
func (l *lab) hook(b *box, status string) (err error) {
	st := specs.State{Version: "1.0.2", ID: b.id, Status: specs.ContainerState(status), Bundle: "/",
		Annotations: map[string]string{"berth/networks": b.networks}}
	if status != "stopped" {
		st.Pid = b.process.Pid
	}
	text, _ := json.Marshal(st) // strings and numbers only
	h := &hook.Hook{Dirs: l.dirs, Store: l.store, Log: slog.New(slog.DiscardHandler)}
	testnet.In(l.T, l.host, func() { err = h.Run(l.Context(), "", bytes.NewReader(text)) })
	return err
}

func (l *lab) mustStart(b *box) *box {
	l.Helper()
	if err := l.hook(b, "creating"); err != nil {
		l.Fatalf("start %s: %v", b.id, err)
	}
	return b
}

func (l *lab) mustStop(b *box) {
	l.Helper()
	if err := l.hook(b, "stopped"); err != nil {
		l.Fatalf("stop %s: %v", b.id, err)
	}
}

// ping sends an echo request; it waits longer if an answer is expected.
func (l *lab) ping(from *testnet.NS, to string, wanted bool) {
	l.Helper()
	wait := "0.3"
	if wanted {
		wait = "15"
	}
	var out []byte
	var err error
	testnet.In(l.T, from, func() { out, err = exec.Command("ping", "-n", "-c", "1", "-W", wait, to).CombinedOutput() })
	var exit *exec.ExitError
	switch {
	case err != nil && !errors.As(err, &exit):
		l.Fatal(err)
	case wanted != (err == nil):
		l.Errorf("ping %s: answered %t, want %t\n%s", to, err == nil, wanted, out)
	}
}

// routes returns the destinations of the host's routes through an interface.
func (l *lab) routes(ifname string) string {
	l.Helper()
	var to []string
	for _, family := range []string{"-4", "-6"} {
		for line := range strings.Lines(testnet.Run(l.T, l.host, "ip", family, "route", "show", "dev", ifname, "proto", "98")) {
			to = append(to, strings.Fields(line)[0])
		}
	}
	return strings.Join(to, " ")
}

func addrsText(addrs []netip.Addr) string {
	return strings.Trim(fmt.Sprint(addrs), "[]")
}
