package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"berth/agent/client"
	"berth/internal/state"
	"berth/internal/testnet"
	"berth/specs"
)

// runAgent is the environment variable that makes the test binary run as berthd.
const runAgent = "BERTHD_RUN"

// program is the environment variable with a berthd to use in place of the test binary, for
// measurements.
const program = "BERTHD_PROGRAM"

func TestMain(m *testing.M) {
	if steps := os.Getenv(prepare); steps != "" {
		fmt.Fprintln(os.Stderr, enterPrepared(steps))
		os.Exit(3)
	}
	if filter := os.Getenv(sandbox); filter != "" {
		fmt.Fprintln(os.Stderr, enterSandbox(filter))
		os.Exit(3)
	}
	if os.Getenv(probe) != "" {
		probeCalls()
		os.Exit(0)
	}
	if os.Getenv(runHook) != "" {
		os.Exit(hookOnce(os.Args[1:]))
	}
	if os.Getenv(runAgent) != "" {
		followClock()
		os.Exit(runProgram(os.Args[1:]))
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

func newLab(t testing.TB) *lab {
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
	l.makeWire()
	return l
}

// makeWire creates the parent and its peer.
func (l *lab) makeWire() {
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

func (l *lab) writeNetwork(name, text string) {
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
	log  *testnet.Output
	exit chan error
}

// agentCommand returns berthd on the host of the lab, not started yet.
func (l *lab) agentCommand(args ...string) *exec.Cmd {
	cmd := exec.Command(cmp.Or(os.Getenv(program), "/proc/self/exe"), append([]string{"--config", l.config, "--state", l.state, "--bpffs", l.bpffs}, args...)...)
	cmd.Env = append(os.Environ(), runAgent+"=1")
	return cmd
}

// startAgent runs an agent and waits until it is ready.
func (l *lab) startAgent(args ...string) *agent {
	l.t.Helper()
	return l.launchReady(l.agentCommand(append([]string{"--metrics", "127.0.0.1:0"}, args...)...))
}

// launchReady runs a command that is an agent and waits until it is ready.
func (l *lab) launchReady(cmd *exec.Cmd) *agent {
	l.t.Helper()
	a := l.launchProcess(cmd)
	a.waitReady()
	return a
}

// launchProcess runs a command that is an agent.
func (l *lab) launchProcess(cmd *exec.Cmd) *agent {
	l.t.Helper()
	a := &agent{lab: l, cmd: cmd, log: new(testnet.Output), exit: make(chan error, 1)}
	a.cmd.Stderr = a.log
	testnet.In(l.t, l.host, func() {
		if err := a.cmd.Start(); err != nil {
			l.t.Fatal(err)
		}
	})
	go func() { a.exit <- a.cmd.Wait(); close(a.exit) }()
	l.t.Cleanup(func() {
		a.cmd.Process.Kill()
		<-a.exit // else it could still write to directories that the test removes
		if l.t.Failed() {
			l.t.Logf("berthd said:\n%s", a.log)
		}
	})
	return a
}

func (a *agent) isReady() bool { return strings.Contains(a.log.String(), "msg=ready") }

func (a *agent) waitReady() {
	a.t.Helper()
	testnet.Eventually(a.t, "an agent that is ready", a.isReady)
}

// stopAgent ends an agent by a signal and waits for it.
func (a *agent) stopAgent(signal syscall.Signal) {
	a.t.Helper()
	if err := a.cmd.Process.Signal(signal); err != nil {
		a.t.Fatal(err)
	}
	select {
	case err := <-a.exit:
		if signal != syscall.SIGKILL && err != nil {
			a.t.Errorf("berthd ended with %v", err)
		}
	case <-time.After(2 * time.Minute):
		a.t.Fatal("berthd did not end within 2 minutes")
	}
}

func (l *lab) agentStatus() specs.AgentStatus {
	l.t.Helper()
	s, err := l.client.Status(l.t.Context())
	if err != nil {
		l.t.Fatal(err)
	}
	return s
}

// onlyParent returns the status of the agent's only parent.
func (l *lab) onlyParent() specs.ParentStatus {
	l.t.Helper()
	all := l.agentStatus().Parents
	if len(all) != 1 {
		l.t.Fatalf("parents %+v, want one", all)
	}
	return all[0]
}

// parentIs waits for a state of a parent.
func (l *lab) parentIs(name string, want specs.ParentState) specs.ParentStatus {
	l.t.Helper()
	var found specs.ParentStatus
	testnet.Eventually(l.t, fmt.Sprintf("parent %s %s", name, want), func() bool {
		for _, p := range l.agentStatus().Parents {
			if found = p; p.Name == name && p.State == want {
				return true
			}
		}
		return false
	})
	return found
}

// endpointOf returns a container's only endpoint.
func (l *lab) endpointOf(id string) specs.Endpoint {
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

// scrapeMetrics reads /metrics as Prometheus would.
func (a *agent) scrapeMetrics() string {
	a.t.Helper()
	address, status := a.agentStatus().Metrics, 0
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

// listen returns a listener at a free port of the host's loopback, open until the test ends.
func (l *lab) listen() (listener net.Listener) {
	l.t.Helper()
	testnet.In(l.t, l.host, func() {
		var err error
		listener, err = net.Listen("tcp", "127.0.0.1:0")
		mustSucceed(l.t, err)
	})
	l.t.Cleanup(func() { _ = listener.Close() })
	return listener
}
