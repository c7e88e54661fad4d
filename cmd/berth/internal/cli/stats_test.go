package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"berth/internal/rates"
	"berth/internal/state"
	"berth/internal/testnet"
	"berth/specs"
)

// growing is an agent whose endpoints' counts grow with each request.
type growing struct {
	backend
	mu    sync.Mutex
	asked int
	at    func(asked int) ([]specs.Endpoint, error)
}

func (g *growing) Endpoints(_ context.Context, _ bool, each func(*specs.Endpoint) error) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.asked++
	all, err := g.at(g.asked)
	if err != nil {
		return err
	}
	return tellEach(all, each)
}

// Changes has all endpoints each time.
func (g *growing) Changes(ctx context.Context, _ string, each func(*specs.Changes) error) error {
	return tellWhole(func(each func(*specs.Endpoint) error) error { return g.Endpoints(ctx, true, each) }, each)
}

// stepClock makes the world's clock advance by two seconds with each reading.
func (w *world) stepClock() {
	now := clock
	w.env.Now = func() time.Time {
		now = now.Add(2 * time.Second)
		return now
	}
}

// busyEndpoints returns the endpoints of a test after a number of readings: "web" receives 1 kB in
// 10 packets a reading from the LAN and sends a broadcast to it.
func busyEndpoints(asked int) ([]specs.Endpoint, error) {
	all := sampleEndpoints()
	n := uint64(asked)
	all[0].Counters = specs.Counters{
		Receive:  trafficOf(10*n, 1000*n),
		Transmit: specs.Traffic{Local: specs.Casts{Broadcast: specs.Count{Packets: n, Bytes: 60 * n}}},
	}
	return all, nil
}

func TestStatsTable(t *testing.T) {
	w := newWorld(t)
	w.mustFail(exitFailed, "no agent is running", "stats")
	w.startAgent(&growing{at: busyEndpoints})
	w.stepClock()
	mustEqual(t, "stats", `
CONTAINER       NETWORK@IF  RX/s   TX/s  RX P/s  TX P/s  RX       TX
web             lan@net1    500 B  30 B  5       1       2.00 kB  120 B
  mac-spoof 3
berth-demo-two  -@lan0      -      -     -       -       -        -
  attaching
total           LAN         500 B  0 B   5       0       2.00 kB  0 B
                local       0 B    30 B  0       1       0 B      120 B
`, w.mustRun("stats", "--no-stream", "--interval", "100ms"))
	mustEqual(t, "stats --split", `
CONTAINER, IF  TRAFFIC          RX/s   TX/s  RX P/s  TX P/s  RX       TX
web            all              500 B  30 B  5       1       4.00 kB  240 B
lan@net1       local broadcast  0 B    30 B  0       1       0 B      240 B
               ext unicast      500 B  0 B   5       0       4.00 kB  0 B
  mac-spoof 3
`, w.mustRun("stats", "--split", "--count", "1", "--interval", "100ms", "web"))
	mustEqual(t, "two intervals", "12:00:12\nCONTAINER\nweb\n\n\n12:00:14\nCONTAINER\nweb\n\n\n",
		firstColumn(w.mustRun("stats", "3f2a", "--count", "2", "--interval", "100ms")))
}

// TestStatsDetached: an endpoint that is not counted now has no rate, and the remedy is
// printed.
func TestStatsDetached(t *testing.T) {
	w := newWorld(t)
	g := &growing{at: busyEndpoints}
	g.status.Parents = []specs.ParentStatus{{Name: "eth1.100", State: specs.ParentDetached}}
	w.startAgent(g)
	w.stepClock()
	mustEqual(t, "stats", `
CONTAINER  NETWORK@IF  RX/s  TX/s  RX P/s  TX P/s  RX       TX
web        lan@net1    -     -     -       -       2.00 kB  120 B
  mac-spoof 3
`, w.mustRun("stats", "--no-stream", "--interval", "100ms", "web"))
	const warning = "berth: nothing is counted, because the agent is detached; attach with berth agent attach\n"
	mustEqual(t, "stats says", warning, w.err.String())
	w.putRecord(1, func(*state.Attachment) {})
	w.mustRun("ps")
	mustEqual(t, "ps says", warning, w.err.String())
	w.mustRun("ps", "-q")
	mustEqual(t, "ps -q says", "", w.err.String())
	g.status.Attached = true
	w.mustRun("ps")
	mustEqual(t, "ps says when attached", "", w.err.String())
}

func firstColumn(s string) string {
	var b strings.Builder
	for line := range strings.Lines(s) {
		first, _, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		b.WriteString(first + "\n")
	}
	return b.String()
}

func TestStatsJSON(t *testing.T) {
	w := newWorld(t)
	w.startAgent(&growing{at: func(asked int) ([]specs.Endpoint, error) {
		all, _ := busyEndpoints(asked)
		if asked >= 3 {
			all[0].Phase, all[0].Ended = specs.PhaseEnded, clock
		}
		return all, nil
	}})
	w.stepClock()
	lines := strings.Split(strings.TrimSpace(w.mustRun("stats", "--count", "3", "--interval", "100ms", "--json")), "\n")
	if len(lines) != 2+2+1 { // both, the ended one once more, and then only the other
		t.Fatalf("%d lines:\n%s", len(lines), strings.Join(lines, "\n"))
	}
	all := decodeStats(t, lines)
	first := all[0]
	if first.ContainerID != hexA || first.Interval != 2 || first.Rates == nil || first.Rates.Receive != (specs.Rate{Packets: 5, Bytes: 500}) ||
		first.Totals.Receive != (specs.Count{Packets: 20, Bytes: 2000}) ||
		first.Split.Rates.Transmit.Local.Broadcast != (specs.Rate{Packets: 0.5, Bytes: 30}) || first.Violations[specs.MACSpoof] != 3 {
		t.Errorf("the first line is %s", lines[0])
	}
	if other := all[1]; other.Counted || other.Rates != nil || other.Interval != 0 || other.Split.Rates != nil {
		t.Errorf("what is not counted has rates: %s", lines[1])
	}
	if ended := strings.Count(strings.Join(lines, "\n"), `"phase":"ended"`); ended != 1 {
		t.Errorf("an endpoint that ended has %d lines as ended, want 1:\n%s", ended, strings.Join(lines, "\n"))
	}
}

// decodeStats validates every line by the schema.
func decodeStats(t *testing.T, lines []string) (all []specs.Stats) {
	t.Helper()
	schema := statsSchema(t)
	for _, line := range lines {
		doc, err := jsonschema.UnmarshalJSON(strings.NewReader(line))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(doc); err != nil {
			t.Errorf("%s: %v", line, err)
		}
		var s specs.Stats
		if err := json.Unmarshal([]byte(line), &s); err != nil {
			t.Fatal(err)
		}
		all = append(all, s)
	}
	return all
}

func statsSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	data, err := os.ReadFile("../../../../specs/schema/stats.json")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("stats", doc); err != nil {
		t.Fatal(err)
	}
	return c.MustCompile("stats")
}

func TestStatsUsage(t *testing.T) {
	w := newWorld(t)
	w.startAgent(&growing{at: busyEndpoints})
	for line, want := range map[string]string{
		"stats --interval 10ms":        `berth stats: --interval "10ms": want 100ms to 1h`,
		"stats --interval 2h":          `berth stats: --interval "2h0m0s": want 100ms to 1h`,
		"stats --count -1":             `berth stats: --count "-1": want a number of intervals, or 0 to go on`,
		"stats --count 2 --no-stream":  "berth stats: --no-stream and --count exclude each other",
		"stats --interval soon":        `--interval "soon": want a duration, as 5s`,
		"stats --no-stream --interval": "flag needs an argument",
	} {
		w.mustFail(exitUsage, want, strings.Fields(line)...)
	}
	w.mustFail(exitFailed, `no container has the name "db"`, "stats", "db")
	w.mustFail(exitFailed, `no container has the name "3f2b"`, "stats", "3f2b") // it has ended
}

// TestStatsOutlastTheAgent: stats waits for an agent that goes away; the rates are an
// average over the time that it was away.
func TestStatsOutlastTheAgent(t *testing.T) {
	w := newWorld(t)
	g := &growing{at: func(asked int) ([]specs.Endpoint, error) {
		if asked == 2 || asked == 3 {
			return nil, errors.New("it starts again")
		}
		return busyEndpoints(asked)
	}}
	g.status.Attached = true
	w.startAgent(g)
	w.stepClock()
	out, errs := new(testnet.Output), new(testnet.Output)
	w.env.Out, w.env.Err = out, errs
	ctx, cancel := context.WithCancel(context.Background())
	code := make(chan int, 1)
	go func() {
		code <- Main(ctx, []string{"--state", w.dir + "/run", "stats", "web", "--json", "--interval", "100ms"}, w.env)
	}()
	waitFor(t, func() bool { return strings.Count(out.String(), "\n") >= 1 })
	cancel()
	if got := <-code; got != exitOK {
		t.Errorf("exit %d after an interrupt: %s", got, errs)
	}
	mustEqual(t, "warning", "berth: the agent does not answer, waiting for it: agent: it starts again\n", errs.String())
	if line := out.String(); !strings.Contains(line, `"rates":{"receive":{"packets":15,"bytes":1500}`) {
		t.Errorf("rates after the agent was away: %s", line)
	}
}

func TestStatsFailWithoutAgentWhenCounting(t *testing.T) {
	w := newWorld(t)
	w.startAgent(&growing{at: func(asked int) ([]specs.Endpoint, error) {
		if asked > 1 {
			return nil, errors.New("it is gone")
		}
		return busyEndpoints(asked)
	}})
	w.mustFail(exitFailed, "berth: agent: it is gone", "stats", "--no-stream", "--interval", "100ms")
}

// TestTopNeedsATerminal: the terminal view needs a terminal.
func TestTopNeedsATerminal(t *testing.T) {
	w := newWorld(t)
	w.mustFail(exitFailed, "berth: standard output is not a terminal; in scripts use berth stats --json", "top")
	w.mustFail(exitUsage, `berth top: --interval "1ms": want 100ms to 1h`, "top", "--interval", "1ms")
	w.mustFail(exitUsage, `berth top: unexpected argument "web"`, "top", "web")
	file, err := os.Create(w.dir + "/out")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	w.env.Out = file
	w.mustFail(exitFailed, "berth: standard output is not a terminal", "top")
}

// TestOverprint: on a terminal a page is printed over the previous one.
func TestOverprint(t *testing.T) {
	for rows, want := range map[int]string{
		0: "a\x1b[K\nb\x1b[K\nc\x1b[K\n", 4: "a\x1b[K\nb\x1b[K\nc\x1b[K\n",
		3: "a\x1b[K\n… 2 more lines\x1b[K\n", 2: "… 3 more lines\x1b[K\n", 1: "",
	} {
		mustEqual(t, fmt.Sprintf("page in %d rows", rows), "\x1b[H"+want+"\x1b[J", overprintText("a\nb\nc\n", rows))
	}
}

// TestStatsFollowTheTerminal: a terminal that changes its size between two pages gets the
// next one in that size.
func TestStatsFollowTheTerminal(t *testing.T) {
	w := newWorld(t)
	columns, rows := 200, 3
	w.env.window = func() (int, int) { return columns, rows }
	readings := make([]rates.Reading, 5)
	for i := range readings {
		readings[i].Name, readings[i].Network, readings[i].Interface = fmt.Sprintf("a-container-with-a-long-name-%d", i), "a-network-with-a-long-name", "net1"
	}
	page := func() (lines []string) {
		w.out.Reset()
		if err := printStats(&w.env, statsOptions{}, clock, readings); err != nil {
			t.Fatal(err)
		}
		return strings.Split(strings.TrimSuffix(w.out.String(), "\x1b[J"), "\n")
	}
	if lines := page(); len(lines) != 3 || !strings.Contains(lines[1], "more lines") {
		t.Errorf("in 3 rows: %q", lines)
	}
	rows = 40
	if lines := page(); len(lines) < 7 || strings.Contains(strings.Join(lines, ""), "more lines") {
		t.Errorf("in 40 rows: %q", lines)
	}
	columns = 60
	for _, line := range page() {
		if width := ansi.StringWidth(line); width > columns {
			t.Errorf("%d columns wide: %q", width, line)
		}
	}
}
