package cli

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"berth/agent/api"
	"berth/agent/client"
	"berth/agent/events"
	"berth/internal/state"
	"berth/specs"
)

// backend is an agent with fixed answers, behind the real socket.
type backend struct {
	status   specs.AgentStatus
	names    []specs.Endpoint
	asked    []string
	cluster  specs.ClusterStatus
	refusing error
}

func (b *backend) Status(context.Context) (specs.AgentStatus, error) { return b.status, nil }

func (b *backend) RecentStatus(context.Context) (specs.AgentStatus, error) { return b.status, nil }

func (b *backend) Endpoints(_ context.Context, _ bool, each func(*specs.Endpoint) error) error {
	return tellEach(b.names, each)
}

// tellEach calls each with all endpoints, as a backend does.
func tellEach(all []specs.Endpoint, each func(*specs.Endpoint) error) error {
	for i := range all {
		if err := each(&all[i]); err != nil {
			return err
		}
	}
	return nil
}

func (b *backend) Ready() error { return nil }

func (b *backend) Detach(_ context.Context, purge bool) error {
	b.asked = append(b.asked, map[bool]string{false: "detach", true: "purge"}[purge])
	return b.refusing
}

// Changes has all endpoints each time.
func (b *backend) Changes(_ context.Context, _ string, each func(*specs.Changes) error) error {
	return tellWhole(func(each func(*specs.Endpoint) error) error { return tellEach(b.names, each) }, each)
}

// tellWhole answers a request for changes with all endpoints.
func tellWhole(endpoints func(func(*specs.Endpoint) error) error, each func(*specs.Changes) error) error {
	part := specs.Changes{Whole: true, Version: "a-1"}
	err := endpoints(func(e *specs.Endpoint) error {
		part.Endpoints = append(part.Endpoints, specs.ChangedEndpoint{ID: uint64(len(part.Endpoints) + 1), Endpoint: *e})
		return nil
	})
	if err != nil {
		return err
	}
	return each(&part)
}

func (*backend) Networks(context.Context) ([]specs.NetworkStatus, error) { return nil, nil }

func (b *backend) Cluster(context.Context) (specs.ClusterStatus, error) { return b.cluster, b.refusing }

func (b *backend) Forget(_ context.Context, node string) ([]string, error) {
	b.asked = append(b.asked, "forget "+node)
	return []string{"domain/lan-hq/block/192.0.2.64"}, b.refusing
}

func (b *backend) Attach(context.Context) error {
	b.asked = append(b.asked, "attach")
	return b.refusing
}

// startAgent serves a backend on the world's socket until the test's end.
func (w *world) startAgent(b api.Backend) *events.Ring {
	w.t.Helper()
	ring := events.NewRing(100)
	if err := os.MkdirAll(w.dir+"/run", 0o711); err != nil {
		w.t.Fatal(err)
	}
	socket, err := api.Listen(filepath.Join(w.dir, "run", client.SocketName), "")
	if err != nil {
		w.t.Fatal(err)
	}
	server := api.New(b, ring, http.NotFoundHandler(), slog.New(slog.DiscardHandler))
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(socket) }()
	w.t.Cleanup(func() {
		if err := errors.Join(server.Close(context.Background()), <-ended); err != nil {
			w.t.Error(err)
		}
	})
	return ring
}

func TestAgentStatus(t *testing.T) {
	w := newWorld(t)
	w.mustFail(exitFailed, "no agent is running", "agent", "status")
	b := &backend{status: specs.AgentStatus{
		Version: "v1.2.3", PID: 42, Started: clock.Add(-90 * time.Minute), Attached: true,
		Metrics: "127.0.0.1:9477", Endpoints: 2, MaxEndpoints: 4095, EventsLost: 7,
		Problems: []string{"parent eth9 does not exist yet"},
		Parents: []specs.ParentStatus{
			{Name: "eth1", Index: 7, MAC: mustMAC("02:00:5e:00:53:aa"), State: specs.ParentCounting, Attach: "tcx",
				Networks: []string{"lan", "dmz"}, Endpoints: 2},
			{Name: "eth9", State: specs.ParentWaiting, Networks: []string{"lab"}, Problem: "parent eth9 does not exist yet"},
			{Name: "eth2", Index: 8, State: specs.ParentFailed, Problem: "attach: operation not permitted"},
		},
	}}
	w.startAgent(b)
	mustEqual(t, "agent status", `
agent        berthd v1.2.3, pid 42, up 1h
counting     not on eth2; see the problems below
endpoints    2 of at most 4095
metrics      127.0.0.1:9477
events lost  7 (they came too fast; their violations are counted)
problem      parent eth9 does not exist yet
problem      eth2: attach: operation not permitted

PARENT  STATE     ATTACHED BY  MAC                ENDPOINTS  NETWORKS
eth1    counting  tcx          02:00:5e:00:53:aa  2          lan
                                                             dmz
eth9    waiting   -            -                  0          lab
eth2    failed    -            -                  0          -
`, w.mustRun("agent", "status"))
	b.status.Parents = b.status.Parents[1:]
	if got := w.mustRun("agent", "status"); !strings.Contains(got, "\ncounting     no: it fails on each parent; see the problems below\n") {
		t.Errorf("agent status where every parent fails:\n%s", got)
	}
	b.status = specs.AgentStatus{Version: "v1.2.3", PID: 42, Started: clock}
	mustEqual(t, "agent status when detached", `
agent        berthd v1.2.3, pid 42, up 0s
counting     no: detached on request; attach with berth agent attach
endpoints    0 of at most 0
metrics      off
`, w.mustRun("agent", "status"))
}

func TestAgentDetachAndAttach(t *testing.T) {
	w := newWorld(t)
	b := new(backend)
	w.startAgent(b)
	mustEqual(t, "detach", "detached; counts are kept\n", w.mustRun("agent", "detach"))
	mustEqual(t, "detach --purge", "detached; counts are removed\n", w.mustRun("agent", "detach", "--purge"))
	mustEqual(t, "attach", "attached\n", w.mustRun("agent", "attach"))
	if got := len(b.asked); got != 3 || b.asked[0] != "detach" || b.asked[1] != "purge" || b.asked[2] != "attach" {
		t.Errorf("the agent was asked for %q", b.asked)
	}
	b.refusing = errors.New("no CAP_BPF")
	w.mustFail(exitFailed, "berth: detach the programs: agent: no CAP_BPF", "agent", "detach")
	w.mustFail(exitFailed, "berth: attach the programs: agent: no CAP_BPF", "agent", "attach")
}

// TestDetachWithoutAgent: if no agent runs and none ever ran, detach has nothing to do,
// and attach fails.
func TestDetachWithoutAgent(t *testing.T) {
	w := newWorld(t)
	mustEqual(t, "detach", "", w.mustRun("agent", "detach"))
	mustEqual(t, "detach says", "berth: nothing to detach: no agent is running, and nothing is pinned under \""+w.dir+"/bpf\"\n", w.err.String())
	w.mustFail(exitFailed, "berth: attach the programs: agent at "+w.dir+"/run/berthd.sock: no agent is running", "agent", "attach")
}

// TestNamesOfTheAgent: the agent has names that the records lack.
func TestNamesOfTheAgent(t *testing.T) {
	w := newWorld(t)
	w.startAgent(&backend{names: sampleEndpoints()})
	w.putRecord(1, func(a *state.Attachment) { a.Containers = []string{hexA} })
	mustEqual(t, "ps", `
CONTAINER  NETWORK@IF  ADDRESS, MAC       PARENT, MODE  RX  TX
web        lan@net1    192.0.2.65/24      eth1          -   -
                       02:00:5e:00:53:01  bridge
`, w.mustRun("ps"))
	w.mustRun("inspect", "web")
}

// TestStatusWrapsOnATerminal: a long problem is wrapped between words on a terminal, and one line
// elsewhere.
func TestStatusWrapsOnATerminal(t *testing.T) {
	w := newWorld(t)
	status := specs.AgentStatus{Version: "v1", PID: 41, Started: clock, Attached: true, MaxEndpoints: 4096,
		Problems: []string{"a foreign program is ahead: XDP program 17; remove it"}}
	for wrap, want := range map[int]string{
		0: "problem      a foreign program is ahead: XDP program 17; remove it\n",
		40: `problem      a foreign program is ahead:
             XDP program 17; remove it
`,
	} {
		w.out.Reset()
		w.env.Wrap = wrap
		if err := writeStatus(&w.env, &status); err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(w.out.String(), want) {
			t.Errorf("wrapped at %d:\n%s\nwant at its end\n%s", wrap, &w.out, want)
		}
	}
}

// TestAgentOfAnotherVersion: an answer that this program cannot read is an error with the remedy.
func TestAgentOfAnotherVersion(t *testing.T) {
	w := newWorld(t)
	w.writeFile("run/nothing", "")
	socket, err := api.Listen(filepath.Join(w.dir, "run", client.SocketName), "")
	if err != nil {
		t.Fatal(err)
	}
	server := http.Server{Handler: http.HandlerFunc(func(answer http.ResponseWriter, _ *http.Request) {
		if _, err := answer.Write([]byte(`{"parents": "another type"}`)); err != nil {
			t.Error(err)
		}
	})}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(socket) }()
	for _, line := range []string{"agent status", "stats --no-stream"} {
		w.mustFail(exitFailed, "if berthd is of another version, restart it", strings.Fields(line)...)
	}
	if err := errors.Join(server.Close(), <-ended); !errors.Is(err, http.ErrServerClosed) {
		t.Error(err)
	}
}
