package hook

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"

	"berth/internal/config"
	"berth/internal/lease"
	"berth/internal/release"
	"berth/internal/state"
	"berth/internal/testnet"
	"berth/network"
)

func TestMain(m *testing.M) { testnet.MainOr(m, runProgram) }

// runProgram runs a hook, a prober or a healer that ends itself after a step. args are the
// directories, and those of [host.program].
func runProgram(args []string) int {
	dirs := config.Dirs{Config: args[0], State: args[1], BPFFS: args[2]}
	h := &Hook{Dirs: dirs, Store: state.Open(dirs.State), Log: slog.New(slog.DiscardHandler), Step: testnet.KillStep}
	var err error
	switch args[3] {
	case "heal":
		_, err = h.Heal(context.Background())
	case "probe":
		err = h.ProbeAhead(context.Background(), []ProbeRequest{{Network: args[4]}})
	default:
		err = h.Run(context.Background(), "", os.Stdin)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// host is the namespace of the test, with the test's own parent, which is wired
// to another machine of the LAN.
type host struct {
	*testing.T
	dirs   config.Dirs
	store  *state.Store
	parent string
	lan    *testnet.NS // the other machine; its interface is "wire"
	step   func(string) error
	grow   time.Duration
}

func newHost(t *testing.T) *host {
	t.Helper()
	dir := t.TempDir()
	h := &host{
		T: t, parent: testnet.Unique("p"), lan: testnet.Namespace(t),
		dirs: config.Dirs{Config: dir + "/etc", State: "/run/" + testnet.Unique("berth"), BPFFS: "/sys/fs/bpf/" + testnet.Unique("none")},
	}
	h.store = state.Open(h.dirs.State)
	testnet.Veth(t, h.parent, testnet.Here(t), "wire", h.lan)
	return h
}

// program returns a command in a process that ends itself after a step: "hook", with the state on
// standard input, "probe" with a network, or "heal".
func (h *host) program(step string, args ...string) *exec.Cmd {
	return testnet.ProgramKilledAfter(step, append([]string{h.dirs.Config, h.dirs.State, h.dirs.BPFFS}, args...)...)
}

// network writes a network file; PARENT in it is the test's parent.
func (h *host) network(name, text string) {
	h.Helper()
	h.write("networks.d/"+name+".toml", strings.ReplaceAll(text, "PARENT", h.parent))
}

func (h *host) write(name, text string) {
	h.Helper()
	path := filepath.Join(h.dirs.Config, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		h.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		h.Fatal(err)
	}
}

// box is a container at the time of the hook: a process in a network namespace.
type box struct {
	id          string
	ns          *testnet.NS
	process     *os.Process
	annotations map[string]string
	bundle      string // "/" if empty
}

func (h *host) box(id string, networks string) *box {
	h.Helper()
	b := &box{id: id, ns: testnet.Namespace(h.T), annotations: map[string]string{"berth/networks": networks}}
	b.process = testnet.Process(h.T, b.ns)
	return b
}

func (b *box) state(status string) []byte {
	st := specs.State{Version: "1.0.2", ID: b.id, Status: specs.ContainerState(status), Annotations: b.annotations, Bundle: cmp.Or(b.bundle, "/")}
	if status != "stopped" {
		st.Pid = b.process.Pid
	}
	text, _ := json.Marshal(st) // strings and numbers only
	return text
}

func (h *host) hook() *Hook {
	return &Hook{
		Dirs: h.dirs, Store: h.store, Step: h.step, growWithin: h.grow,
		Log: slog.New(slog.NewTextHandler(h.Output(), nil)),
	}
}

// runHook runs a hook with a deadline, as the program does, but a longer one, for
// slow machines.
func (h *host) runHook(hook *Hook, state []byte) error {
	ctx, cancel := context.WithTimeout(h.Context(), 6*Timeout)
	defer cancel()
	return hook.Run(ctx, "", bytes.NewReader(state))
}

func (h *host) start(b *box) error {
	return h.runHook(h.hook(), b.state("creating"))
}

func (h *host) mustStart(b *box) {
	h.Helper()
	if err := h.start(b); err != nil {
		h.Fatalf("start %s: %v", b.id, err)
	}
}

func (h *host) mustStop(b *box) {
	h.Helper()
	if err := h.runHook(h.hook(), b.state("stopped")); err != nil {
		h.Fatalf("stop %s: %v", b.id, err)
	}
}

// settling matches the values that the kernel changes by itself within a second
// or two.
var settling = regexp.MustCompile(`(?m) state [A-Z]+| tentative|^local fe80::.*\n`)

// snapshot returns everything that a start may change: this test's links of the
// host; links, addresses and routes of the container; all live records and
// leases.
func (h *host) snapshot(b *box) string {
	h.Helper()
	var s strings.Builder
	for line := range strings.Lines(testnet.Run(h.T, testnet.Here(h.T), "ip", "-o", "link")) {
		if strings.Contains(line, " "+h.parent+"@") || strings.Contains(line, "@"+h.parent+":") {
			fields := strings.Fields(line) // tests run in parallel, in one namespace
			fmt.Fprintln(&s, "host", fields[0], fields[1])
		}
	}
	for _, what := range []string{"link", "addr", "route show table all", "-6 route show table all"} {
		s.WriteString(settling.ReplaceAllString(testnet.Run(h.T, b.ns, "ip", strings.Fields("-o "+what)...), ""))
	}
	s.WriteString(h.records())
	return s.String()
}

// unchanged fails the test if the snapshot differs from before.
func (h *host) unchanged(b *box, before string) {
	h.Helper()
	if after := h.snapshot(b); after != before {
		h.Errorf("of container %s, now:\n%s\nbefore:\n%s", b.id, after, before)
	}
}

func (h *host) records() string {
	h.Helper()
	var s strings.Builder
	err := h.store.View(h.Context(), func(tx *state.Tx) error {
		for a, err := range tx.Live("") {
			if err != nil {
				return err
			}
			fmt.Fprintf(&s, "attachment %s of %v, %s, slot %d\n", a.Interface, a.Containers, a.Phase, a.Slot)
		}
		for l, err := range lease.All(tx) {
			if err != nil {
				return err
			}
			fmt.Fprintf(&s, "lease %s%s of %s\n", l.Addr, l.MAC, l.Container)
		}
		return nil
	})
	if err != nil {
		h.Fatal(err)
	}
	return s.String()
}

// attachments returns the live records of a container.
func (h *host) attachments(id string) []*state.Attachment {
	h.Helper()
	var all []*state.Attachment
	err := h.store.View(h.Context(), func(tx *state.Tx) (err error) {
		all, err = tx.OfContainer(id)
		return err
	})
	if err != nil {
		h.Fatal(err)
	}
	return all
}

// firstOf returns the first attachment of a container, which must have one.
func (h *host) firstOf(id string) *state.Attachment {
	h.Helper()
	all := h.attachments(id)
	if len(all) == 0 {
		h.Fatalf("container %q has no attachment", id)
	}
	return all[0]
}

func (h *host) releaserHere() *release.Releaser {
	h.Helper()
	handle, err := network.NewHandle()
	if err != nil {
		h.Fatal(err)
	}
	h.Cleanup(handle.Close)
	hook := h.hook()
	hook.host = handle
	return hook.newReleaser()
}
