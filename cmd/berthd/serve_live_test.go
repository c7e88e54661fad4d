package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"berth/agent/client"
	"berth/internal/release"
	"berth/internal/testnet"

	"github.com/santhosh-tekuri/jsonschema/v6"
	collector "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	"google.golang.org/protobuf/proto"
)

func TestMetricsAsConfigured(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.writeNetwork("lan", lanFile)
	l.agentConfig("metrics_split = true\nmetrics_labels = ['container_id', 'interface', 'name']\nmetrics_max_endpoints = 2")
	a := l.startAgent()
	web := l.attachContainer("web", 1)
	l.attachContainer("db", 2)
	l.attachContainer("late", 3)
	web.sendFrames(4)
	text := a.scrapeMetrics()
	const sent = `berth_network_transmit_packets_total{container_id="web",interface="net1",name="web-name",scope=`
	wantLine(t, text, sent+`"external",cast="unicast"} 4`)
	wantLine(t, text, sent+`"local",cast="unicast"} 0`)
	wantLine(t, text, "berth_agent_endpoints_left_out 1")
	if strings.Contains(text, `container_id="late"`) || !strings.Contains(text, `container_id="db"`) {
		t.Errorf("not the first two are shown:\n%s", text)
	}
	for _, own := range []string{"\nprocess_resident_memory_bytes ", "\ngo_goroutines "} {
		if !strings.Contains(text, own) {
			t.Errorf("no %q", own)
		}
	}
}

// TestViolationsNeverFall: violations of a deleted record still count, also in an agent
// that never had it.
func TestViolationsNeverFall(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.writeNetwork("lan", lanFile)
	a := l.startAgent()
	web := l.attachContainer("web", 1)
	web.forgeFrames([6]byte{2, 0, 0x5e, 0, 0x53, 0x66}, 5)
	const broken = `berth_violations_total{kind="mac-spoof",network="lan",parent="eth1"} `
	testnet.Eventually(t, "violations", func() bool { return strings.Contains(a.scrapeMetrics(), broken+"5\n") })
	mustSucceed(t, web.newReleaser().Container(t.Context(), "web"))
	testnet.Eventually(t, "final counts", func() bool {
		wantLine(t, a.scrapeMetrics(), broken+"5") // at every moment of the way
		return l.slotOf("web") == 0
	})
	prune := release.Releaser{Store: l.store, BPFFS: l.bpffs, Host: web.newReleaser().Host, KeepEnded: time.Nanosecond}
	mustSucceed(t, prune.Drain(t.Context()))
	if all, err := l.client.Endpoints(t.Context(), true); err != nil || len(all) != 0 {
		t.Fatalf("%d endpoints, %v, want none", len(all), err)
	}
	wantLine(t, a.scrapeMetrics(), broken+"5")
	a.stopAgent(syscall.SIGTERM)
	a = l.startAgent()
	wantLine(t, a.scrapeMetrics(), broken+"5")
	next := l.attachContainer("db", 2)
	next.forgeFrames([6]byte{2, 0, 0x5e, 0, 0x53, 0x67}, 2)
	testnet.Eventually(t, "those of the next one", func() bool { return strings.Contains(a.scrapeMetrics(), broken+"7\n") })
}

// TestSeriesGoesOnOverRestarts: a container that is started again continues its series,
// also if the record of its first run is deleted and another agent runs.
func TestSeriesGoesOnOverRestarts(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.writeNetwork("lan", lanFile)
	a := l.startAgent()
	const series = `berth_network_transmit_packets_total{container_id="web",interface="net1",network="lan",parent="eth1"} `
	web := l.attachContainer("web", 1)
	web.sendFrames(10)
	mustSucceed(t, web.newReleaser().Container(t.Context(), "web"))
	again := l.attachContainer("web", 1)
	again.sendFrames(5)
	wantLine(t, a.scrapeMetrics(), series+"15")
	testnet.Eventually(t, "final counts of the first run", func() bool {
		prune := release.Releaser{Store: l.store, BPFFS: l.bpffs, Host: web.newReleaser().Host, KeepEnded: time.Nanosecond}
		mustSucceed(t, prune.Drain(t.Context()))
		wantLine(t, a.scrapeMetrics(), series+"15")
		all, err := l.client.Endpoints(t.Context(), true)
		mustSucceed(t, err)
		return len(all) == 1
	})
	a.stopAgent(syscall.SIGKILL)
	a = l.startAgent()
	wantLine(t, a.scrapeMetrics(), series+"15")
}

// activatedCommand returns a command that starts as the service manager would start it with a
// socket: LISTEN_PID is the pid that the program will have.
func activatedCommand(l *lab, name string, listener *net.TCPListener, args ...string) *exec.Cmd {
	l.t.Helper()
	f, err := listener.File()
	mustSucceed(l.t, err)
	l.t.Cleanup(func() { f.Close() })
	cmd := l.agentCommand(args...)
	exe, err := os.Executable()
	mustSucceed(l.t, err)
	script := append([]string{"sh", "-c", `LISTEN_PID=$$ exec "$0" "$@"`, exe}, cmd.Args[1:]...)
	cmd.Path, cmd.Args = "/bin/sh", script
	cmd.ExtraFiles = []*os.File{f}
	cmd.Env = append(cmd.Env, "LISTEN_FDS=1", "LISTEN_FDNAMES="+name)
	return cmd
}

func TestSocketActivation(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	listener := l.listen()
	wrong := activatedCommand(l, "web", listener.(*net.TCPListener))
	const want = `berthd: the service manager passed sockets named "web" (1 in all); berthd takes one, with FileDescriptorName=metrics in its unit`
	if got := l.refusalOf(wrong); got != want {
		t.Errorf("said %q, want %q", got, want)
	}
	cmd := activatedCommand(l, "metrics", listener.(*net.TCPListener), "--metrics", "127.0.0.1:1")
	log := new(testnet.Output)
	cmd.Stderr = log
	testnet.In(t, l.host, func() { mustSucceed(t, cmd.Start()) })
	defer func() { cmd.Process.Kill(); cmd.Wait() }()
	testnet.Eventually(t, "an agent that is ready", func() bool { return strings.Contains(log.String(), "msg=ready") })
	if s := l.agentStatus(); s.Metrics != listener.Addr().String() {
		t.Errorf("metrics at %q, want %q\n%s", s.Metrics, listener.Addr(), log)
	}
	wantLine(t, (&agent{lab: l}).scrapeMetrics(), "berth_agent_parents_missing 0")
}

func TestWatchdog(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	path := filepath.Join(filepath.Dir(l.state), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	mustSucceed(t, err)
	defer conn.Close()
	cmd := l.agentCommand("--metrics", "")
	cmd.Env = append(cmd.Env, "NOTIFY_SOCKET="+path, "WATCHDOG_USEC=50000")
	testnet.In(t, l.host, func() { mustSucceed(t, cmd.Start()) })
	defer func() { cmd.Process.Kill(); cmd.Wait() }()
	beats := 0
	for beats < 5 {
		buf := make([]byte, 100)
		mustSucceed(t, conn.SetReadDeadline(time.Now().Add(2*time.Minute)))
		n, err := conn.Read(buf)
		mustSucceed(t, err)
		if bytes.Equal(buf[:n], []byte("WATCHDOG=1")) {
			beats++
		}
	}
}

// TestPushesMetrics: the test's collector gets the same metrics as a scrape, and a missing
// collector does no harm.
func TestPushesMetrics(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.writeNetwork("lan", lanFile)
	var pushed atomic.Bool
	var server *httptest.Server
	testnet.In(t, l.host, func() {
		server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			request := new(collector.ExportMetricsServiceRequest)
			if err := errors.Join(err, proto.Unmarshal(body, request)); err != nil {
				t.Error(err)
			}
			for _, m := range request.ResourceMetrics[0].ScopeMetrics[0].Metrics {
				for _, p := range m.GetSum().GetDataPoints() {
					if m.Name == "berth_network_transmit_packets" && p.GetAsInt() == 6 {
						pushed.Store(true)
					}
				}
			}
		}))
	})
	defer server.Close()
	l.agentConfig(fmt.Sprintf("otlp = %q\notlp_interval = '1s'", server.URL))
	l.startAgent()
	web := l.attachContainer("web", 1)
	web.sendFrames(6)
	testnet.Eventually(t, "a push with the packets", pushed.Load)
}

// TestAnswersAreAsTheSchemas validates the socket's answers by the schemas in specs.
func TestAnswersAreAsTheSchemas(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.writeNetwork("lan", lanFile)
	l.writeNetwork("lab", "parent = \"eth9\"\n")
	l.startAgent()
	web := l.attachContainer("web", 1)
	web.forgeFrames([6]byte{3, 0, 0x5e, 0, 0x53, 0x66}, 1)   // a group address
	web.runIP("addr", "add", "192.0.2.99/24", "dev", "net1") // an event without a frame
	testnet.Eventually(t, "both violations", func() bool {
		return len(l.endpointOf("web").Violations) == 2 && strings.Count(l.httpGet("/v1/events"), "\n") == 2
	})
	c := jsonschema.NewCompiler()
	for _, name := range []string{"endpoint", "parent", "status", "event", "changes"} {
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(readFile(t, "../../specs/schema/"+name+".json")))
		mustSucceed(t, err)
		mustSucceed(t, c.AddResource("berth:"+name, doc))
	}
	for path, name := range map[string]string{"/v1/status": "status", "/v1/parents": "parent", "/v1/endpoints": "endpoint", "/v1/endpoints?all=1": "endpoint", "/v1/events": "event", "/v1/changes": "changes"} {
		text := l.httpGet(path)
		if name == "event" || name == "changes" {
			text = "[" + strings.ReplaceAll(strings.TrimSpace(text), "\n", ",") + "]"
		}
		doc, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
		mustSucceed(t, err)
		all, isList := doc.([]any)
		if !isList {
			all = []any{doc}
		}
		if len(all) == 0 {
			t.Errorf("%s: nothing", path)
		}
		for _, one := range all {
			if err := c.MustCompile("berth:" + name).Validate(one); err != nil {
				t.Errorf("%s: %v", path, err)
			}
		}
	}
	for _, path := range []string{"/healthz", "/readyz"} {
		if got := l.httpGet(path); got != "ok\n" {
			t.Errorf("%s: %q", path, got)
		}
	}
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	mustSucceed(t, err)
	return data
}

// httpGet returns the answer of the agent's socket.
func (l *lab) httpGet(path string) string {
	l.t.Helper()
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(l.state, client.SocketName))
	}}
	answer, err := (&http.Client{Transport: transport}).Get("http://berthd" + path)
	mustSucceed(l.t, err)
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	mustSucceed(l.t, err)
	if answer.StatusCode != http.StatusOK {
		l.t.Errorf("%s: %s: %s", path, answer.Status, body)
	}
	return string(body)
}
